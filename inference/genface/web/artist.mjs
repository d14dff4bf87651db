// @ts-check
/**
 * Who asks the engine, and in what order. Wishes stand in lanes (the large face, the wall, ...). In a lane the newest wish
 * counts: an older one gives way at the next portion, so that a slider is followed at whatever pace the machine has.
 */

/** Faces that are asked for at once take about so long, and another lane waits no longer. */
const PORTION_MILLISECONDS = 80;
const MAX_PORTION = 8;

export class Artist {
  #engine;
  /** @type {Map<string, symbol>} */
  #newest = new Map();
  /** @type {Map<string, Promise<unknown>>} */
  #turns = new Map();

  /** @param {import("./engine.mjs").Engine} engine */
  constructor(engine) {
    this.#engine = engine;
  }

  /**
   * Draw faces one portion after the other and show each as it comes.
   *
   * @param {string} lane
   * @param {Float32Array[]} latents
   * @param {(place: number, rgb: Uint8Array) => void} show never called for a wish that a newer one has replaced, unless
   *   it is of one face alone: then its picture is a frame on the way to the newer one.
   * @returns {Promise<boolean>} whether all were drawn.
   * @throws {import("./engine.mjs").EngineError}
   */
  draw(lane, latents, show) {
    const wish = Symbol(lane);
    const before = this.#turns.get(lane);
    this.#newest.set(lane, wish);
    const turn = this.#draw(latents, show, () => this.#newest.get(lane) === wish, before);
    this.#turns.set(
      lane,
      turn.catch(() => {}),
    );
    return turn;
  }

  /**
   * Give up what a lane still wishes.
   *
   * @param {string} lane
   */
  drop(lane) {
    this.#newest.delete(lane);
  }

  /**
   * @param {Float32Array[]} latents
   * @param {(place: number, rgb: Uint8Array) => void} show
   * @param {() => boolean} wished
   * @param {Promise<unknown> | undefined} before
   */
  async #draw(latents, show, wished, before) {
    await before;
    for (let start = 0, portion; start < latents.length; start += portion.length) {
      if (!wished()) return false;
      portion = latents.slice(start, start + this.#portion());
      const drawn = await this.#engine.draw(joined(portion));
      if (!wished() && latents.length > 1) return false;
      const bytes = drawn.length / portion.length;
      for (const place of portion.keys()) show(start + place, drawn.slice(place * bytes, (place + 1) * bytes));
    }
    return true;
  }

  #portion() {
    const fitting = Math.floor(PORTION_MILLISECONDS / this.#engine.millisecondsPerFace);
    return Math.min(Math.max(fitting, 1), MAX_PORTION);
  }
}

/** @param {Float32Array[]} latents */
function joined(latents) {
  const whole = new Float32Array(latents.length * latents[0].length);
  latents.forEach((latent, place) => whole.set(latent, place * latent.length));
  return whole;
}

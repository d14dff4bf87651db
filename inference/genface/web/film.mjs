// @ts-check
/**
 * An animation that keeps its pace on any machine. Its frames are drawn from the coarse to the fine: the ends of each leg
 * first, then the middles, then the middles between those. Between the finest frames that are there the picture fades from
 * one to the next, so a slow machine shows fewer faces and never stops.
 */

import { blend } from "./painting.mjs";

/** As fine as 1/64 of a leg, where the memory for the frames suffices. */
const FINEST = 6;
const MAX_BYTES = 64e6;

export class Film {
  #legs;
  #latentAt;
  #draw;
  /** @type {Map<number, Uint8Array>} frames by their time */
  #frames = new Map();
  /** Halvings of a leg whose frames are all there; below 0 before the first. */
  #level = -1;

  /**
   * @param {object} parts
   * @param {number} parts.legs
   * @param {(time: number) => Float32Array} parts.latentAt time in [0, legs].
   * @param {(latents: Float32Array[], show: (place: number, rgb: Uint8Array) => void) => Promise<boolean>} parts.draw
   */
  constructor({ legs, latentAt, draw }) {
    this.#legs = legs;
    this.#latentAt = latentAt;
    this.#draw = draw;
  }

  /** Draw finer and finer frames, until the finest are there or drawing is given up. */
  async develop() {
    for (let level = 0; level <= FINEST; level++) {
      const wanted = Array.from({ length: this.#legs * 2 ** level + 1 }, (_, k) => k / 2 ** level);
      if (this.#bytesPerFrame() * wanted.length > MAX_BYTES) return;
      const times = wanted.filter((time) => !this.#frames.has(time));
      const done = await this.#draw(times.map(this.#latentAt), (place, rgb) => this.#frames.set(times[place], rgb));
      if (!done) return;
      this.#level = level;
    }
  }

  /**
   * @param {number} time in [0, legs].
   * @returns {Uint8Array | null} the picture, or null while there is not one frame.
   */
  at(time) {
    if (this.#level < 0) return null;
    const place = time * 2 ** this.#level;
    const [before, after] = [Math.floor(place), Math.ceil(place)].map((k) => this.#frames.get(k / 2 ** this.#level));
    if (!before || !after) throw new RangeError(`the film has no time ${time}`);
    return before === after ? before : blend(before, after, place % 1);
  }

  #bytesPerFrame() {
    return this.#frames.get(0)?.length ?? 0;
  }
}

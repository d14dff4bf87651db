// @ts-check
/** What the parts of the page share: the model's site, the view, and a hand that draws. */

import { Artist } from "./artist.mjs";
import { latentOf } from "./recipe.mjs";

/**
 * @typedef {import("./recipe.mjs").Recipe} Recipe
 * @typedef {import("./state.mjs").View} View
 */

export class Studio {
  #artist;
  #directions;
  #onBusy;
  #onError;
  #busy = 0;

  /**
   * @param {object} parts
   * @param {import("./site.mjs").Site} parts.site
   * @param {import("./engine.mjs").Engine} parts.engine
   * @param {import("./store.mjs").Store} parts.store
   * @param {(text: string) => void} parts.announce
   * @param {(busy: boolean) => void} parts.onBusy called when drawing begins, and when all that was wished is drawn.
   * @param {(error: unknown) => void} parts.onError called when drawing fails for good.
   */
  constructor({ site, engine, store, announce, onBusy, onError }) {
    this.site = site;
    this.engine = engine;
    this.store = store;
    this.announce = announce;
    this.#artist = new Artist(engine);
    this.#directions = site.directions.map((direction) => Float32Array.from(direction));
    this.#onBusy = onBusy;
    this.#onError = onError;
  }

  /**
   * @param {Recipe} recipe
   * @param {View} [view] whose truncation counts.
   */
  latentOf(recipe, { truncation } = this.store.view) {
    return latentOf(recipe, { zDim: this.site.input.z_dim, truncation, directions: this.#directions });
  }

  /**
   * Draw in a lane, as Artist does.
   *
   * @param {string} lane
   * @param {Float32Array[]} latents
   * @param {(place: number, rgb: Uint8Array) => void} show
   * @returns {Promise<boolean>} false when a newer wish came between, or drawing failed.
   */
  async draw(lane, latents, show) {
    this.#count(1);
    try {
      return await this.#artist.draw(lane, latents, show);
    } catch (error) {
      this.#onError(error);
      return false;
    } finally {
      this.#count(-1);
    }
  }

  /** @param {string} lane whose wishes are given up */
  drop(lane) {
    this.#artist.drop(lane);
  }

  /** @param {1 | -1} more */
  #count(more) {
    this.#busy += more;
    if (this.#busy === (more > 0 ? 1 : 0)) this.#onBusy(this.#busy > 0);
  }
}

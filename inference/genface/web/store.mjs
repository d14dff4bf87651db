// @ts-check
/** The one place where the view is kept; who shows a part of it listens. */

/**
 * @typedef {import("./state.mjs").View} View
 * @typedef {(view: View, before: View | null) => void} Listener before: null when everything is to be shown anew
 */

export class Store {
  #view;
  #allowed;
  /** @type {Listener[]} */
  #listeners = [];

  /**
   * @param {View} view
   * @param {(view: View) => boolean} allowed a change to a view that is not is left undone.
   */
  constructor(view, allowed) {
    this.#view = view;
    this.#allowed = allowed;
  }

  get view() {
    return this.#view;
  }

  /** @param {Listener} listener called at every change from now on. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /** @param {Partial<View>} changes */
  change(changes) {
    const before = this.#view;
    const view = { ...before, ...changes };
    if (!this.#allowed(view)) return;
    this.#view = view;
    for (const listener of this.#listeners) listener(view, before);
  }

  /** Have everything shown anew, as after a change of language. */
  refresh() {
    for (const listener of this.#listeners) listener(this.#view, null);
  }
}

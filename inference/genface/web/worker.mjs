// @ts-check
/** The worker that owns the model: it answers engine.mjs, one draw after the other, in the order of asking. */

import { download } from "./download.mjs";
import { Drawer } from "./drawer.mjs";
import { asEngineError } from "./engine-error.mjs";
import { openSession } from "./session.mjs";

/**
 * @typedef {import("./session.mjs").Provider} Provider
 * @typedef {{kind: "open", url: string, site: import("./engine.mjs").Site, only: Provider | null}} Open
 * @typedef {{kind: "draw", id: number, z: Float32Array}} Draw
 * @typedef {{kind: "abort", id: number}} Abort
 * @typedef {Drawer["state"]} State
 * @typedef {{kind: "progress", loaded: number, total: number}
 *   | {kind: "opened", state: State}
 *   | {kind: "drawn", id: number, pictures: Uint8Array<ArrayBuffer>, state: State}
 *   | {kind: "failed", id: number | null, code: import("./engine-error.mjs").EngineErrorCode, detail: string}} Answer
 */

/** @type {Drawer} */
let drawer;
let turn = Promise.resolve();
/** @type {Map<number, AbortController>} */
const waiting = new Map();

self.addEventListener("message", ({ data }) => {
  /** @type {Open | Draw | Abort} */
  const asked = data;
  if (asked.kind === "abort") {
    waiting.get(asked.id)?.abort();
  } else if (asked.kind === "draw") {
    waiting.set(asked.id, new AbortController());
    turn = turn.then(() => draw(asked));
  } else {
    turn = open(asked);
  }
});

/** @param {Open} asked */
async function open({ url, site, only }) {
  try {
    const model = download(new URL(url), site.model, (loaded, total) => answer({ kind: "progress", loaded, total }));
    model.catch(() => {}); // whoever awaits it later is told; meanwhile it is no unhandled rejection
    const session = await openSession(model, site, only);
    const reopen = only === null ? () => openSession(model, site, "wasm") : null;
    drawer = new Drawer(session, site.input.z_dim, reopen);
    answer({ kind: "opened", state: drawer.state });
  } catch (error) {
    fail(null, error);
  }
}

/** @param {Draw} asked */
async function draw({ id, z }) {
  const { signal } = /** @type {AbortController} */ (waiting.get(id));
  try {
    const pictures = await drawer.draw(z, signal);
    answer({ kind: "drawn", id, pictures, state: drawer.state }, [pictures.buffer]);
  } catch (error) {
    if (!signal.aborted) fail(id, error);
  } finally {
    waiting.delete(id);
  }
}

/**
 * @param {number | null} id of the draw, or null for the opening.
 * @param {unknown} error
 */
function fail(id, error) {
  const { code, detail } = asEngineError(error);
  answer({ kind: "failed", id, code, detail });
}

/**
 * @param {Answer} message
 * @param {Transferable[]} transfer
 */
function answer(message, transfer = []) {
  self.postMessage(message, { transfer });
}

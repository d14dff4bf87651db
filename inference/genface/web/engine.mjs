// @ts-check
/** Faces from latents, drawn by a worker, so that the page stays free. */

import { asEngineError, EngineError } from "./engine-error.mjs";

export { EngineError };

/**
 * @typedef {object} Site what the engine reads of site.json.
 * @property {{file: string, bytes: number, sha256: string}} model
 * @property {{name: string, z_dim: number}} input
 * @property {{name: string}} output
 * @property {number} size
 *
 * @typedef {import("./session.mjs").Provider} Provider
 * @typedef {{resolve: (pictures: Uint8Array) => void, reject: (error: unknown) => void}} Pending
 */

const PROVIDERS = ["webgpu", "wasm"];

/**
 * Fetch the model, check it and make it ready to draw.
 *
 * The page's query ?provider=wasm or ?provider=webgpu forces the one or the other; else WebGPU is taken where it works.
 *
 * @param {object} options
 * @param {URL} options.base the folder of the page, where the model's file lies.
 * @param {Site} options.site
 * @param {(loadedBytes: number, totalBytes: number) => void} options.onProgress of the model's download.
 * @returns {Promise<Engine>}
 * @throws {EngineError}
 */
export async function openEngine({ base, site, onProgress }) {
  const url = new URL(encodeURIComponent(site.model.file), base).href;
  const worker = startWorker();
  try {
    const state = await new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new EngineError("runtime", event.message || "the worker cannot be started"));
      worker.onmessage = ({ data }) => {
        /** @type {import("./worker.mjs").Answer} */
        const answer = data;
        if (answer.kind === "progress") onProgress(answer.loaded, answer.total);
        if (answer.kind === "opened") resolve(answer.state);
        if (answer.kind === "failed") reject(new EngineError(answer.code, answer.detail));
      };
      worker.postMessage({ kind: "open", url, site, only: forcedProvider() });
    });
    return new Engine(worker, state, site.input.z_dim);
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** A model that is ready to draw. */
export class Engine {
  #worker;
  #state;
  #zDim;
  #lastId = 0;
  /** @type {unknown} why nothing can be drawn any more. */
  #end = null;
  /** @type {Map<number, Pending>} */
  #pending = new Map();

  /**
   * @param {Worker} worker that has opened its model.
   * @param {import("./worker.mjs").State} state
   * @param {number} zDim
   */
  constructor(worker, state, zDim) {
    this.#worker = worker;
    this.#state = state;
    this.#zDim = zDim;
    worker.onmessage = ({ data }) => this.#take(data);
    worker.onerror = (event) => this.#stop(new EngineError("runtime", event.message || "the worker has failed"));
  }

  /** @returns {Provider} */
  get provider() {
    return this.#state.provider;
  }

  /** Threads that draw; 1 with WebGPU. */
  get threads() {
    return this.#state.threads;
  }

  /** A running estimate. */
  get millisecondsPerFace() {
    return this.#state.millisecondsPerFace;
  }

  /**
   * Draw faces, after all that were asked for before.
   *
   * @param {Float32Array} z latents, [n * z_dim].
   * @param {{signal?: AbortSignal}} options an abort rejects at once; the worker gives up after the block it is at.
   * @returns {Promise<Uint8Array>} [n * size * size * 3], RGB.
   * @throws {EngineError | DOMException | RangeError} runtime; the signal's reason, an AbortError unless the page gave
   *   another; numbers that are no whole latents.
   */
  async draw(z, { signal } = {}) {
    if (z.length % this.#zDim !== 0) {
      throw new RangeError(`${z.length} numbers are no whole latents of ${this.#zDim}`);
    }
    if (this.#end !== null) throw this.#end;
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const abort = () => {
      this.#worker.postMessage({ kind: "abort", id });
      this.#pending.get(id)?.reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { resolve, reject });
        const sent = z.slice(); // a copy to give away: else all of what z is a part of would be copied
        this.#worker.postMessage({ kind: "draw", id, z: sent }, [sent.buffer]);
      });
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** End the worker; draws that wait, and later ones, reject with AbortError. */
  close() {
    this.#stop(new DOMException("the engine was closed", "AbortError"));
  }

  /** @param {import("./worker.mjs").Answer} answer */
  #take(answer) {
    if (answer.kind === "drawn") {
      this.#state = answer.state;
      this.#pending.get(answer.id)?.resolve(answer.pictures);
    } else if (answer.kind === "failed" && answer.id !== null) {
      this.#pending.get(answer.id)?.reject(new EngineError(answer.code, answer.detail));
    }
  }

  /** @param {unknown} error */
  #stop(error) {
    this.#worker.terminate();
    this.#end ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
  }
}

/** A page that is opened by file:// may start none. */
function startWorker() {
  try {
    return new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
  } catch (error) {
    throw asEngineError(error);
  }
}

/** @returns {Provider | null} */
function forcedProvider() {
  const asked = new URLSearchParams(globalThis.location?.search).get("provider");
  return PROVIDERS.includes(asked ?? "") ? /** @type {Provider} */ (asked) : null;
}

// @ts-check
/** Many faces through a session that is fed a few at a time, so that a draw can be given up between two blocks. */

import { asEngineError } from "./engine-error.mjs";

/** @typedef {import("./session.mjs").FaceSession} FaceSession */

/** As many faces as a block has at most. */
export const BLOCK = 8;
const BLOCK_MILLISECONDS = 100;
// How far the running estimate of the time per face follows a new measurement, once there are a few.
const FOLLOW = 0.2;

export class Drawer {
  #session;
  #zDim;
  #reopen;
  #milliseconds;
  #blocks = 0;

  /**
   * @param {FaceSession} session
   * @param {number} zDim
   * @param {(() => Promise<FaceSession>) | null} reopen opens another session when a WebGPU session fails, as it does
   *   when the graphics driver restarts; null to let the failure through.
   */
  constructor(session, zDim, reopen) {
    this.#session = session;
    this.#zDim = zDim;
    this.#reopen = reopen;
    this.#milliseconds = session.millisecondsPerFace;
  }

  /** How this draws, and how fast: a running estimate. */
  get state() {
    const { provider, threads } = this.#session;
    return { provider, threads, millisecondsPerFace: this.#milliseconds };
  }

  /**
   * @param {Float32Array} z [n * zDim].
   * @param {AbortSignal} signal looked at before every block.
   * @returns {Promise<Uint8Array<ArrayBuffer>>} [n * size * size * 3], RGB.
   * @throws {EngineError | DOMException} runtime; AbortError.
   */
  async draw(z, signal) {
    /** @type {Uint8Array[]} */
    const drawn = [];
    for (let face = 0, faces; face * this.#zDim < z.length; face += faces) {
      await nextTask(); // lets the message in that aborts this
      signal.throwIfAborted();
      faces = Math.min(this.#blockSize(), z.length / this.#zDim - face);
      drawn.push(await this.#run(z.slice(face * this.#zDim, (face + faces) * this.#zDim)));
    }
    return joined(drawn);
  }

  /** WebAssembly gains little from a full block: a slow model's may be smaller. */
  #blockSize() {
    if (this.#session.provider === "webgpu") return BLOCK;
    return Math.min(BLOCK, Math.max(1, Math.floor(BLOCK_MILLISECONDS / this.#milliseconds)));
  }

  /** @param {Float32Array} z at most a block. */
  async #run(z) {
    const faces = z.length / this.#zDim;
    const start = performance.now();
    const pictures = await this.#runPadded(z).catch(async (error) => {
      if (this.#session.provider !== "webgpu" || this.#reopen === null) throw asEngineError(error);
      this.#session = await this.#reopen();
      return this.#runPadded(z);
    });
    // The first block compiles and allocates; its weight is soon gone.
    const follow = Math.max(FOLLOW, 1 / ++this.#blocks);
    this.#milliseconds += follow * ((performance.now() - start) / faces - this.#milliseconds);
    return pictures.subarray(0, (pictures.length / this.#fed(faces)) * faces);
  }

  /** @param {Float32Array} z */
  #runPadded(z) {
    const padded = new Float32Array(this.#fed(z.length / this.#zDim) * this.#zDim);
    padded.set(z);
    return this.#session.run(padded);
  }

  /**
   * How many faces are fed for so many: WebGPU compiles its shaders anew for each size, and so sees but two.
   *
   * @param {number} faces
   */
  #fed(faces) {
    return this.#session.provider === "webgpu" && faces > 1 ? BLOCK : faces;
  }
}

const channel = new MessageChannel();

/** The task after those that wait already; a timer would come 4 ms late. */
function nextTask() {
  return new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

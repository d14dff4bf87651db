// @ts-check
/** One model in one build of onnxruntime-web: WebGPU where the browser has it, else WebAssembly. */

import { asEngineError, EngineError } from "./engine-error.mjs";
import { latents } from "./latents.mjs";

/**
 * @typedef {"webgpu" | "wasm"} Provider
 * @typedef {{input: {name: string, z_dim: number}, output: {name: string}, size: number}} Contract part of site.json.
 * @typedef {object} FaceSession
 * @property {Provider} provider
 * @property {number} threads
 * @property {number} millisecondsPerFace of the face that was drawn for trial.
 * @property {(z: Float32Array) => Promise<Uint8Array>} run [n * z_dim] -> [n * size * size * 3], RGB.
 */

const RUNTIME = new URL("./runtime/", import.meta.url);
// The WebGPU build is twice as heavy and its WebAssembly slower, so each provider has the build that is made for it.
const BUILDS = {
  webgpu: { module: "ort.webgpu.min.mjs", wasm: "ort-wasm-simd-threaded.asyncify.wasm" },
  wasm: { module: "ort.wasm.min.mjs", wasm: "ort-wasm-simd-threaded.wasm" },
};
const MAX_THREADS = 4;
const ERRORS_ONLY = 3;
// ONNX Runtime's codes for INVALID_PROTOBUF and INVALID_GRAPH.
const NO_MODEL = /ERROR_CODE: (7|10)\b/;

/**
 * Open the model with WebGPU where there is a graphics adapter and it draws, else with WebAssembly.
 *
 * @param {Promise<Uint8Array>} model the file; the runtime is fetched while it is on its way.
 * @param {Contract} contract
 * @param {Provider | null} only the one provider to try; null for the best that works.
 * @returns {Promise<FaceSession>}
 * @throws {EngineError}
 */
export async function openSession(model, contract, only) {
  if (only === "webgpu" || (only === null && (await hasAdapter()))) {
    try {
      return await openWith("webgpu", model, contract);
    } catch (error) {
      if (only !== null || asEngineError(error).code !== "runtime") throw asEngineError(error);
    }
  }
  return openWith("wasm", model, contract).catch((error) => {
    throw asEngineError(error);
  });
}

/** Whether WebGPU has a real adapter: one in software is slower than WebAssembly. */
async function hasAdapter() {
  const adapter = await /** @type {any} */ (globalThis.navigator)?.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
}

/**
 * @param {Provider} provider
 * @param {Promise<Uint8Array>} model
 * @param {Contract} contract
 * @returns {Promise<FaceSession>}
 */
async function openWith(provider, model, contract) {
  const mayThread = provider === "wasm" && globalThis.crossOriginIsolated;
  const threads = mayThread ? Math.min(navigator.hardwareConcurrency, MAX_THREADS) : 1;
  const [ort, bytes] = await Promise.all([loadRuntime(provider, threads), model]);
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    logSeverityLevel: ERRORS_ONLY,
  }).catch((/** @type {unknown} */ error) => {
    const { message } = asEngineError(error);
    throw NO_MODEL.test(message) ? new EngineError("broken", message) : error;
  });
  checkContract(session, contract);

  /** @type {FaceSession["run"]} */
  async function run(z) {
    const input = new ort.Tensor("float32", z, [z.length / contract.input.z_dim, contract.input.z_dim]);
    const { [contract.output.name]: images } = await session.run({ [contract.input.name]: input });
    return images.data;
  }

  const start = performance.now();
  const face = await run(latents(0n, [0n], contract.input.z_dim));
  const millisecondsPerFace = performance.now() - start;
  if (provider === "webgpu" && face.every((value) => value === face[0])) {
    throw new EngineError("runtime", "WebGPU draws a picture of one colour");
  }
  return { provider, threads, millisecondsPerFace, run };
}

/**
 * @param {Provider} provider
 * @param {number} threads
 */
async function loadRuntime(provider, threads) {
  if (typeof WebAssembly === "undefined") throw new EngineError("runtime", "this browser has no WebAssembly");
  const build = BUILDS[provider];
  const [ort, wasm] = await Promise.all([import(new URL(build.module, RUNTIME).href), fetchWasm(build.wasm)]);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = RUNTIME.href;
  // Given by hand it loads beside the model rather than after it, and from servers that do not know its MIME type.
  ort.env.wasm.wasmBinary = wasm;
  return ort;
}

/** @param {string} name */
async function fetchWasm(name) {
  const url = new URL(name, RUNTIME);
  const response = await fetch(url);
  if (!response.ok) throw new EngineError("runtime", `${url} answers ${response.status}`);
  return response.arrayBuffer();
}

/**
 * @param {{inputMetadata: readonly any[], outputMetadata: readonly any[]}} session
 * @param {Contract} contract
 */
function checkContract({ inputMetadata, outputMetadata }, { input, output, size }) {
  const taken = inputMetadata.map(listed);
  const given = outputMetadata.map(listed);
  // A symbolic dimension, here the batch, is shown as a name.
  const takes = inputMetadata.length === 1 && matches(inputMetadata[0], input.name, "float32", [input.z_dim]);
  const gives = outputMetadata.some((port) => matches(port, output.name, "uint8", [size, size, 3]));
  if (!takes || !gives) {
    throw new EngineError(
      "foreign",
      `takes ${taken.join(", ")} and gives ${given.join(", ")}; site.json says` +
        ` ${input.name}: float32 [N,${input.z_dim}] and ${output.name}: uint8 [N,${size},${size},3]`,
    );
  }
}

/**
 * @param {{name: string, type: string, shape: readonly (number | string)[]}} port
 * @param {string} name
 * @param {string} type
 * @param {readonly number[]} sides those after the batch
 */
function matches(port, name, type, sides) {
  const [batch, ...rest] = port.shape ?? [];
  return port.name === name && port.type === type && typeof batch === "string" && String(rest) === String(sides);
}

/** @param {{name: string, type: string, shape: readonly (number | string)[]}} port */
function listed(port) {
  return `${port.name}: ${port.type} [${port.shape}]`;
}

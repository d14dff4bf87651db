// @ts-check
/** The model's file over the network, checked against what site.json says of it. */

import { EngineError } from "./engine-error.mjs";

/**
 * Fetch the model and check its length and, where the page may (crypto.subtle needs HTTPS or localhost), its SHA-256.
 *
 * @param {URL} url
 * @param {{bytes: number, sha256: string}} model as site.json has it.
 * @param {(loadedBytes: number, totalBytes: number) => void} onProgress called at the start and for each piece.
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {EngineError} missing or broken.
 */
export async function download(url, model, onProgress) {
  // A model and a site.json of different ages would not fit together: ask the server, which mostly answers "unchanged".
  const response = await fetch(url, { cache: "no-cache" }).catch((error) => {
    throw new EngineError("missing", `${url} cannot be fetched (${error.message})`);
  });
  if (!response.ok || !response.body) throw new EngineError("missing", `${url} answers ${response.status}`);
  const bytes = new Uint8Array(model.bytes);
  let loaded = 0;
  onProgress(loaded, model.bytes);
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new EngineError("broken", `${url} broke off after ${loaded} of ${model.bytes} bytes (${error.message})`);
    });
    if (done) break;
    if (loaded + value.length > model.bytes) {
      await reader.cancel();
      throw new EngineError("broken", `${url} is longer than the ${model.bytes} bytes that site.json says`);
    }
    bytes.set(value, loaded);
    loaded += value.length;
    onProgress(loaded, model.bytes);
  }
  if (loaded !== model.bytes) {
    throw new EngineError("broken", `${url} has ${loaded} bytes; site.json says ${model.bytes}`);
  }
  if (globalThis.crypto?.subtle) {
    const sha256 = hex(await crypto.subtle.digest("SHA-256", bytes));
    if (sha256 !== model.sha256) {
      throw new EngineError("broken", `${url} has SHA-256 ${sha256}; site.json says ${model.sha256}`);
    }
  }
  return bytes;
}

/** @param {ArrayBuffer} digest */
function hex(digest) {
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// @ts-check
/**
 * What keeps faces from being drawn.
 *
 * - missing: the model cannot be fetched.
 * - broken: what was fetched is not the model that was published: cut short, altered, or no ONNX file.
 * - foreign: the model takes or gives other things than site.json says.
 * - runtime: the browser, or the runtime in it, cannot draw: no WebAssembly, out of memory, a file of the runtime gone.
 *
 * @typedef {"missing" | "broken" | "foreign" | "runtime"} EngineErrorCode
 */

export class EngineError extends Error {
  /**
   * @param {EngineErrorCode} code
   * @param {string} detail what happened, in English, for people who mend things.
   */
  constructor(code, detail) {
    super(`${code}: ${detail}`);
    this.name = "EngineError";
    this.code = code;
    this.detail = detail;
  }
}

/**
 * Any failure as an EngineError; what is none yet comes from the runtime.
 *
 * @param {unknown} error an Error, or the bare number that WebAssembly throws for an exception of C++.
 * @returns {EngineError}
 */
export function asEngineError(error) {
  if (error instanceof EngineError) return error;
  return new EngineError("runtime", error instanceof Error ? error.message : String(error));
}

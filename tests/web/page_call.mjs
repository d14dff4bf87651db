// node page_call.mjs FOLDER < CALLS: call functions of the page's modules. CALLS is JSON, [{module, name, args}, ...];
// on stdout, as JSON: for each call {value, milliseconds} or {error, message}. What JSON has no form for stands as an
// object of one key: {bigint: "12"}, or {Float32Array: BASE64} and the like; a Blob comes as a Uint8Array of its bytes.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const ARRAYS = { Float32Array, Uint8Array, Uint32Array };

function revive(key, value) {
  const [[kind, held] = []] = Object.entries(value ?? {});
  if (kind === "bigint") return BigInt(held);
  if (!(kind in ARRAYS)) return value;
  const bytes = Uint8Array.from(Buffer.from(held, "base64"));
  return new ARRAYS[kind](bytes.buffer);
}

function replace(key, value) {
  if (!ArrayBuffer.isView(value)) return value;
  return { [value.constructor.name]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
}

async function outcome({ module, name, args }) {
  const called = (await import(new URL(module, folder).href))[name];
  const start = performance.now();
  try {
    const value = await called(...args);
    const milliseconds = performance.now() - start;
    return { value: value instanceof Blob ? new Uint8Array(await value.arrayBuffer()) : value, milliseconds };
  } catch (error) {
    return { error: error.name, message: error.message };
  }
}

const folder = pathToFileURL(`${process.argv[2]}/`);
const outcomes = [];
for (const call of JSON.parse(await text(process.stdin), revive)) outcomes.push(await outcome(call));
console.log(JSON.stringify(outcomes, replace));

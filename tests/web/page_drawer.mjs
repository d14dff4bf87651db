// node page_drawer.mjs FOLDER: the blocks that the page's Drawer feeds to sessions that only look like some. On stdout,
// as JSON: per case the sizes that were fed, and what came of it.
import { pathToFileURL } from "node:url";

const { Drawer } = await import(new URL("drawer.mjs", pathToFileURL(`${process.argv[2]}/`)).href);
const Z_DIM = 2;

/** Each "picture" is three times its latent's first number. */
function session(provider, millisecondsPerFace, fed, run = () => {}) {
  return {
    provider,
    threads: 1,
    millisecondsPerFace,
    run: async (z) => {
      fed.push(z.length / Z_DIM);
      run();
      return Uint8Array.from({ length: (3 * z.length) / Z_DIM }, (_, i) => z[Z_DIM * Math.floor(i / 3)]);
    },
  };
}

async function drawn(drawer, faces, signal = new AbortController().signal) {
  const z = Float32Array.from({ length: Z_DIM * faces }, (_, i) => i / Z_DIM);
  return drawer.draw(z, signal).then(
    (pictures) => Array.from(pictures).filter((_, i) => i % 3 === 0),
    (error) => `${error.name}: ${error.code} ${error.message}`,
  );
}

const cases = {};

for (const [name, provider, millisecondsPerFace, faces] of [
  ["wasm", "wasm", 1, 20],
  ["slow wasm", "wasm", 250, 3],
  ["webgpu", "webgpu", 250, 20],
  ["webgpu, a rest of one", "webgpu", 1, 9],
  ["webgpu, one", "webgpu", 1, 1],
]) {
  const fed = [];
  const pictures = await drawn(new Drawer(session(provider, millisecondsPerFace, fed), Z_DIM, null), faces);
  cases[name] = { fed, pictures };
}

{
  const fed = [];
  const controller = new AbortController();
  const abortAtThird = () => fed.length === 3 && controller.abort();
  const pictures = await drawn(new Drawer(session("wasm", 1, fed, abortAtThird), Z_DIM, null), 800, controller.signal);
  cases.aborted = { fed, pictures };
}

for (const mended of [true, false]) {
  const fed = [];
  const lost = session("webgpu", 1, fed, () => {
    throw new Error("device lost");
  });
  const drawer = new Drawer(lost, Z_DIM, mended ? async () => session("wasm", 1, fed) : null);
  const pictures = await drawn(drawer, 3);
  cases[mended ? "mended" : "lost"] = { fed, pictures, provider: drawer.state.provider };
}

console.log(JSON.stringify(cases));
process.exit(); // the message channel that the drawer yields by would keep Node alive

// node draw.mjs MODEL LATENTS PICTURES: draw raw float32 latents [N, z_dim] as raw uint8 pictures [N, H, W, 3] by the
// WebAssembly build of onnxruntime-web, which is what a browser runs. On stdout: shape and runtime, as JSON.
import { readFile, writeFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";

const [model, latents, pictures] = process.argv.slice(2);
ort.env.wasm.numThreads = 1; // as in a page without cross-origin isolation

const session = await ort.InferenceSession.create(await readFile(model), { executionProviders: ["wasm"] });
const [{ name, shape }] = session.inputMetadata;
const numbers = new Float32Array(new Uint8Array(await readFile(latents)).buffer);
const z = new ort.Tensor("float32", numbers, [numbers.length / shape[1], shape[1]]);

const { [session.outputNames[0]]: images } = await session.run({ [name]: z });
await writeFile(pictures, images.data);
console.log(JSON.stringify({ shape: images.dims, type: images.type, version: ort.env.versions.web }));

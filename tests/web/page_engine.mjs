// node page_engine.mjs FOLDER BASE < WANTED: draw through the engine of the page whose modules lie in FOLDER and whose
// models are served under the URL BASE. WANTED is JSON, {sites, latents}: latents, raw float32 in base64, are drawn by
// the first of the sites, the others are only opened. On stdout, as JSON: what each site came to.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import "./page_web_worker.mjs";

const [folder, base] = process.argv.slice(2);
const { openEngine } = await import(new URL("engine.mjs", pathToFileURL(`${folder}/`)).href);

async function outcome(site, latents) {
  const progress = [];
  try {
    const engine = await openEngine({ base: new URL(base), site, onProgress: (...step) => progress.push(step) });
    const { provider, threads } = engine;
    const drawn = latents && (await drawWithAborts(engine, latents));
    const { millisecondsPerFace } = engine;
    engine.close();
    const closed = await engine.draw(new Float32Array(site.input.z_dim)).catch((error) => error.name);
    return { provider, threads, millisecondsPerFace, progress, closed, ...drawn };
  } catch ({ name, code, detail }) {
    return { name, code, detail };
  }
}

async function drawWithAborts(engine, latents) {
  const order = [];
  const told = (name) => [() => order.push(name), (error) => order.push(`${name}: ${error.name}`)];
  const [running, queued] = [new AbortController(), new AbortController()];
  const long = new Float32Array(400 * latents.length);
  const draws = [
    engine.draw(long, { signal: running.signal }).then(...told("running")),
    engine.draw(latents, { signal: queued.signal }).then(...told("queued")),
    engine.draw(latents, { signal: AbortSignal.abort() }).then(...told("late")),
    engine.draw(latents.subarray(1)).then(...told("torn")),
    engine.draw(new Float32Array(0)).then(...told("empty")),
  ];
  const pictures = engine.draw(latents);
  draws.push(pictures.then(...told("drawn")));
  queued.abort();
  setTimeout(() => running.abort(), 10);
  await Promise.all(draws);
  return { order, pictures: Buffer.from(await pictures).toString("base64") };
}

const { sites, latents } = JSON.parse(await text(process.stdin));
const numbers = new Float32Array(Uint8Array.from(Buffer.from(latents, "base64")).buffer);
const outcomes = [];
for (const [n, site] of sites.entries()) outcomes.push(await outcome(site, n === 0 ? numbers : null));
console.log(JSON.stringify(outcomes));

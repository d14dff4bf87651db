// A browser's Worker on Node's worker threads, as far as the page's engine uses one. The page's modules lie in files
// here, so a worker's fetch() also reads file: URLs, which Node's refuses.
import { readFile } from "node:fs/promises";
import { isMainThread, parentPort, Worker as Thread, workerData } from "node:worker_threads";

globalThis.Worker = class {
  #thread;

  constructor(url) {
    this.#thread = new Thread(new URL(import.meta.url), { workerData: { url: url.href } });
    this.#thread.on("message", (data) => this.onmessage({ data }));
    this.#thread.on("error", (error) => this.onerror({ message: error.message }));
  }

  postMessage(message, transfer) {
    this.#thread.postMessage(message, transfer);
  }

  terminate() {
    this.#thread.terminate();
  }
};

if (!isMainThread && workerData.url) {
  const webFetch = globalThis.fetch;
  globalThis.fetch = async (url, options) =>
    String(url).startsWith("file:") ? new Response(await readFile(new URL(url))) : webFetch(url, options);
  globalThis.self = {
    addEventListener: (type, listener) => parentPort.on(type, (data) => listener({ data })),
    postMessage: (message, { transfer }) => parentPort.postMessage(message, transfer),
  };
  await import(workerData.url);
}

// @ts-check
/** What the page says in place of faces when there can be none: what is wrong, and what to do. */

import { byId, make } from "./dom.mjs";
import { words } from "./texts.mjs";

const COMMAND = "genface page --model gen.onnx --out site";

/**
 * @param {unknown} error a SiteError or an EngineError; any other is told as one of the runtime.
 */
export function showProblem(error) {
  const { code = "runtime", detail = String(error) } = /** @type {{code?: string, detail?: string}} */ (error);
  const problems = /** @type {Record<string, typeof words.problems.runtime>} */ (words.problems);
  const { title, text, remedy } = problems[code] ?? problems.runtime;
  const reload = make("button", { type: "button", class: "primary" }, words.reload);
  reload.addEventListener("click", () => location.reload());

  const panel = byId("problem", HTMLElement);
  panel.dataset.code = code;
  panel.replaceChildren(
    make("h2", {}, title),
    make("p", {}, text),
    make("p", {}, remedy),
    ...(code === "runtime" ? [] : [make("pre", {}, make("code", {}, COMMAND))]),
    make("p", { class: "quiet detail", lang: "en" }, detail),
    reload,
  );
  panel.hidden = false;
  byId("studio", HTMLElement).hidden = true;
}

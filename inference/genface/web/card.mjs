// @ts-check
/** The model's card: what it is, what it learned from, how well it does, and what draws it here. */

import { byId, make, setText } from "./dom.mjs";
import { formatMegabytes, formatNumber, words } from "./texts.mjs";

/**
 * Write the card in the page's language.
 *
 * @param {import("./site.mjs").Site} site
 */
export function showCard({ model, size, card, scores, genface }) {
  /** @type {Partial<Record<keyof typeof words.cardRows, string | number | null>>} */
  const values = {
    ...card,
    file: `${model.file}, ${formatMegabytes(model.bytes)}`,
    size: words.size(size),
    made: words.made,
    model_sha256: model.sha256,
  };
  const rows = Object.entries(words.cardRows).flatMap(([key, name]) => {
    const value = values[/** @type {keyof typeof words.cardRows} */ (key)];
    const text = typeof value === "number" ? formatNumber(value) : value;
    if (!text) return [];
    /** @type {Record<string, string>} */
    const kind = key.endsWith("sha256") ? { class: "hash", title: text } : {};
    return [make("div", {}, make("dt", {}, name), make("dd", kind, text))];
  });
  byId("card-rows", HTMLElement).replaceChildren(...rows);
  byId("scores", HTMLElement).replaceChildren(...(scores.length ? [scoreTable(scores)] : []));
  setText(byId("version", HTMLElement), words.version(genface));
  setText(byId("model", HTMLElement), model.file);
  byId("card", HTMLElement).hidden = false;
}

/**
 * Say what draws, and how fast it is by now.
 *
 * @param {import("./engine.mjs").Engine} engine
 */
export function showSpeed({ provider, threads, millisecondsPerFace }) {
  const milliseconds = formatNumber(millisecondsPerFace, { maximumSignificantDigits: 2 });
  setText(byId("speed", HTMLElement), words.drawnBy(provider, threads, milliseconds));
}

/** @param {import("./site.mjs").Site["scores"]} scores */
function scoreTable(scores) {
  const rows = scores.map(({ score, value }) => {
    return make("tr", {}, make("th", { scope: "row" }, score), make("td", {}, value));
  });
  return make("table", {}, make("caption", {}, words.scores), make("tbody", {}, ...rows));
}

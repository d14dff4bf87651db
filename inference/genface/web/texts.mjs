// @ts-check
/**
 * What the page says, in the language of its visitor. Elements of index.html name their text by `data-text`, their accessible
 * name by `data-label`.
 */

import { ENGLISH } from "./english.mjs";
import { RUSSIAN } from "./russian.mjs";

/** @typedef {keyof typeof TEXTS} Language */

const TEXTS = { en: ENGLISH, ru: RUSSIAN };
const STORED = "genface-language";

/** The texts of the page's language; importers see it change. */
export let words = ENGLISH;
/** @type {Language} */
export let language = "en";

/** @returns {Language} what the visitor chose before, else the first of the browser's languages that the page speaks. */
export function preferredLanguage() {
  const wishes = [stored(), ...navigator.languages].map((wish) => wish?.slice(0, 2) ?? "");
  return /** @type {Language} */ (wishes.find((wish) => Object.hasOwn(TEXTS, wish)) ?? "en");
}

/**
 * Speak a language: `words` changes, and so do the texts that stand in index.html.
 *
 * @param {Language} chosen
 */
export function speak(chosen) {
  language = chosen;
  words = TEXTS[chosen];
  document.documentElement.lang = chosen;
  const texts = /** @type {Record<string, unknown>} */ (words);
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = String(texts[element.getAttribute("data-text") ?? ""]);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", String(texts[element.getAttribute("data-label") ?? ""]));
  }
}

/** Speak the other language, and keep it for the next visit where the browser lets us. */
export function speakOther() {
  speak(language === "en" ? "ru" : "en");
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // No storage, as in a private window: the choice lasts as long as the page.
  }
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function formatNumber(value, options) {
  return new Intl.NumberFormat(language, options).format(value);
}

/** @param {number} bytes */
export function formatMegabytes(bytes) {
  const options = { maximumFractionDigits: 1, minimumFractionDigits: 1 };
  return `${formatNumber(bytes / 1e6, options)} ${language === "ru" ? "МБ" : "MB"}`;
}

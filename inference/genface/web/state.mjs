// @ts-check
/** What the page shows, as one record, and the part of the address that brings it back. */
import { MAX_INDEX, MAX_SEED } from "./latents.mjs";
import { face, format, moved, parseList } from "./recipe.mjs";

/**
 * @typedef {import("./recipe.mjs").Recipe} Recipe
 * @typedef {object} View
 * @property {bigint} seed of the wall
 * @property {bigint} first index on the wall, a multiple of PAGE
 * @property {number | null} truncation of every face; null: none
 * @property {Recipe} centre the face shown large, before it is moved
 * @property {number[]} moves of the centre along the model's directions, in standard deviations
 * @property {Recipe[]} picks the faces to walk through and to mix, at most MAX_PICKS
 */

/** Faces on one page of the wall: whole rows at three, four and six columns. */
export const PAGE = 24;
export const MAX_PICKS = 6;
export const MAX_MOVE = 3;
/** The longest address that every browser and most messengers carry unharmed. */
const MAX_HASH = 4000;

/** @returns {View} */
export const firstView = () => ({ seed: 0n, first: 0n, truncation: null, centre: face(0n, 0n), moves: [], picks: [] });

/** @param {bigint} index @returns {bigint} the first index of the page that has it */
export const pageOf = (index) => index - (index % BigInt(PAGE));

/** @param {View} view @returns {Recipe} the face shown large, as it is drawn */
export const shown = (view) => moved(view.centre, view.moves);

/**
 * A whole number typed by a person; leading zeros, as in the archive's names, are fine.
 * @param {string} text @param {bigint} largest @returns {bigint | null}
 */
export function parseWhole(text, largest) {
  const digits = text.trim();
  if (!/^\d{1,40}$/.test(digits)) return null;
  return BigInt(digits) <= largest ? BigInt(digits) : null;
}

/** @param {View} view @returns {string} with its `#` */
export function writeHash(view) {
  const parts = [`seed=${view.seed}`];
  if (view.first) parts.push(`first=${view.first}`);
  if (view.truncation !== null) parts.push(`truncation=${view.truncation}`);
  parts.push(`centre=${format(shown(view))}`);
  if (view.picks.length) parts.push(`picks=${view.picks.map(format)}`);
  parts.push("v=1"); // last: programs that turn text into links leave out a closing bracket at the end
  return `#${parts.join("&")}`;
}

/** @param {View} view @returns {boolean} whether a link can hold it */
export const fitsLink = (view) => writeHash(view).length <= MAX_HASH;

/**
 * Read a view back. What is not there keeps its first value, and so does what cannot be understood.
 * @param {string} hash with or without `#` @param {number} directions how many the model has
 * @returns {{view: View, bad: string[]}} bad: the parts that were not understood
 */
export function readHash(hash, directions) {
  const view = firstView();
  /** @type {string[]} */
  const bad = [];
  for (const part of hash.replace(/^#/, "").slice(0, MAX_HASH).split("&").filter(Boolean)) {
    const [, name, text] = /** @type {RegExpExecArray} */ (/^([^=]*)=?(.*)$/s.exec(decoded(part)));
    try {
      if (!Object.hasOwn(READERS, name)) throw new SyntaxError("no such part");
      READERS[name](view, text, directions);
    } catch {
      bad.push(part);
    }
  }
  if (!/[#&]?centre=/.test(hash)) view.centre = face(view.seed, view.first);
  return { view, bad };
}

/** @type {Record<string, (view: View, text: string, directions: number) => void>} */
const READERS = {
  v: (_, text) => {
    if (text !== "1") throw new SyntaxError("a newer link");
  },
  seed: (view, text) => {
    view.seed = whole(text, MAX_SEED);
  },
  first: (view, text) => {
    view.first = pageOf(whole(text, MAX_INDEX));
  },
  truncation: (view, text) => {
    const value = /^\d{1,2}(\.\d{1,4})?$/.test(text) ? Number(text) : 0;
    if (value <= 0) throw new SyntaxError("truncation is above 0");
    view.truncation = value;
  },
  centre: (view, text, directions) => {
    const [recipe, ...more] = parseList(text, directions);
    if (more.length) throw new SyntaxError("one centre");
    // Sliders can take back what they can show: each direction once, in order, within their range.
    const taken =
      recipe.kind === "move" &&
      recipe.by.every(
        ([k, amount], place) => Math.abs(amount) <= MAX_MOVE && (place === 0 || k > recipe.by[place - 1][0]),
      );
    view.centre = taken ? recipe.from : recipe;
    view.moves = [];
    if (taken) for (const [k, amount] of recipe.by) view.moves[k] = amount;
    view.moves = Array.from(view.moves, (amount) => amount ?? 0);
  },
  picks: (view, text, directions) => {
    const picks = parseList(text, directions);
    if (picks.length > MAX_PICKS) throw new SyntaxError("too many picks");
    view.picks = [...new Map(picks.map((pick) => [format(pick), pick])).values()]; // each once
  },
};

/** @param {string} text @param {bigint} largest */
function whole(text, largest) {
  const value = parseWhole(text, largest);
  if (value === null) throw new SyntaxError(`${text} is no whole number up to ${largest}`);
  return value;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// @ts-check
/**
 * A face as a formula: which latent it is drawn from. Every face on the page is one of these, so a link or a saved
 * picture can say exactly what it shows.
 *
 *     0:4711                        image 4711 of seed 0, as `genface` draws it
 *     walk(0.35,0:1,0:5)            35 % of the way from one to the other; 1.2 of three: 20 % of the second leg
 *     mix(1*0:1,3*0:5)              their weighted mean on the sphere
 *     move(0:12,d1*1.5,d4*-0.3)     moved along the model's directions 1 and 4, in this order
 */
import { latents, MAX_INDEX, MAX_SEED } from "./latents.mjs";
import { mix, move, slerp } from "./paths.mjs";

/**
 * @typedef {{kind: "face", seed: bigint, index: bigint}} Face
 * @typedef {{kind: "walk", at: number, through: Recipe[]}} Walk
 * @typedef {{kind: "mix", weights: number[], of: Recipe[]}} Mix
 * @typedef {{kind: "move", from: Recipe, by: [number, number][]}} Move  pairs of direction (from 0) and amount
 * @typedef {Face | Walk | Mix | Move} Recipe
 * @typedef {{zDim: number, truncation: number | null, directions: Float32Array[]}} Kitchen
 */

/** Deeper formulas are refused: nobody writes them by hand, and a hostile link could. */
const MAX_DEPTH = 24;

/** @param {bigint} seed @param {bigint} index @returns {Face} */
export const face = (seed, index) => ({ kind: "face", seed, index });

/**
 * A recipe moved along directions; the recipe itself when no amount differs from zero.
 * @param {Recipe} recipe @param {number[]} amounts by direction @returns {Recipe}
 */
export function moved(recipe, amounts) {
  const by = /** @type {[number, number][]} */ ([...amounts.entries()].filter(([, amount]) => amount !== 0));
  return by.length ? { kind: "move", from: recipe, by } : recipe;
}

/** @param {Recipe} recipe @returns {string} */
export function format(recipe) {
  switch (recipe.kind) {
    case "face":
      return `${recipe.seed}:${recipe.index}`;
    case "walk":
      return `walk(${[number(recipe.at), ...recipe.through.map(format)]})`;
    case "mix":
      return `mix(${recipe.of.map((part, k) => `${number(recipe.weights[k])}*${format(part)}`)})`;
    case "move":
      return `move(${[format(recipe.from), ...recipe.by.map(([k, amount]) => `d${k + 1}*${number(amount)}`)]})`;
  }
}

/** At most four decimals: what the page's sliders give, in a form that reads back as the same number. */
const number = (/** @type {number} */ value) => String(Number(value.toFixed(4)));

/**
 * Read recipes that stand side by side, separated by commas.
 *
 * @param {string} text
 * @param {number} directions how many the model has.
 * @returns {Recipe[]}
 * @throws {SyntaxError} for anything else.
 */
export function parseList(text, directions) {
  return new Reader(text, directions).list();
}

/** Reads from left to right, by the grammar at the top of this file; every method takes what it reads off the text. */
class Reader {
  #rest;
  #directions;

  /** @param {string} text @param {number} directions */
  constructor(text, directions) {
    this.#rest = text;
    this.#directions = directions;
  }

  list() {
    const found = [this.#recipe(0)];
    while (this.#next(",")) found.push(this.#recipe(0));
    this.#take(/^$/);
    return found;
  }

  /** @param {number} depth @returns {Recipe} */
  #recipe(depth) {
    if (depth > MAX_DEPTH) throw new SyntaxError("this face is nested too deeply");
    const made = this.#next("walk(")
      ? this.#walk(depth + 1)
      : this.#next("mix(")
        ? this.#mix(depth + 1)
        : this.#next("move(")
          ? this.#move(depth + 1)
          : this.#face();
    if (made.kind !== "face") this.#take(/^\)/);
    return made;
  }

  #face() {
    const [seed, index] = this.#take(/^(\d{1,20}):(\d{1,19})/).map(BigInt);
    if (seed > MAX_SEED || index > MAX_INDEX) throw new SyntaxError(`there is no face ${index} of seed ${seed}`);
    return face(seed, index);
  }

  /** @param {number} depth @returns {Walk} */
  #walk(depth) {
    const [at] = this.#take(/^(\d{1,2}(?:\.\d{1,4})?)/).map(Number);
    const through = [];
    while (this.#next(",")) through.push(this.#recipe(depth));
    if (through.length < 2 || at > through.length - 1) throw new SyntaxError("this walk has no such place");
    return { kind: "walk", at, through };
  }

  /** @param {number} depth @returns {Mix} */
  #mix(depth) {
    const weights = [];
    const of = [];
    do {
      weights.push(Number(this.#take(/^(\d{1,4}(?:\.\d{1,4})?)\*/)[0]));
      of.push(this.#recipe(depth));
    } while (this.#next(","));
    if (!weights.some((weight) => weight > 0)) throw new SyntaxError("this mix has no weight above zero");
    return { kind: "mix", weights, of };
  }

  /** @param {number} depth @returns {Move} */
  #move(depth) {
    const from = this.#recipe(depth);
    /** @type {[number, number][]} */
    const by = [];
    while (this.#next(",")) {
      const [k, amount] = this.#take(/^d(\d{1,2})\*(-?\d{1,2}(?:\.\d{1,4})?)/).map(Number);
      if (k < 1 || k > this.#directions) throw new SyntaxError(`the model has no direction ${k}`);
      by.push([k - 1, amount]);
    }
    return { kind: "move", from, by };
  }

  /**
   * @param {RegExp} pattern that begins with ^.
   * @returns {string[]} its groups.
   */
  #take(pattern) {
    const found = pattern.exec(this.#rest);
    if (!found) throw new SyntaxError(`cannot read a face from ${JSON.stringify(this.#rest.slice(0, 20))}`);
    this.#rest = this.#rest.slice(found[0].length);
    return found.slice(1);
  }

  /** @param {string} sign to be read if it comes next. */
  #next(sign) {
    if (!this.#rest.startsWith(sign)) return false;
    this.#rest = this.#rest.slice(sign.length);
    return true;
  }
}

/**
 * The latent of a recipe. Truncation applies to the faces that it begins with.
 * @param {Recipe} recipe @param {Kitchen} kitchen @returns {Float32Array} zDim numbers
 */
export function latentOf(recipe, kitchen) {
  switch (recipe.kind) {
    case "face":
      return latents(recipe.seed, [recipe.index], kitchen.zDim, kitchen.truncation);
    case "walk": {
      const leg = Math.min(Math.floor(recipe.at), recipe.through.length - 2);
      const [start, end] = [recipe.through[leg], recipe.through[leg + 1]].map((part) => latentOf(part, kitchen));
      return slerp(start, end, recipe.at - leg);
    }
    case "mix":
      return mix(
        recipe.of.map((part) => latentOf(part, kitchen)),
        recipe.weights,
      );
    case "move":
      return recipe.by.reduce(
        (z, [k, amount]) => move(z, kitchen.directions[k], amount),
        latentOf(recipe.from, kitchen),
      );
  }
}

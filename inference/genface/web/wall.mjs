// @ts-check
/** The wall: one page of a seed's faces, to look at, to choose from and to pick from. */

import { byId, make, setText } from "./dom.mjs";
import { MAX_INDEX } from "./latents.mjs";
import { adopt, expect, paint } from "./painting.mjs";
import { face, format } from "./recipe.mjs";
import { MAX_PICKS, PAGE } from "./state.mjs";
import { formatNumber, words } from "./texts.mjs";

/**
 * @typedef {import("./recipe.mjs").Recipe} Recipe
 * @typedef {import("./state.mjs").View} View
 * @typedef {{item: HTMLLIElement, choose: HTMLButtonElement, canvas: HTMLCanvasElement, pick: HTMLButtonElement}} Tile
 */

const EVERY = Array.from({ length: PAGE }, (_, place) => place);
/** By key: from a place and the number of columns to the next place. */
const STEPS = /** @type {Record<string, (place: number, columns: number) => number>} */ ({
  ArrowLeft: (place) => place - 1,
  ArrowRight: (place) => place + 1,
  ArrowUp: (place, columns) => place - columns,
  ArrowDown: (place, columns) => place + columns,
  Home: () => 0,
  End: () => PAGE - 1,
});

/** The empty wall, which keeps its place while the model is loaded. @returns {Tile[]} */
export function hangTiles() {
  const tiles = EVERY.map((place) => {
    const canvas = make("canvas", { class: "face", "data-waiting": "" });
    const choose = make("button", { class: "choose", type: "button", tabindex: place ? "-1" : "0" }, canvas);
    const pick = make("button", { class: "pick", type: "button", tabindex: place ? "-1" : "0" });
    adopt(canvas);
    return { item: make("li", { class: "tile" }, choose, pick), choose, canvas, pick };
  });
  byId("wall", HTMLElement).append(...tiles.map(({ item }) => item));
  return tiles;
}

/**
 * @param {import("./studio.mjs").Studio} studio
 * @param {Tile[]} tiles
 */
export function openWall(studio, tiles) {
  const { store, site } = studio;
  const wall = byId("wall", HTMLElement);
  const name = byId("wall-name", HTMLElement);
  let drawn = "";

  tiles.forEach(({ choose, pick }, place) => {
    choose.addEventListener("click", () => store.change({ centre: faceAt(store.view, place), moves: [] }));
    pick.addEventListener("click", () => togglePick(studio, faceAt(store.view, place)));
    choose.addEventListener("focus", () => makeStop(place));
    pick.addEventListener("focus", () => makeStop(place));
  });

  wall.addEventListener("keydown", (event) => {
    const place = tiles.findIndex(({ item }) => item.contains(document.activeElement));
    const step = STEPS[event.key];
    if (!step || place < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const columns = getComputedStyle(wall).gridTemplateColumns.split(" ").length;
    const next = tiles[Math.min(step(place, columns), onPage(store.view) - 1)];
    const kind = document.activeElement === tiles[place].pick ? "pick" : "choose";
    next?.[kind].focus();
  });

  /** One face of the wall is a stop of the tab key; arrow keys lead to the others. @param {number} stop */
  function makeStop(stop) {
    tiles.forEach(({ choose, pick }, place) => (choose.tabIndex = pick.tabIndex = place === stop ? 0 : -1));
  }

  /** @param {View} view */
  function label(view) {
    const [centre, picks] = [format(view.centre), new Set(view.picks.map(format))];
    setText(name, words.wall(view.seed, view.first, view.first + BigInt(onPage(view) - 1)));
    tiles.forEach(({ item, choose, pick }, place) => {
      const recipe = faceAt(view, place);
      const [text, picked] = [format(recipe), picks.has(format(recipe))];
      item.hidden = place >= onPage(view);
      choose.setAttribute("aria-label", words.name(recipe));
      choose.setAttribute("aria-pressed", String(text === centre));
      pick.setAttribute("aria-label", `${words.pick}: ${words.name(recipe)}`);
      pick.setAttribute("aria-pressed", String(picked));
    });
  }

  /** @param {View} view @param {View | null} before */
  async function redraw(view, before) {
    const begun = performance.now();
    const places = EVERY.slice(0, onPage(view));
    const turned = before?.seed !== view.seed || before.first !== view.first;
    if (turned) for (const { canvas } of tiles) expect(canvas);
    const latents = places.map((place) => studio.latentOf(faceAt(view, place), view));
    const done = await studio.draw("wall", latents, (place, rgb) => paint(tiles[place].canvas, rgb, site.size));
    const seconds = (performance.now() - begun) / 1000;
    if (done) studio.announce(words.drawnIn(places.length, formatNumber(seconds, { maximumFractionDigits: 1 })));
  }

  store.listen((view, before) => {
    label(view);
    const wanted = `${view.seed} ${view.first} ${view.truncation}`;
    if (wanted === drawn) return;
    drawn = wanted;
    void redraw(view, before);
  });
}

/**
 * Pick a face, or lay it back.
 *
 * @param {import("./studio.mjs").Studio} studio
 * @param {Recipe} recipe
 */
export function togglePick({ store, announce }, recipe) {
  const text = format(recipe);
  const { picks } = store.view;
  const others = picks.filter((pick) => format(pick) !== text);
  if (others.length < picks.length) store.change({ picks: others });
  else if (picks.length < MAX_PICKS) store.change({ picks: [...picks, recipe] });
  else announce(words.trayFull(MAX_PICKS));
}

/** @param {View} view @param {number} place */
const faceAt = (view, place) => face(view.seed, view.first + BigInt(place));

/** How many faces the page has: fewer at the end of all indices. @param {View} view */
const onPage = (view) => Math.min(PAGE, Number(MAX_INDEX - view.first) + 1);

// @ts-check
/** The picked faces: a walk from one to the next, and their mixture. */

import { byId, make, setSlider, setText } from "./dom.mjs";
import { Film } from "./film.mjs";
import { adopt, paint } from "./painting.mjs";
import { format } from "./recipe.mjs";
import { formatNumber, words } from "./texts.mjs";
import { togglePick } from "./wall.mjs";

/**
 * @typedef {import("./recipe.mjs").Recipe} Recipe
 * @typedef {import("./state.mjs").View} View
 * @typedef {{canvas: HTMLCanvasElement, choose: HTMLButtonElement, remove: HTMLButtonElement, slider: HTMLInputElement,
 *   output: HTMLOutputElement, item: HTMLLIElement, recipe: Recipe}} Card
 */

const EVEN = 5;
const HEAVIEST = 10;
const SECONDS_PER_LEG = 3;
/** Without motion a walk goes on at request, a quarter of a leg at a time. */
const STEP = 0.25;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * @param {import("./studio.mjs").Studio} studio
 * @param {(rgb: Uint8Array) => void} showFrame
 */
export function openTray(studio, showFrame) {
  const { store, site } = studio;
  const heading = byId("tray-name", HTMLElement);
  const hint = byId("tray-hint", HTMLElement);
  const clear = byId("clear", HTMLButtonElement);
  const walking = byId("walking", HTMLElement);
  const mixing = byId("mixing", HTMLElement);
  const list = byId("picks", HTMLElement);
  const play = byId("play", HTMLButtonElement);
  const walk = byId("walk", HTMLInputElement);
  const walkValue = byId("walk-value", HTMLElement);
  /** @type {Card[]} */
  let cards = [];
  let drawn = "";
  /** The animation that runs, by its next frame; 0: none. */
  let frame = 0;

  /** @param {number} at */
  const walkTo = (at) => store.change({ centre: { kind: "walk", at, through: store.view.picks }, moves: [] });
  /** @param {number[]} weights */
  const mixBy = (weights) => store.change({ centre: { kind: "mix", weights, of: store.view.picks }, moves: [] });
  const legs = () => store.view.picks.length - 1;

  walk.addEventListener("input", () => walkTo(Number(walk.value)));
  byId("mix-evenly", HTMLButtonElement).addEventListener("click", () => mixBy(cards.map(() => EVEN)));
  clear.addEventListener("click", () => store.change({ picks: [] }));
  play.addEventListener("click", () => {
    if (frame) rest();
    else if (STILL.matches) walkTo(Number(walk.value) >= legs() ? 0 : Math.min(Number(walk.value) + STEP, legs()));
    else start();
  });
  STILL.addEventListener("change", () => store.refresh());

  function start() {
    const [through, length] = [store.view.picks, legs()];
    const film = new Film({
      legs: length,
      latentAt: (at) => studio.latentOf({ kind: "walk", at, through }),
      draw: (latents, show) => studio.draw("film", latents, show),
    });
    void film.develop();
    /** There and back, slow at the ends: a cosine, begun where the slider stands. */
    const period = 2 * length * SECONDS_PER_LEG * 1000;
    const offset = (Math.acos(1 - (2 * Number(walk.value)) / length) / (2 * Math.PI)) * period;
    const begun = performance.now() - offset;
    const next = (/** @type {number} */ now) => {
      frame = requestAnimationFrame(next);
      const at = (length * (1 - Math.cos((2 * Math.PI * Math.max(0, now - begun)) / period))) / 2;
      const rgb = film.at(at);
      if (!rgb) return;
      showFrame(rgb);
      showPlace(at);
    };
    frame = requestAnimationFrame(next);
    setText(play, words.pause);
  }

  /** Stop where the walk is, which becomes the view. */
  const rest = () => walkTo(Number(walk.value));

  // Whatever else is used on the page finds the animation at rest, and the face that it showed.
  for (const kind of ["click", "input"]) {
    const restBefore = (/** @type {Event} */ { target }) => void (frame && target !== play && rest());
    document.addEventListener(kind, restBefore, { capture: true });
  }

  function halt() {
    cancelAnimationFrame(frame);
    frame = 0;
    studio.drop("film");
  }

  /** @param {number} at */
  function showPlace(at) {
    const said = formatNumber(at, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    setSlider(walk, at, said);
    setText(walkValue, said);
  }

  /** @param {View} view */
  function showShares(view) {
    const { centre, picks } = view;
    const weights = centre.kind === "mix" && same(centre.of, picks) ? centre.weights : picks.map(() => EVEN);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    cards.forEach(({ slider, output }, k) => {
      const share = formatNumber(weights[k] / total, { style: "percent" });
      setSlider(slider, weights[k], share);
      setText(output, share);
    });
  }

  /** @param {Recipe} recipe @returns {Card} */
  function cardOf(recipe) {
    const canvas = make("canvas", { class: "face", "data-waiting": "" });
    const choose = make("button", { class: "choose", type: "button" }, canvas);
    const remove = make("button", { class: "remove", type: "button" });
    const slider = make("input", { type: "range", min: "0", max: `${HEAVIEST}`, step: "1" });
    const output = make("output");
    const item = make("li", { class: "tile" }, choose, remove, make("div", { class: "share" }, slider, output));
    adopt(canvas);
    choose.addEventListener("click", () => store.change({ centre: recipe, moves: [] }));
    remove.addEventListener("click", () => {
      const place = cards.findIndex((card) => card.remove === remove);
      togglePick(studio, recipe);
      (cards[Math.min(place, cards.length - 1)]?.remove ?? heading).focus();
    });
    slider.addEventListener("input", () => {
      const weights = cards.map((card) => Number(card.slider.value));
      if (weights.some((weight) => weight > 0)) mixBy(weights);
      else showShares(store.view);
    });
    return { canvas, choose, remove, slider, output, item, recipe };
  }

  /** @param {View} view */
  function layOut(view) {
    const old = new Map(cards.map((card) => [format(card.recipe), card]));
    cards = view.picks.map((recipe) => old.get(format(recipe)) ?? cardOf(recipe));
    list.replaceChildren(...cards.map(({ item }) => item));
    const latents = view.picks.map((recipe) => studio.latentOf(recipe, view));
    void studio.draw("picks", latents, (place, rgb) => paint(cards[place].canvas, rgb, site.size));
  }

  store.listen((view) => {
    halt();
    const wanted = `${view.picks.map(format)} ${view.truncation}`;
    if (wanted !== drawn) layOut(view);
    drawn = wanted;

    const { centre, picks } = view;
    hint.hidden = picks.length > 1;
    walking.hidden = mixing.hidden = picks.length < 2;
    clear.hidden = picks.length === 0;
    list.classList.toggle("mixing", picks.length > 1);
    setText(play, STILL.matches ? words.step : words.play);
    walk.max = String(Math.max(1, picks.length - 1));
    showPlace(centre.kind === "walk" && same(centre.through, picks) ? centre.at : 0);
    showShares(view);
    for (const { recipe, choose, remove, slider } of cards) {
      const name = words.name(recipe);
      choose.setAttribute("aria-label", name);
      choose.setAttribute("aria-pressed", String(format(recipe) === format(centre)));
      remove.setAttribute("aria-label", `${words.remove}: ${name}`);
      slider.setAttribute("aria-label", `${words.share}: ${name}`);
    }
  });
}

/** @param {Recipe[]} some @param {Recipe[]} others */
const same = (some, others) => String(some.map(format)) === String(others.map(format));

// @ts-check
/** The chosen face, large: its name, and what can be done with it. */

import { byId, make, setText } from "./dom.mjs";
import { fileName } from "./file-name.mjs";
import { adopt, paint } from "./painting.mjs";
import { encodePng } from "./png.mjs";
import { archiveOrigin, editedOrigin } from "./provenance.mjs";
import { format } from "./recipe.mjs";
import { shown, writeHash } from "./state.mjs";
import { words } from "./texts.mjs";
import { togglePick } from "./wall.mjs";

/**
 * @typedef {import("./recipe.mjs").Recipe} Recipe
 * @typedef {{recipe: Recipe, truncation: number | null, latent: Float32Array, rgb: Uint8Array}} Drawn
 */

/**
 * @param {import("./studio.mjs").Studio} studio
 * @returns {(rgb: Uint8Array) => void} shows a frame of an animation.
 */
export function openPortrait(studio) {
  const { store, site } = studio;
  const canvas = byId("portrait", HTMLCanvasElement);
  const name = byId("portrait-name", HTMLElement);
  const source = byId("portrait-source", HTMLElement);
  const pick = byId("pick-portrait", HTMLButtonElement);
  let wanted = "";
  /** @type {Promise<unknown>} */
  let turn = Promise.resolve();
  /** @type {Drawn | undefined} */
  let drawn;
  adopt(canvas);

  byId("save", HTMLButtonElement).addEventListener("click", async () => {
    await turn;
    if (!drawn) return;
    const { size, model } = site;
    const png = await encodePng(drawn.rgb, size, size, originOf(drawn, model.sha256));
    const url = URL.createObjectURL(png);
    const link = make("a", { href: url, download: nameOf(drawn.recipe) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click has returned
    studio.announce(words.saved(link.download));
  });

  byId("copy-link", HTMLButtonElement).addEventListener("click", async () => {
    const link = new URL(location.href);
    link.search = "";
    link.hash = writeHash(store.view);
    history.replaceState(null, "", link.hash);
    try {
      await navigator.clipboard.writeText(link.href);
      studio.announce(words.linkCopied);
    } catch {
      studio.announce(words.linkInAddress);
    }
  });

  pick.addEventListener("click", () => togglePick(studio, shown(store.view)));

  store.listen((view) => {
    const recipe = shown(view);
    const text = format(recipe);
    const picked = view.picks.some((one) => format(one) === text);
    setText(name, words.name(recipe));
    setText(source, recipe.kind === "face" ? words.inArchive(recipe.seed, recipe.index) : text);
    setText(pick, picked ? words.picked : words.pick);
    pick.setAttribute("aria-pressed", String(picked));

    const { truncation } = view;
    if (wanted === `${text} ${truncation}`) return;
    wanted = `${text} ${truncation}`;
    const latent = studio.latentOf(recipe, view);
    turn = studio.draw("portrait", [latent], (_, rgb) => {
      drawn = { recipe, truncation, latent, rgb };
      paint(canvas, rgb, site.size);
    });
  });

  return (rgb) => {
    wanted = "";
    paint(canvas, rgb, site.size);
  };
}

/** @param {Drawn} drawn @param {string} modelSha256 */
function originOf({ recipe, truncation, latent }, modelSha256) {
  if (recipe.kind !== "face") return editedOrigin({ modelSha256, latent });
  return archiveOrigin({ modelSha256, seed: recipe.seed, index: recipe.index, truncation });
}

/** @param {Recipe} recipe */
function nameOf(recipe) {
  return recipe.kind === "face" ? `seed${recipe.seed}-${fileName(recipe.index)}` : "face.png";
}

// @ts-check
/** Which faces the wall shows: seed, page and truncation. */

import { byId, setSlider, setText } from "./dom.mjs";
import { MAX_INDEX, MAX_SEED } from "./latents.mjs";
import { face } from "./recipe.mjs";
import { PAGE, pageOf, parseWhole } from "./state.mjs";
import { formatNumber, words } from "./texts.mjs";

/** @typedef {import("./state.mjs").View} View */

const LAST_PAGE = pageOf(MAX_INDEX);

/** @param {import("./studio.mjs").Studio} studio */
export function openWhich({ store }) {
  const form = byId("which", HTMLFormElement);
  const error = byId("which-error", HTMLElement);
  const fields = {
    seed: { input: byId("seed", HTMLInputElement), most: MAX_SEED },
    face: { input: byId("index", HTMLInputElement), most: MAX_INDEX },
  };
  const truncation = byId("truncation", HTMLInputElement);
  const value = byId("truncation-value", HTMLElement);
  const none = Number(truncation.max);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const seed = read("seed");
    const index = read("face");
    if (seed === null || index === null) {
      const wrong = seed === null ? "seed" : "face";
      setText(error, words.badNumber(words[wrong], fields[wrong].most));
      fields[wrong].input.focus();
      return;
    }
    store.change({ seed, first: pageOf(index), centre: face(seed, index), moves: [] });
  });

  byId("new-seed", HTMLButtonElement).addEventListener("click", () => {
    const seed = BigInt(crypto.getRandomValues(new Uint32Array(1))[0]);
    store.change({ seed, first: 0n, centre: face(seed, 0n), moves: [] });
  });

  const turners = [
    { button: byId("earlier", HTMLButtonElement), pages: -1n },
    { button: byId("later", HTMLButtonElement), pages: 1n },
  ];
  /** @param {View} view @param {bigint} pages @returns {bigint | null} */
  const turned = (view, pages) => {
    const first = view.first + pages * BigInt(PAGE);
    return first >= 0n && first <= LAST_PAGE ? first : null;
  };
  for (const { button, pages } of turners) {
    button.addEventListener("click", () => {
      const first = turned(store.view, pages);
      if (first !== null) store.change({ first });
    });
  }

  truncation.addEventListener("input", () => {
    const cut = Number(truncation.value);
    store.change({ truncation: cut === none ? null : cut });
  });

  /** @param {"seed" | "face"} name @returns {bigint | null} */
  function read(name) {
    const { input, most } = fields[name];
    const number = parseWhole(input.value, most);
    input.setAttribute("aria-invalid", String(number === null));
    return number;
  }

  store.listen((view) => {
    const index = view.centre.kind === "face" && view.centre.seed === view.seed ? view.centre.index : view.first;
    fields.seed.input.value = String(view.seed);
    fields.face.input.value = String(index);
    for (const { input } of Object.values(fields)) input.removeAttribute("aria-invalid");
    setText(error, "");
    // Still to be focused, so that the keyboard's place is not lost on the first page.
    for (const { button, pages } of turners) button.setAttribute("aria-disabled", String(turned(view, pages) === null));
    const said = view.truncation === null ? words.noTruncation : formatNumber(view.truncation);
    setSlider(truncation, view.truncation ?? none, said);
    setText(value, said);
  });
}

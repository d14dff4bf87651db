// @ts-check
/** Sliders that move the chosen face along the model's directions. */

import { byId, make, setSlider, setText } from "./dom.mjs";
import { MAX_MOVE } from "./state.mjs";
import { formatNumber, words } from "./texts.mjs";

/** @param {import("./studio.mjs").Studio} studio */
export function openDirections({ store, site }) {
  const sliders = site.directions.map((_, k) => {
    const input = make("input", {
      id: `direction-${k + 1}`,
      type: "range",
      class: "balance",
      step: "0.1",
      min: `${-MAX_MOVE}`,
      max: `${MAX_MOVE}`,
    });
    const label = make("label", { for: input.id });
    const output = make("output", { for: input.id });
    input.addEventListener("input", () => store.change({ moves: sliders.map((slider) => Number(slider.input.value)) }));
    return { input, label, output, row: make("div", { class: "slider" }, label, input, output) };
  });
  byId("sliders", HTMLElement).replaceChildren(...sliders.map(({ row }) => row));
  byId("reset", HTMLButtonElement).addEventListener("click", () => store.change({ moves: [] }));

  store.listen(({ moves }) => {
    sliders.forEach(({ input, label, output }, k) => {
      const said = formatNumber(moves[k] ?? 0, { signDisplay: "exceptZero" });
      setText(label, words.direction(k + 1));
      setText(output, said);
      setSlider(input, moves[k] ?? 0, said);
    });
  });
}

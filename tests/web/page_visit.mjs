// What a visitor of the page does and sees, as functions of a Playwright page.

/** Open an address and wait until everything is drawn, or the page has said why nothing is. */
export async function open(page, url) {
  await page.goto(url);
  await page.waitForSelector("#problem:not([hidden]), [data-stuck], #studio[aria-busy=false]");
}

/** Do something that makes the page draw, and wait for the end of it. */
export async function settled(page, action) {
  await action();
  await page.waitForSelector("#studio[aria-busy=false]", { state: "attached" });
}

/** Move a slider as a hand does, its last movement being `value`. */
export async function slide(page, selector, value) {
  await settled(page, () =>
    page.locator(selector).evaluate((input, to) => {
      for (const step of [input.min, to]) {
        input.value = step;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }, String(value)),
  );
}

/** The pictures behind canvases as the model drew them, [size * size * 3] bytes each in base64; null: none yet. */
export function pictures(page, selector = "#portrait") {
  return page.evaluate(async (canvases) => {
    const { pictureOf } = await import(new URL("painting.mjs", document.baseURI).href);
    return [...document.querySelectorAll(canvases)].map((canvas) => {
      const picture = pictureOf(canvas);
      return picture ? btoa(String.fromCharCode(...picture.rgb)) : null;
    });
  }, selector);
}

/** Mean colours of the large face: as drawn, and as it stands on the screen. */
export function shownColours(page) {
  return page.evaluate(async () => {
    const { pictureOf } = await import(new URL("painting.mjs", document.baseURI).href);
    const canvas = document.querySelector("#portrait");
    const screen = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const mean = (bytes, stride) =>
      [0, 1, 2].map((c) => {
        let sum = 0;
        for (let i = c; i < bytes.length; i += stride) sum += bytes[i];
        return (sum * stride) / bytes.length;
      });
    const wide = Math.round(canvas.getBoundingClientRect().width * devicePixelRatio);
    return { drawn: mean(pictureOf(canvas).rgb, 3), screen: mean(screen, 4), pixels: canvas.width, wide };
  });
}

export const text = (page, selector) => page.locator(selector).innerText();

/** What the page says of itself. */
export function words(page) {
  return page.evaluate(() => {
    const read = (id) => document.getElementById(id)?.textContent.trim() ?? "";
    return {
      language: document.documentElement.lang,
      wall: read("wall-name"),
      name: read("portrait-name"),
      source: read("portrait-source"),
      status: read("status"),
      error: read("which-error"),
      card: read("card"),
      labels: [...document.querySelectorAll("#wall .choose, #wall .pick")].map((one) => one.ariaLabel),
      pressed: [...document.querySelectorAll("#wall [aria-pressed=true]")].map((one) => one.ariaLabel),
      picks: [...document.querySelectorAll("#picks .choose")].map((one) => one.ariaLabel),
    };
  });
}

/** Violations that axe-core finds, one line each. */
export async function violations(page, axe) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const found = await window.axe.run({ runOnly: tags });
    return found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0].html} (${nodes.length})`);
  });
}

/** The accessible thing that has the focus, and whether its outline shows. */
export function focused(page) {
  return page.evaluate(() => {
    const { activeElement: here } = document;
    const name = here.id || here.ariaLabel || here.tagName.toLowerCase();
    return { name, visible: getComputedStyle(here).outlineStyle !== "none" };
  });
}

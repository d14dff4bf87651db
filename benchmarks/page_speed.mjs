// node page_speed.mjs PACKAGES CHROMIUM URL SECONDS: open a page of genface once in a fresh browser and time what a
// visitor waits for; JSON on stdout. PACKAGES: a package.json beside which playwright-core is installed.
import { createRequire } from "node:module";

const [packages, executablePath, url, seconds] = process.argv.slice(2);
const { chromium } = createRequire(packages)("playwright-core");
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(120_000);

// Timed in the page, from the navigation on: messages between the two processes do not count.
await page.addInitScript(() => {
  window.seen = {};
  const look = async () => {
    const { pictureOf } = await import(new URL("painting.mjs", document.baseURI).href);
    const watch = () => {
      const large = document.querySelector("#portrait");
      if (!window.seen.first && large && pictureOf(large)) window.seen.first = performance.now();
      if (!window.seen.wall && document.querySelector("#studio[aria-busy=false]")) window.seen.wall = performance.now();
      if (!window.seen.wall) requestAnimationFrame(watch);
    };
    watch();
  };
  document.addEventListener("DOMContentLoaded", look);
});
await page.goto(url);
await page.waitForFunction(() => window.seen.wall);
const { first, wall } = await page.evaluate(() => window.seen);

for (const place of [1, 2, 5]) await page.locator("#wall .pick").nth(place).click();
await page.waitForSelector("#studio[aria-busy=false]", { state: "attached" });
await page.click("text=Play");
const animation = await page.evaluate(async (lasting) => {
  const canvas = document.querySelector("#portrait");
  const context = canvas.getContext("2d");
  const sum = () => context.getImageData(canvas.width / 4, canvas.height / 2, canvas.width / 2, 1).data.join();
  const start = performance.now();
  let [frames, different, last, longest, before] = [0, 0, "", 0, start];
  while (performance.now() - start < lasting) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
    frames += 1;
    const shown = sum();
    if (shown !== last) different += 1;
    last = shown;
  }
  const took = (performance.now() - start) / 1000;
  return { frames_per_second: frames / took, different_per_second: different / took, longest_gap_ms: longest };
}, 1000 * Number(seconds));

const isolated = await page.evaluate(() => crossOriginIsolated);
console.log(JSON.stringify({ first_face_s: first / 1000, wall_s: wall / 1000, isolated, ...animation }));
await browser.close();

// node page_driver.mjs CHROMIUM URL FOLDER: use the pages under URL in a browser as visitors do, and write what they saw
// as one JSON document to stdout. FOLDER is the same place on the disk. test_page_browser.py judges.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { focused, open, pictures, settled, shownColours, slide, text, violations, words } from "./page_visit.mjs";

const [executablePath, url, folder] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const good = `${url}good/?provider=wasm`;
const portrait = async (page) => (await pictures(page))[0];
const wall = (page) => pictures(page, "#wall canvas");

const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args });
const told = { console: [], requests: [] };

/** A fresh visitor, whose every request and complaint is noted. */
async function visitor(options = {}, { complaints = told.console } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  context.on("request", (request) => told.requests.push(request.url()));
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(String(error)));
  return page;
}

async function desktop() {
  const page = await visitor({ permissions: ["clipboard-read", "clipboard-write"], acceptDownloads: true });
  await open(page, good);
  const seen = { first: await words(page), faces: await wall(page), colours: await shownColours(page) };
  seen.axeLight = await violations(page, axe);

  seen.wallFocus = await byKeyboard(page);

  await page.fill("#seed", "5");
  await page.fill("#index", "004711");
  await settled(page, () => page.click("text=Show"));
  seen.typed = { ...(await words(page)), portrait: await portrait(page) };
  await page.fill("#index", "-1");
  await page.click("text=Show");
  seen.mistyped = { ...(await words(page)), focus: await focused(page) };
  await settled(page, () => page.click("text=Later"));
  await slide(page, "#truncation", 0.7);
  seen.truncated = { ...(await words(page)), faces: await wall(page) };

  await settled(page, () => page.click("#wall .choose >> nth=3"));
  const still = await portrait(page);
  await slide(page, "#direction-2", 1.5);
  seen.moved = { ...(await words(page)), changed: still !== (await portrait(page)) };
  seen.savedMoved = await saved(page);
  seen.movedPortrait = await portrait(page);
  await settled(page, () => page.click("text=Reset"));
  seen.reset = still === (await portrait(page));
  seen.saved = await saved(page);

  for (const place of [1, 2, 5]) await settled(page, () => page.locator("#wall .pick").nth(place).click());
  await slide(page, "#walk", 0.25);
  seen.walk = { ...(await words(page)), portrait: await portrait(page), value: await text(page, "#walk-value") };
  seen.played = await playing(page);
  await settled(page, () => page.click("text=Mix evenly"));
  seen.mixed = { ...(await words(page)), portrait: await portrait(page) };
  await slide(page, "#picks li:nth-child(1) input", 0);
  seen.reweighed = { shares: await page.locator("#picks output").allInnerTexts(), portrait: await portrait(page) };
  await page.emulateMedia({ colorScheme: "dark" });
  seen.axeDark = await violations(page, axe);

  await page.click("text=Copy link");
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("copied"));
  seen.link = await page.evaluate(() => navigator.clipboard.readText());
  const view = async (other) => ({
    ...(await words(other)),
    faces: await wall(other),
    portrait: await portrait(other),
  });
  seen.view = await view(page);
  const reopened = await visitor();
  await open(reopened, seen.link);
  seen.reopened = await view(reopened);
  await settled(reopened, () => reopened.evaluate(() => (location.hash = "#seed=8&centre=nobody&v=1")));
  seen.badLink = await words(reopened);
  await reopened.context().close();

  await page.locator("#picks .remove").first().click();
  seen.removed = { ...(await words(page)), focus: await focused(page) };
  await page.click("text=Clear");
  await settled(page, () => page.click("text=New seed"));
  seen.newSeed = await words(page);
  await page.click("#language");
  seen.russian = { ...(await words(page)), axe: await violations(page, axe) };
  await page.reload();
  await page.waitForSelector("#studio[aria-busy=false]");
  seen.remembered = (await words(page)).language;
  await page.context().close();
  return seen;
}

/** From the top of the page with keys alone: to the wall, along it, choose and pick. */
async function byKeyboard(page) {
  const stops = [];
  const press = async (key) => {
    await settled(page, () => page.keyboard.press(key));
    stops.push({ key, ...(await focused(page)) });
  };
  for (let tabs = 0; tabs < 40 && stops.at(-1)?.name !== "Face 0 of seed 0"; tabs++) await press("Tab");
  const before = stops.length;
  for (const key of ["ArrowRight", "ArrowDown", "Enter", "Tab", "Space", "ArrowLeft", "End", "Home"]) await press(key);
  const seen = { stops, walk: stops.slice(before), after: await words(page) };
  await settled(page, () => page.click("text=Clear"));
  return seen;
}

async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  return { name: download.suggestedFilename(), png: await readFile(await download.path(), "base64") };
}

/** Play for a second, then pause: every picture that the large face showed. */
async function playing(page) {
  await page.click("text=Play");
  const shown = [];
  for (let k = 0; k < 12; k++) {
    shown.push(await portrait(page));
    await page.waitForTimeout(80);
  }
  const label = await text(page, "#play");
  await settled(page, () => page.click("#play"));
  const at = Number(await text(page, "#walk-value"));
  const { name } = await words(page);
  return { distinct: new Set(shown).size, label, at, name, after: await text(page, "#play") };
}

/** A phone in the hand of somebody who reads Russian at night and does not like motion. */
async function phone() {
  const page = await visitor({
    viewport: { width: 360, height: 740 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
    locale: "ru-RU",
    colorScheme: "dark",
    reducedMotion: "reduce",
  });
  await page.addInitScript(() => {
    window.shift = 0;
    const add = (list) => list.getEntries().forEach((entry) => (window.shift += entry.value));
    new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
  });
  await open(page, good);
  const seen = { ...(await words(page)), shift: await page.evaluate(() => window.shift) };
  for (const place of [0, 3]) await settled(page, () => page.locator("#wall .pick").nth(place).tap());
  seen.step = await text(page, "#play");
  await settled(page, () => page.tap("#play"));
  seen.stepped = await text(page, "#walk-value");
  await page.tap("summary");
  seen.axe = await violations(page, axe);
  await page.emulateMedia({ colorScheme: "light" });
  seen.axeLight = await violations(page, axe);
  seen.wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.context().close();
  return seen;
}

/** What the page says where it cannot draw. */
async function problems() {
  const seen = {};
  for (const name of ["missing", "broken", "foreign", "nosite", "badsite"]) {
    const page = await visitor({}, { complaints: [] }); // a browser reports what it cannot fetch
    await open(page, `${url}${name}/?provider=wasm`);
    const code = await page.getAttribute("#problem", "data-code");
    seen[name] = { code, text: await text(page, "#problem"), main: await page.isVisible("#studio") };
    await page.click("#language");
    seen[name].russian = await text(page, "#problem h2");
    if (name === "broken") seen[name].axe = await violations(page, axe);
    await page.context().close();
  }
  return seen;
}

/** Pages whose script never starts. */
async function stuck() {
  const page = await visitor({}, { complaints: [] });
  await open(page, `${pathToFileURL(folder).href}/good/index.html`);
  const seen = { file: await text(page, ".stuck") };
  await page.route("**/app.mjs", (route) => route.fulfill({ contentType: "text/plain", body: "" }));
  await open(page, good);
  seen.type = await text(page, ".stuck");
  await page.context().close();
  return seen;
}

try {
  told.desktop = await desktop();
  told.phone = await phone();
  told.problems = await problems();
  told.stuck = await stuck();
} finally {
  await browser.close();
}
console.log(JSON.stringify(told));

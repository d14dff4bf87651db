// @ts-check
/** The page: loads what it needs, puts its parts together and keeps the address in step with the view. */

import { showCard, showSpeed } from "./card.mjs";
import { openDirections } from "./directions.mjs";
import { byId, setText } from "./dom.mjs";
import { openEngine } from "./engine.mjs";
import { openPortrait } from "./portrait.mjs";
import { showProblem } from "./problem.mjs";
import { loadSite } from "./site.mjs";
import { fitsLink, readHash, writeHash } from "./state.mjs";
import { Store } from "./store.mjs";
import { Studio } from "./studio.mjs";
import { formatMegabytes, preferredLanguage, speak, speakOther, words } from "./texts.mjs";
import { openTray } from "./tray.mjs";
import { hangTiles, openWall } from "./wall.mjs";
import { openWhich } from "./which.mjs";

/** Browsers refuse addresses that are rewritten more than some hundred times in half a minute. */
const ADDRESS_MILLISECONDS = 300;
const NARROW = matchMedia("(max-width: 55rem)");

const base = new URL("./", document.baseURI);
const status = byId("status", HTMLElement);
const progress = byId("progress", HTMLProgressElement);
const announce = (/** @type {string} */ text) => setText(status, text);

/** What a change of language writes anew, beside the texts of index.html. @type {(() => void)[]} */
const rewriters = [sayOtherLanguage];

speak(preferredLanguage());
sayOtherLanguage();
byId("language", HTMLButtonElement).addEventListener("click", () => {
  speakOther();
  for (const rewrite of rewriters) rewrite();
});
await start().catch(fail);

async function start() {
  const tiles = hangTiles();
  announce(words.preparing);
  const site = await loadSite(base);
  document.title = `genface: ${site.model.file}`;
  showCard(site);
  const directions = byId("directions", HTMLDetailsElement);
  directions.hidden = site.directions.length === 0;
  directions.open = !NARROW.matches; // on a phone the wall comes first
  document.documentElement.dataset.ready = ""; // from here on nothing on the page changes its place
  showLoading(0, site.model.bytes);
  const engine = await openEngine({ base, site, onProgress: showLoading });
  progress.hidden = true;

  const { view, bad } = readHash(location.hash, site.directions.length);
  const store = new Store(view, (wanted) => fitsLink(wanted) || (announce(words.linkTooLong), false));
  const onBusy = (/** @type {boolean} */ busy) => {
    byId("studio", HTMLElement).setAttribute("aria-busy", String(busy));
    if (!busy) showSpeed(engine);
  };
  const studio = new Studio({ site, engine, store, announce, onBusy, onError: fail });
  const showFrame = openPortrait(studio);
  openDirections(studio);
  openWhich(studio);
  openWall(studio, tiles);
  openTray(studio, showFrame);
  keepAddress(store, site.directions.length);
  for (const part of document.querySelectorAll("[inert]")) part.removeAttribute("inert");
  store.refresh();
  sayBad(bad);
  rewriters.push(
    () => store.refresh(),
    () => showCard(site),
    () => showSpeed(engine),
  );
}

/** @param {Store} store @param {number} directions */
function keepAddress(store, directions) {
  let timer = 0;
  store.listen((view, before) => {
    if (before === null) return;
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", writeHash(view)), ADDRESS_MILLISECONDS);
  });
  addEventListener("hashchange", () => {
    clearTimeout(timer);
    const { view, bad } = readHash(location.hash, directions);
    store.change(view);
    sayBad(bad);
  });
}

/** @param {number} loaded @param {number} total */
function showLoading(loaded, total) {
  progress.value = loaded / total;
  announce(loaded < total ? words.loading(formatMegabytes(loaded), formatMegabytes(total)) : words.preparing);
}

/** @param {string[]} bad */
function sayBad(bad) {
  if (bad.length) setText(byId("which-error", HTMLElement), words.badLink(bad.join(" ")));
}

function sayOtherLanguage() {
  const button = byId("language", HTMLButtonElement);
  setText(button, words.otherLanguage);
  button.lang = document.documentElement.lang === "en" ? "ru" : "en";
}

/** @param {unknown} error */
function fail(error) {
  document.documentElement.dataset.ready = "";
  showProblem(error);
  rewriters.push(() => showProblem(error));
}

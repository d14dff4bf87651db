// @ts-check
/** site.json: what `genface page` says of the model beside the page. */

/**
 * @typedef {object} Site
 * @property {string} genface version of the program that wrote it
 * @property {{file: string, bytes: number, sha256: string}} model
 * @property {{name: string, z_dim: number}} input
 * @property {{name: string}} output
 * @property {number} size side of a picture in pixels
 * @property {Record<string, string | number | null>} card
 * @property {{score: string, value: string}[]} scores
 * @property {number[][]} directions unit vectors of z_dim numbers, the most important first
 */

const KIND = "genface-page";
const FORMAT_VERSION = 1;

export class SiteError extends Error {
  /**
   * @param {"site-missing" | "site-broken"} code
   * @param {string} detail what happened, in English, for people who mend things.
   */
  constructor(code, detail) {
    super(`${code}: ${detail}`);
    this.name = "SiteError";
    this.code = code;
    this.detail = detail;
  }
}

/**
 * @param {URL} base the folder of the page.
 * @returns {Promise<Site>}
 * @throws {SiteError}
 */
export async function loadSite(base) {
  const url = new URL("site.json", base);
  const response = await fetch(url, { cache: "no-cache" }).catch((error) => {
    throw new SiteError("site-missing", `${url} cannot be fetched (${error.message})`);
  });
  if (!response.ok) throw new SiteError("site-missing", `${url} answers ${response.status}`);
  const site = await response.json().catch((error) => {
    throw new SiteError("site-broken", `${url} is no JSON (${error.message})`);
  });
  const flaw = flawOf(site);
  if (flaw) throw new SiteError("site-broken", `${url}: ${flaw}`);
  return site;
}

/** @param {any} site @returns {string | undefined} why it is none of ours */
function flawOf(site) {
  if (site?.kind !== KIND) return `its kind is not ${KIND}`;
  if (site.format_version !== FORMAT_VERSION) return `its format version is not ${FORMAT_VERSION}`;
  const { model, input, output, size, card, scores, directions } = site;
  const whole = [model?.bytes, input?.z_dim, size].every((number) => Number.isSafeInteger(number) && number > 0);
  const texts = [model?.file, model?.sha256, input?.name, output?.name].every(
    (text) => text && typeof text === "string",
  );
  if (!whole || !texts || typeof card !== "object" || !Array.isArray(scores)) return "a field is missing or damaged";
  const straight = Array.isArray(directions) && directions.every((one) => one?.length === input.z_dim);
  return straight ? undefined : "its directions do not fit the model";
}

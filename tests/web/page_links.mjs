// node page_links.mjs FOLDER < LINKS: read links as the page in FOLDER does. LINKS is JSON, [[hash, directions], ...]; on
// stdout, as JSON: for each the link that the page would write for what it read, and the parts that it left out.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { fitsLink, readHash, writeHash } = await import(new URL("state.mjs", pathToFileURL(`${process.argv[2]}/`)).href);
const read = ([hash, directions]) => {
  const { view, bad } = readHash(hash, directions);
  return { written: writeHash(view), bad, fits: fitsLink(view) };
};
console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map(read)));

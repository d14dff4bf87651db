// @ts-check
/** The page in English. */

import { fileName } from "./file-name.mjs";

/** @typedef {import("./recipe.mjs").Recipe} Recipe */

export const ENGLISH = {
  otherLanguage: "Русский",
  notice: "Machine-made. A neural network draws every picture here, on your own device. None of them is a photo.",
  size: (/** @type {number} */ side) => `${side} × ${side} pixels`,

  loading: (/** @type {string} */ loaded, /** @type {string} */ total) => `Loading the model: ${loaded} of ${total}`,
  preparing: "Preparing to draw",
  drawnIn: (/** @type {number} */ count, /** @type {string} */ seconds) => `${count} faces in ${seconds} s`,

  portrait: "The chosen face",
  save: "Save PNG",
  copyLink: "Copy link",
  pick: "Pick",
  picked: "Picked",
  saved: (/** @type {string} */ name) => `Saved as ${name}`,
  linkCopied: "The link to this view is copied",
  linkInAddress: "This browser does not let the page copy: the link stands in the address bar",

  directions: "Shape this face",
  directionsHint: "Along the directions in which this model's faces differ most.",
  direction: (/** @type {number} */ number) => `Direction ${number}`,
  reset: "Reset",

  wallForm: "Which faces",
  seed: "Seed",
  face: "Face",
  show: "Show",
  newSeed: "New seed",
  badNumber: (/** @type {string} */ field, /** @type {bigint} */ most) => `${field}: a whole number from 0 to ${most}`,
  wall: (/** @type {bigint} */ seed, /** @type {bigint} */ first, /** @type {bigint} */ last) =>
    `Faces ${first} to ${last} of seed ${seed}`,
  wallHint: "Choose a face to see it large; pick several with + to walk between them.",
  wallKeys: "Arrow keys move along the wall.",
  earlier: "Earlier",
  later: "Later",
  truncation: "Truncation",
  truncationHint: "Lower draws more typical faces.",
  noTruncation: "none",

  tray: "Between faces",
  trayHint: "Pick two or more faces with + to walk from one to the next and to mix them.",
  trayFull: (/** @type {number} */ most) => `No more than ${most} faces can be picked`,
  walk: "Walk",
  play: "Play",
  pause: "Pause",
  step: "Step",
  mixEvenly: "Mix evenly",
  mixHint: "Or give each face its share with the slider below it.",
  share: "Share",
  remove: "Remove",
  clear: "Clear",

  card: "About the model",
  cardRows: {
    file: "File",
    architecture: "Architecture",
    dataset: "Trained on",
    licence: "Licence",
    images_seen: "Images seen in training",
    size: "Picture",
    made: "Made by",
    model_sha256: "SHA-256 of the file",
    checkpoint_sha256: "SHA-256 of the checkpoint",
  },
  made: "a machine: pictures saved here say so in their metadata",
  drawnBy: (/** @type {string} */ provider, /** @type {number} */ threads, /** @type {string} */ milliseconds) =>
    `Drawn here by ${provider === "webgpu" ? "WebGPU" : `WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"}`}` +
    `, ${milliseconds} ms a face.`,
  scores: "Scores",
  version: (/** @type {string} */ version) => `Made with genface ${version}.`,

  /** @param {Recipe} recipe @returns {string} */
  name: (recipe) => {
    switch (recipe.kind) {
      case "face":
        return `Face ${recipe.index} of seed ${recipe.seed}`;
      case "walk":
        return `On the walk, at ${recipe.at.toFixed(2)} of ${recipe.through.length - 1}`;
      case "mix":
        return `Mix of ${recipe.of.length} faces`;
    }
    return `${ENGLISH.name(recipe.from)}, shaped`;
  },
  inArchive: (/** @type {bigint} */ seed, /** @type {bigint} */ index) =>
    `${fileName(index)} in the archive of seed ${seed}`,
  badLink: (/** @type {string} */ parts) => `Left out, since not understood, of this link: ${parts}`,
  linkTooLong: "That would be more than a link can hold. Pick faces of the wall instead.",

  reload: "Try again",
  problems: {
    "site-missing": {
      title: "This page has no site.json",
      text: "It says which model to draw with, and is not where the page looks for it.",
      remedy: "Write the folder again with the command below, and upload all of it.",
    },
    "site-broken": {
      title: "site.json cannot be used",
      text: "It is damaged, or was written by another version of genface than this page.",
      remedy: "Write the folder again with the command below, and upload all of it.",
    },
    missing: {
      title: "The model is missing",
      text: "Its file cannot be fetched from this page's folder.",
      remedy: "Check that it was uploaded with the page, or write the folder again with the command below.",
    },
    broken: {
      title: "The model is damaged",
      text: "What was fetched is not the file that site.json describes. It was cut short, altered or replaced.",
      remedy: "Try again; if that does not help, write the folder again with the command below and upload all of it.",
    },
    foreign: {
      title: "This model does not fit the page",
      text: "It takes or gives other things than site.json says.",
      remedy: "Write the folder for this model with the command below.",
    },
    runtime: {
      title: "This browser cannot draw the faces",
      text: "The runtime did not start or gave up: it may lack WebAssembly, memory or one of its files.",
      remedy: "Try again, close other tabs, or use a current Firefox, Chrome, Edge or Safari.",
    },
  },
};

// @ts-check
/**
 * Faces on canvases. A canvas has as many pixels as the screen gives it, and is painted anew when that number changes, so
 * a face is scaled up once and smoothly. `pictureOf` gives the picture behind it, pixel by pixel as the model drew it.
 */

/** @typedef {{rgb: Uint8Array, size: number}} Picture uint8 [size, size, 3] */

/** @type {WeakMap<HTMLCanvasElement, Picture>} */
const pictures = new WeakMap();
const native = document.createElement("canvas");

const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect, devicePixelContentBoxSize } of entries) {
    const canvas = /** @type {HTMLCanvasElement} */ (target);
    const exact = devicePixelContentBoxSize?.[0].inlineSize; // not in every browser
    const side = Math.round(exact ?? contentRect.width * devicePixelRatio);
    if (side === 0 || side === canvas.width) continue;
    canvas.width = canvas.height = side;
    const picture = pictures.get(canvas);
    if (picture) paint(canvas, picture.rgb, picture.size);
  }
});

/**
 * Take care of a canvas: from here on its pixels follow its size on the screen.
 *
 * @param {HTMLCanvasElement} canvas square.
 */
export function adopt(canvas) {
  observer.observe(canvas);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} rgb [size * size * 3]
 * @param {number} size
 */
export function paint(canvas, rgb, size) {
  pictures.set(canvas, { rgb, size });
  const image = new ImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    pixels[i] = 0xff000000 | (rgb[at + 2] << 16) | (rgb[at + 1] << 8) | rgb[at];
  }
  native.width = native.height = size;
  context(native).putImageData(image, 0, 0);
  const brush = context(canvas);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(native, 0, 0, canvas.width, canvas.height);
  delete canvas.dataset.waiting;
}

/**
 * Say that a canvas waits for another face. What it shows is dimmed, not taken away: a gap would flicker.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function expect(canvas) {
  pictures.delete(canvas);
  canvas.dataset.waiting = "";
}

/**
 * The picture that a canvas shows, as the model drew it; undefined while it waits.
 *
 * @param {HTMLCanvasElement} canvas
 * @returns {Picture | undefined}
 */
export function pictureOf(canvas) {
  return pictures.get(canvas);
}

/**
 * One picture fading into another.
 *
 * @param {Uint8Array} from
 * @param {Uint8Array} to
 * @param {number} part of the second, in [0, 1].
 * @returns {Uint8Array}
 */
export function blend(from, to, part) {
  return from.map((level, i) => level + part * (to[i] - level) + 0.5);
}

/** @param {HTMLCanvasElement} canvas */
function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

// @ts-check
/** PNG files (ISO/IEC 15948) of RGB pictures, marked as machine-made. */

import { XMP } from "./provenance.mjs";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CHANNELS = 3;
const PAETH = 4;
const BIT_DEPTH = 8;
const TRUECOLOUR = 2;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/**
 * Encode a picture with the XMP packet that marks it as machine-made, and its origin's texts as text chunks, which
 * genface.provenance reads back.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgb height * width * 3 bytes, row by row.
 * @param {number} width
 * @param {number} height
 * @param {Readonly<Record<string, string>>} origin texts of Latin-1 by their keys, as provenance.mjs gives them.
 * @returns {Promise<Blob>} image/png.
 * @throws {RangeError} when sizes do not fit, or a text is not Latin-1.
 */
export async function encodePng(rgb, width, height, origin) {
  if (!(width > 0 && height > 0) || rgb.length !== width * height * CHANNELS) {
    throw new RangeError(`${rgb.length} bytes are no RGB picture of ${width} x ${height}`);
  }
  const header = new DataView(new ArrayBuffer(13)); // compression, filter method and interlace stay 0
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, BIT_DEPTH);
  header.setUint8(9, TRUECOLOUR);
  const texts = Object.entries(origin).map(([key, text]) => chunk("tEXt", latin1(`${key}\0${text}`)));
  // Keyword, then: not compressed (two bytes), no language, no translated keyword.
  const xmp = new TextEncoder().encode(`XML:com.adobe.xmp\0\0\0\0\0${XMP}`);
  const parts = [
    SIGNATURE,
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...texts,
    chunk("iTXt", xmp),
    chunk("IDAT", await deflated(filtered(rgb, width, height))),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Blob(parts, { type: "image/png" });
}

/**
 * @param {string} type four letters
 * @param {Uint8Array} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
function chunk(type, data) {
  const whole = new Uint8Array(data.length + 12);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(latin1(type), 4);
  whole.set(data, 8);
  view.setUint32(data.length + 8, crc32(whole.subarray(4, data.length + 8)));
  return whole;
}

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** @param {string} text */
function latin1(text) {
  return Uint8Array.from(text, (character) => {
    const code = /** @type {number} */ (character.codePointAt(0));
    if (code > 0xff) throw new RangeError(`a PNG's text is Latin-1, which has no ${character}`);
    return code;
  });
}

/**
 * Rows led by their filter, each byte the difference to the best of its three neighbours: photographs are smooth.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgb
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array<ArrayBuffer>}
 */
function filtered(rgb, width, height) {
  const stride = width * CHANNELS;
  const rows = new Uint8Array((stride + 1) * height);
  for (let y = 0, to = 0; y < height; y++) {
    rows[to++] = PAETH;
    for (let x = 0, at = y * stride; x < stride; x++, at++) {
      const left = x >= CHANNELS ? rgb[at - CHANNELS] : 0;
      const above = y > 0 ? rgb[at - stride] : 0;
      const aboveLeft = x >= CHANNELS && y > 0 ? rgb[at - stride - CHANNELS] : 0;
      rows[to++] = rgb[at] - paeth(left, above, aboveLeft);
    }
  }
  return rows;
}

/**
 * The neighbour nearest to left + above - aboveLeft (Paeth), ties in this order.
 *
 * @param {number} left
 * @param {number} above
 * @param {number} aboveLeft
 */
function paeth(left, above, aboveLeft) {
  const fromLeft = Math.abs(above - aboveLeft);
  const fromAbove = Math.abs(left - aboveLeft);
  const fromAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (fromLeft <= fromAbove && fromLeft <= fromAboveLeft) return left;
  return fromAbove <= fromAboveLeft ? above : aboveLeft;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Uint8Array>} in the zlib format (RFC 1950), which a browser calls "deflate"
 */
async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// @ts-check
/**
 * Latents by counter, bit for bit those of genface/latents.py: number j of image i of seed s is a pure function of
 * (s, i, j).
 *
 * Uniform words come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
 * normals from Wichura's AS 241 (PPND16, Applied Statistics 37(3), 1988). Only exactly rounded operations are used
 * (+ - x / and the square root, which every engine takes from the processor), never Math.log, whose last bit is the
 * engine's own.
 */

export const MAX_SEED = (1n << 64n) - 1n;
export const MAX_INDEX = (1n << 63n) - 1n;

const WORD = 0xffffffffn;
const HALF = 32n;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;
const ROUNDS = 10;

// AS 241, highest power first. The third branch of PPND16 (r > 5) lies below p = 1.4e-11; 32-bit words stop at 1.2e-10.
const CENTRE_NUMERATOR = [
  2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
  1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080,
];
const CENTRE_DENOMINATOR = [
  5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867, 5394.1960214247511077,
  687.18700749205790830, 42.313330701600911252, 1.0,
];
const TAIL_NUMERATOR = [
  7.74545014278341407640e-4, 2.27238449892691845833e-2, 0.241780725177450611770, 1.27045825245236838258,
  3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734,
];
const TAIL_DENOMINATOR = [
  1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 0.148103976427480074590,
  0.689767334985100004550, 1.67638483018380384940, 2.05319162663775882187, 1.0,
];
// fdlibm's e_log.c.
const LN2_HIGH = 6.93147180369123816490e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const LOG = [
  1.479819860511658591e-1, 1.531383769920937332e-1, 1.818357216161805012e-1, 2.222219843214978396e-1,
  2.857142874366239149e-1, 3.999999999940941908e-1, 6.666666666666735130e-1,
];
const HALF_ROOT_2 = 0.5 * Math.SQRT2;
const MIN_P = 2 ** -33;

const bits = new DataView(new ArrayBuffer(8));

/**
 * Draw the latent vectors of the images `indices` of `seed`.
 *
 * Philox is keyed by the seed's low and high 32-bit halves; its counter is (block, index low, index high, 0), and block
 * b gives the numbers 4b to 4b+3 of the vector.
 *
 * @param {bigint} seed 0 to 2^64 - 1.
 * @param {readonly bigint[]} indices from 0 to 2^63 - 1, in any order; N of them.
 * @param {number} zDim length of one vector, at least 1.
 * @param {number | null} truncation maps the same uniforms to the normal cut at plus and minus this value; null does
 *   not cut.
 * @returns {Float32Array} [N, zDim] row by row, standard normal (or truncated normal).
 * @throws {RangeError} when an argument is out of its range.
 */
export function latents(seed, indices, zDim, truncation = null) {
  if (typeof seed !== "bigint" || seed < 0n || seed > MAX_SEED) {
    throw new RangeError(`the seed must be a whole number from 0 to 2^64 - 1, not ${seed}`);
  }
  if (!Number.isInteger(zDim) || zDim < 1) throw new RangeError(`zDim must be at least 1, not ${zDim}`);
  if (truncation !== null && !(truncation > 0 && truncation < Infinity)) {
    throw new RangeError(`truncation must be a number above 0, not ${truncation} (null for none)`);
  }
  const scale = truncation === null ? 1 : 1.0 - 2.0 * normalCdfBelow(truncation);
  const key = new Uint32Array([Number(seed & WORD), Number(seed >> HALF)]);
  const counter = new Uint32Array(4);
  const words = new Uint32Array(4);
  const drawn = new Float32Array(indices.length * zDim);
  indices.forEach((index, row) => {
    if (typeof index !== "bigint" || index < 0n || index > MAX_INDEX) {
      throw new RangeError(`an index must be a whole number from 0 to 2^63 - 1, not ${index}`);
    }
    counter[1] = Number(index & WORD);
    counter[2] = Number(index >> HALF);
    for (let j = 0; j < zDim; j++) {
      if (j % 4 === 0) {
        counter[0] = j / 4;
        philox4x32(counter, key, words);
      }
      const uniform = (words[j % 4] + 0.5) / 2 ** 32;
      drawn[row * zDim + j] = normalQuantile(truncation === null ? uniform : 0.5 + (uniform - 0.5) * scale);
    }
  });
  return drawn;
}

/**
 * Philox4x32-10 of one counter under one key.
 *
 * @param {Uint32Array} counter four words.
 * @param {Uint32Array} key two words.
 * @param {Uint32Array} words receives the four words drawn.
 * @returns {Uint32Array} `words`.
 */
export function philox4x32(counter, key, words) {
  let c0 = counter[0];
  let c1 = counter[1];
  let c2 = counter[2];
  let c3 = counter[3];
  let key0 = key[0];
  let key1 = key[1];
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(MULTIPLIER_0, c0);
    const high1 = highProduct(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 = (key0 + KEY_STEP_0) | 0;
    key1 = (key1 + KEY_STEP_1) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
  return words;
}

/**
 * Inverse of the standard normal CDF, relative error about 1e-15 (AS 241, PPND16).
 *
 * @param {number} p in [2^-33, 1 - 2^-33].
 * @returns {number}
 */
export function normalQuantile(p) {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return q * (polynomial(CENTRE_NUMERATOR, r) / polynomial(CENTRE_DENOMINATOR, r));
  }
  const r = Math.sqrt(-log(Math.min(p, 1.0 - p))) - 1.6;
  const z = polynomial(TAIL_NUMERATOR, r) / polynomial(TAIL_DENOMINATOR, r);
  return q < 0 ? -z : z;
}

/**
 * The upper 32 bits of the product of two 32-bit words, from products of their 16-bit halves.
 *
 * @param {number} a
 * @param {number} b
 */
function highProduct(a, b) {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const lowHigh = Math.imul(aLow, bHigh);
  const highLow = Math.imul(aHigh, bLow);
  const middle = (Math.imul(aLow, bLow) >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
  return (Math.imul(aHigh, bHigh) + (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16)) | 0;
}

/**
 * P(z < -t), found by bisection on `normalQuantile`, so that the cut is as portable as the quantile itself.
 *
 * @param {number} t
 */
function normalCdfBelow(t) {
  let low = MIN_P;
  let high = 0.5;
  if (normalQuantile(low) >= -t) return 0; // beyond every number that a 32-bit word can give: nothing to cut
  for (let middle = 0.5 * (low + high); low < middle && middle < high; middle = 0.5 * (low + high)) {
    if (normalQuantile(middle) < -t) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * Natural logarithm of normal positive numbers, within one unit in the last place (fdlibm).
 *
 * @param {number} x
 */
function log(x) {
  bits.setFloat64(0, x);
  const top = bits.getUint32(0); // sign, exponent and the mantissa's first 20 bits
  bits.setUint32(0, (top & 0xfffff) | 0x3fe00000);
  const mantissa = bits.getFloat64(0); // in [0.5, 1)
  const small = mantissa < HALF_ROOT_2;
  const f = (small ? 2.0 * mantissa : mantissa) - 1.0;
  const k = (top >>> 20) - 1022 - (small ? 1 : 0);
  const s = f / (2.0 + f);
  const s2 = s * s;
  const half = 0.5 * f * f;
  return k * LN2_HIGH - (half - (s * (half + s2 * polynomial(LOG, s2)) + k * LN2_LOW) - f);
}

/**
 * Horner's rule, highest power first.
 *
 * @param {readonly number[]} coefficients
 * @param {number} x
 */
function polynomial(coefficients, x) {
  let value = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) value = value * x + coefficients[i];
  return value;
}

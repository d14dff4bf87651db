// @ts-check
/**
 * Ways between latents and away from them, along the sphere near which Gaussian latents of many dimensions lie (White,
 * "Sampling generative networks", 2016). All arithmetic is in float64; vectors come and go as float32.
 */

/** @typedef {ArrayLike<number>} Vector a latent, or a direction among latents, of z_dim numbers */

// Below this sine two directions are as good as equal or opposite: the formulas would divide by it.
const MIN_SINE = 1e-6;

/**
 * The point at `t` on the great circle from `a` to `b`, lengths interpolated linearly (Shoemake 1985), as
 * genface/walk.py's. At 0 and 1 exactly the ends. Opposite vectors, and all but equal ones, are joined by a straight
 * line; the origin takes the direction of the other end.
 *
 * @param {Vector} a
 * @param {Vector} b
 * @param {number} t in [0, 1].
 * @returns {Float32Array}
 */
export function slerp(a, b, t) {
  sameLength([a, b]);
  if (t === 0) return Float32Array.from(a);
  if (t === 1) return Float32Array.from(b);
  const [aLength, bLength] = [norm(a), norm(b)];
  const start = unit(aLength > 0 ? a : b);
  const end = unit(bLength > 0 ? b : a);
  const angle = angleBetween(start, end);
  const sine = Math.sin(angle);
  const onCircle = sine > MIN_SINE;
  const startWeight = onCircle ? Math.sin((1 - t) * angle) / sine : 1 - t;
  const endWeight = onCircle ? Math.sin(t * angle) / sine : t;
  const length = (1 - t) * aLength + t * bLength;
  return Float32Array.from(start, (x, i) => length * (startWeight * x + endWeight * end[i]));
}

/**
 * A mixture of latents: its direction is that of the weighted sum of their directions, its length the weighted mean of
 * their lengths. Where the directions cancel out, it takes that of the heaviest vector, the first of equals.
 *
 * @param {readonly Vector[]} vectors at least one.
 * @param {readonly number[]} weights one per vector, none negative, not all zero; they need not sum to 1.
 * @returns {Float32Array}
 * @throws {RangeError} for other weights, and vectors of unequal lengths.
 */
export function mix(vectors, weights) {
  sameLength(vectors);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const usable = weights.every((weight) => weight >= 0) && total > 0 && total < Infinity;
  if (weights.length !== vectors.length || !usable) {
    throw new RangeError(`a mixture takes one weight of at least 0 per vector, not all 0; got [${weights}]`);
  }
  const directions = vectors.map(unit);
  const length = vectors.reduce((sum, vector, n) => sum + (weights[n] / total) * norm(vector), 0);
  let sum = Float64Array.from(directions[0], (_, i) =>
    directions.reduce((at, direction, n) => at + (weights[n] / total) * direction[i], 0),
  );
  if (norm(sum) < MIN_SINE) sum = directions[weights.indexOf(Math.max(...weights))];
  return Float32Array.from(unit(sum), (x) => length * x);
}

/**
 * `z` moved along the great circle towards `direction`, its length kept.
 *
 * `amount` is the length of the way on the sphere, in standard deviations of a latent's numbers (which are 1); the
 * angle is amount / |z|. A negative amount moves away. The way ends at the direction itself, or at its opposite: a step
 * beyond stops there. A vector that lies on the direction's own line knows no way around, and stays.
 *
 * @param {Vector} z
 * @param {Vector} direction of any length above 0.
 * @param {number} amount
 * @returns {Float32Array}
 */
export function move(z, direction, amount) {
  sameLength([z, direction]);
  const radius = norm(z);
  const from = unit(z);
  const towards = unit(direction);
  const angle = angleBetween(from, towards);
  const sine = Math.sin(angle);
  if (radius === 0 || sine <= MIN_SINE || amount === 0) return Float32Array.from(z);
  const turn = Math.min(Math.max(amount / radius, angle - Math.PI), angle);
  // In the plane of the two, `from` at angle 0 and `towards` at `angle`.
  const fromWeight = Math.sin(angle - turn) / sine;
  const towardsWeight = Math.sin(turn) / sine;
  return Float32Array.from(from, (x, i) => radius * (fromWeight * x + towardsWeight * towards[i]));
}

/** @param {Vector} vector */
function norm(vector) {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i] * vector[i];
  return Math.sqrt(squares);
}

/**
 * The direction of a vector, of length one; zero for zero.
 *
 * @param {Vector} vector
 */
function unit(vector) {
  const length = norm(vector);
  return Float64Array.from(vector, (x) => (length > 0 ? x / length : 0));
}

/**
 * Angle between unit vectors; unlike the arc cosine of their product, exact for small ones (Kahan).
 *
 * @param {Float64Array} a
 * @param {Float64Array} b
 */
function angleBetween(a, b) {
  return 2 * Math.atan2(norm(a.map((x, i) => x - b[i])), norm(a.map((x, i) => x + b[i])));
}

/** @param {readonly Vector[]} vectors */
function sameLength(vectors) {
  if (vectors.length === 0 || vectors.some((vector) => vector.length !== vectors[0].length)) {
    throw new RangeError(`vectors of one length are needed, not of [${vectors.map((vector) => vector.length)}]`);
  }
}

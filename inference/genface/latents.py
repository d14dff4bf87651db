"""Latents by counter: number j of image i of seed s is a pure function of (s, i, j), on any machine and in any order.

Uniform words come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), normals
from Wichura's AS 241 (PPND16, Applied Statistics 37(3), 1988). Only exactly rounded operations are used (+ - x / and
the square root, never a library's logarithm), so that the same page in another language gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

MAX_SEED = (1 << 64) - 1
MAX_INDEX = (1 << 63) - 1

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

# fmt: off
# AS 241, highest power first. The third branch of PPND16 (r > 5) lies below p = 1.4e-11; 32-bit words stop at 1.2e-10.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080),
    (5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867,
     5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0),
)
_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 0.241780725177450611770, 1.27045825245236838258,
     3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 0.148103976427480074590,
     0.689767334985100004550, 1.67638483018380384940, 2.05319162663775882187, 1.0),
)
# fdlibm's e_log.c.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG = (
    1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
    2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01,
)
# fmt: on
_MIN_P = 2.0**-33


def latents(
    seed: int, indices: Sequence[int] | NDArray[np.integer], z_dim: int, *, truncation: float | None = None
) -> NDArray[np.float32]:
    """Draw the latent vectors of the images `indices` of `seed`.

    Philox is keyed by the seed's low and high 32-bit halves; its counter is (block, index low, index high, 0), and
    block b gives the numbers 4b to 4b+3 of the vector. So the first numbers of a longer vector are those of a shorter.

    Args:
        seed: 0 to 2^64 - 1.
        indices: whole numbers from 0 to 2^63 - 1, in any order; N of them.
        z_dim: length of one vector, at least 1.
        truncation: maps the same uniforms to the normal cut at plus and minus this value, so that a face becomes a
            more typical version of itself as the value falls. None does not cut.

    Returns:
        float32 [N, z_dim], standard normal (or truncated normal).

    Raises:
        UserError: when an argument is out of its range.
    """
    index = _checked_indices(indices)
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"the seed must be a whole number from 0 to 2^64 - 1, not {seed}")
    if z_dim < 1:
        raise UserError(f"z_dim must be at least 1, not {z_dim}")
    if truncation is not None and not 0 < truncation < np.inf:
        raise UserError(f"truncation must be a number above 0, not {truncation} (leave it out for none)")

    blocks = -(-z_dim // 4)
    counters = (
        np.broadcast_to(np.arange(blocks, dtype=np.uint64), (len(index), blocks)),
        np.broadcast_to((index & _WORD)[:, None], (len(index), blocks)),
        np.broadcast_to((index >> _HALF)[:, None], (len(index), blocks)),
        np.zeros((len(index), blocks), dtype=np.uint64),
    )
    words = np.stack(philox4x32(counters, (seed & 0xFFFFFFFF, seed >> 32)), axis=-1)  # uint64 [N, blocks, 4]
    uniform = (words.reshape(len(index), 4 * blocks)[:, :z_dim].astype(np.float64) + 0.5) / 2.0**32
    if truncation is not None:
        uniform = 0.5 + (uniform - 0.5) * (1.0 - 2.0 * _normal_cdf_below(float(truncation)))
    return normal_quantile(uniform).astype(np.float32)


def philox4x32(counter: Sequence[NDArray[np.uint64]], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """Philox4x32-10 of four counter words, each an array of one shape, under one key; words are 32 bits in uint64."""
    c0, c1, c2, c3 = counter
    for r in range(_ROUNDS):
        key0, key1 = (np.uint64((word + r * step) & 0xFFFFFFFF) for word, step in zip(key, _KEY_STEPS, strict=True))
        product0, product1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _HALF) ^ c1 ^ key0,
            product1 & _WORD,
            (product0 >> _HALF) ^ c3 ^ key1,
            product0 & _WORD,
        )
    return c0, c1, c2, c3


def normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the standard normal CDF for p in [2^-33, 1 - 2^-33], relative error about 1e-15 (AS 241, PPND16)."""
    q = p - 0.5
    tail = np.abs(q) > 0.425
    r = 0.180625 - q * q
    z = q * _ratio(_CENTRE, r)
    q, p = q[tail], p[tail]
    r = np.sqrt(-_log(np.minimum(p, 1.0 - p))) - 1.6
    z[tail] = np.copysign(_ratio(_TAIL, r), q)
    return z


def _checked_indices(indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint64]:
    index = np.asarray(indices)
    if index.size == 0:
        return np.zeros(0, dtype=np.uint64)
    if index.ndim != 1 or index.dtype.kind not in "iu" or int(index.min()) < 0 or int(index.max()) > MAX_INDEX:
        raise UserError("indices must be a flat list of whole numbers from 0 to 2^63 - 1")
    return index.astype(np.uint64)


@cache
def _normal_cdf_below(t: float) -> float:
    """P(z < -t), found by bisection on `normal_quantile`, so that the cut is as portable as the quantile itself."""
    low, high = _MIN_P, 0.5
    if normal_quantile(np.array([low]))[0] >= -t:
        return 0.0  # beyond every number that a 32-bit word can give: nothing to cut
    while low < (middle := 0.5 * (low + high)) < high:
        if normal_quantile(np.array([middle]))[0] < -t:
            low = middle
        else:
            high = middle
    return high


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm of normal positive numbers, within one unit in the last place (fdlibm)."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.5 * np.sqrt(2.0)
    f = np.where(small, 2.0 * mantissa, mantissa) - 1.0
    k = (exponent - small).astype(np.float64)
    s = f / (2.0 + f)
    s2 = s * s
    half = 0.5 * f * f
    logarithm: NDArray[np.float64] = k * _LN2_HIGH - (
        (half - (s * (half + s2 * _polynomial(_LOG, s2)) + k * _LN2_LOW)) - f
    )
    return logarithm


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    numerator, denominator = coefficients
    return _polynomial(numerator, x) / _polynomial(denominator, x)


def _polynomial(coefficients: tuple[float, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Horner's rule, highest power first."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value

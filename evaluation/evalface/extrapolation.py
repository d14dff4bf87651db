"""The Frechet distance at an infinite number of pictures (Chong and Forsyth 2020, Effectively Unbiased FID).

At N pictures the distance is biased upwards by about c / N with a c that depends on the generator, so that equal N do
not make two generators comparable. Distances of random subsets lie on a line in 1 / N; it is followed to 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evalface.frechet import frechet_distance
from evalface.intervals import Interval
from evalface.moments import Moments
from genface.errors import UserError

SIZES = 15
_SMALLEST_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """A line through distances at different N."""

    value: float
    """At 1 / N = 0. Nearly unbiased, so about 0 for equal distributions and sometimes below."""
    standard_error: float
    """Of `value`: the fit's own error and the sampling error of the pictures that all subsets share, added."""
    fit_error: float
    """Standard error of the intercept by least squares; too small alone, since the subsets overlap."""
    slope: float
    """The bias is about slope / N."""
    sizes: tuple[int, ...]
    """N of each side at each point."""
    distances: tuple[float, ...]
    seed: int

    def interval(self) -> Interval:
        """Normal interval around the value."""
        return Interval.normal(self.value, self.standard_error)


def extrapolate(x: NDArray[Any], y: NDArray[Any], *, sampling_error: float, seed: int) -> Extrapolation:
    """Fit features x [n, d] and y [m, d] at 15 sizes, from half to the whole of the smaller set.

    Both sides shrink together, since each brings its own bias; the paper keeps its 50,000 reals. Sizes below half, as
    the paper's code has them, leave the line where there are not many times more pictures than features.
    `sampling_error` is that of the distance of all pictures (`evalface.frechet_error`). Raises UserError for fewer
    than 8 pictures on a side or different widths.
    """
    n = min(len(x), len(y))
    if n < 8 or x.shape[1:] != y.shape[1:]:
        raise UserError(f"an extrapolation needs two sets of at least 8 features of one width: {x.shape}, {y.shape}")
    rng = np.random.default_rng(seed)
    sizes = np.round(np.linspace(_SMALLEST_SHARE * n, n, SIZES)).astype(int)
    distances = np.array(
        [
            fast_distance(*(side[np.sort(rng.choice(len(side), size, replace=False))] for side in (x, y)))
            for size in sizes
        ]
    )
    design = np.stack([np.ones(SIZES), 1 / sizes], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    value, slope = inverse @ design.T @ distances
    residual = distances - design @ [value, slope]
    fit_error = np.sqrt(residual @ residual / (SIZES - 2) * inverse[0, 0])
    return Extrapolation(
        value=float(value),
        standard_error=float(np.hypot(fit_error, sampling_error)),
        fit_error=float(fit_error),
        slope=float(slope),
        sizes=tuple(int(size) for size in sizes),
        distances=tuple(float(distance) for distance in distances),
        seed=seed,
    )


def fast_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Frechet distance of features x [n, d] and y [m, d], good to about 1e-6 of the traces.

    With more pictures than features, tr (S1 S2)^(1/2) is the sum of the square roots of the eigenvalues of L^T S2 L,
    S1 = L L^T, three times as fast as the nuclear norm of the factors; with fewer, or features that depend on each
    other, the latter.
    """
    if min(len(x), len(y)) <= x.shape[1]:
        return frechet_distance(x, y)
    one, other = Moments.of(x), Moments.of(y)
    first, second = one.sigma(), other.sigma()
    try:
        root = linalg.cholesky(first, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return frechet_distance(x, y)
    eigenvalues = linalg.eigvalsh(root.T @ second @ root, overwrite_a=True, check_finite=False)
    difference = one.mean - other.mean
    cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * cross)

"""KID: the kernel distance of Binkowski et al. 2018 (Demystifying MMD GANs), on all pictures instead of subsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.intervals import Interval
from genface.errors import UserError

_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """The squared maximum mean discrepancy under k(a, b) = (a.b / d + 1)^3."""

    value: float
    """Unbiased, so about 0 for equal distributions and sometimes below."""
    standard_error: float
    """Of `value` over draws of both sets, also where the distributions are equal (`_standard_error`)."""

    def interval(self) -> Interval:
        """Normal interval around the value. It may reach below 0, as the unbiased value itself may."""
        return Interval.normal(self.value, self.standard_error)


@dataclass(frozen=True)
class _Kernel:
    """What a block pass leaves of a kernel matrix [n, m]."""

    rows: NDArray[np.float64]
    """[n] mean of each row, over other pictures."""
    columns: NDArray[np.float64]
    """[m]."""
    mean_square: float

    def centred_square(self) -> float:
        """Mean square of the entries, less what their row's and their column's mean say of them."""
        explained = np.mean(self.rows**2) + np.mean(self.columns**2) - np.mean(self.rows) ** 2
        return max(0.0, float(self.mean_square - explained))


def kernel_distance(x: NDArray[Any], y: NDArray[Any]) -> KernelDistance:
    """Unbiased KID of features x [n, d] and y [m, d], n and m at least 2, in float64, in blocks of rows.

    Every pair counts once: the value has less variance than a mean over random subsets of 1,000 and needs no seed.
    Raises UserError for fewer rows, different widths, NaN and infinity.
    """
    if x.ndim != 2 or min(len(x), len(y)) < 2 or x.shape[1:] != y.shape[1:]:
        raise UserError(f"KID needs two sets of at least 2 features of one width, not {x.shape} and {y.shape}")
    x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    xx, yy, xy = _within(x), _within(y), _across(x, y)
    value = float(xx.rows.mean() + yy.rows.mean() - 2 * xy.rows.mean())
    if not np.isfinite(value):
        raise UserError("features hold NaN, infinity or numbers too large for a kernel; the extractor is at fault")
    return KernelDistance(value=value, standard_error=_standard_error(xx, yy, xy))


def _standard_error(xx: _Kernel, yy: _Kernel, xy: _Kernel) -> float:
    """Standard error of the two-sample U-statistic, to second order (Serfling 1980, section 5.2).

    The variance is the variance of the row means plus that of the centred kernel, which is all that is left for equal
    distributions. Row means are noisy themselves: their own variance holds the second part twice, and would make the
    interval sqrt(2) too wide there.
    """
    n, m = len(xx.rows), len(yy.rows)
    row_means = 4 * (xx.rows - xy.rows).var(ddof=1) / n + 4 * (yy.rows - xy.columns).var(ddof=1) / m
    centred = (
        2 * xx.centred_square() / (n * (n - 1))
        + 2 * yy.centred_square() / (m * (m - 1))
        + 4 * xy.centred_square() / (n * m)
    )
    return float(np.sqrt(max(row_means - centred, centred)))


def _block(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    base: NDArray[np.float64] = x @ y.T
    base /= x.shape[1]
    base += 1.0
    return base * base * base


def _within(x: NDArray[np.float64]) -> _Kernel:
    """Kernel of each row to all other rows. Each block of pairs is computed once."""
    sums, squares = np.zeros(len(x)), 0.0
    for i in range(0, len(x), _ROWS):
        for j in range(i, len(x), _ROWS):
            block = _block(x[i : i + _ROWS], x[j : j + _ROWS])
            if i == j:
                np.fill_diagonal(block, 0.0)
            else:
                sums[j : j + _ROWS] += block.sum(axis=0)
            sums[i : i + _ROWS] += block.sum(axis=1)
            squares += float(np.vdot(block, block)) * (1 if i == j else 2)
    others = len(x) - 1
    return _Kernel(sums / others, sums / others, squares / (len(x) * others))


def _across(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Kernel:
    """Kernel of each row of x to all of y."""
    of_x, of_y, squares = np.zeros(len(x)), np.zeros(len(y)), 0.0
    for i in range(0, len(x), _ROWS):
        for j in range(0, len(y), _ROWS):
            block = _block(x[i : i + _ROWS], y[j : j + _ROWS])
            of_x[i : i + _ROWS] += block.sum(axis=1)
            of_y[j : j + _ROWS] += block.sum(axis=0)
            squares += float(np.vdot(block, block))
    return _Kernel(of_x / len(y), of_y / len(x), squares / (len(x) * len(y)))

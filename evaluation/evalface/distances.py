"""Squared Euclidean distances between many rows: cheap bounds by matrix products, exact values for the few that matter.

A product of matrices gives |a - b|^2 = |a|^2 + |b|^2 - 2 a.b only up to its rounding error. The error has a bound
(Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1), so a block of products says for nearly all
pairs on which side of a limit they lie. The rest is computed from differences in float64. Results do not depend on how
the rows were cut into blocks, on the library behind the product, or on its precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

ROWS = 1024
"""Rows and columns of a block."""
_PAIR_BYTES = 1 << 26
_DOUBLE_UNIT = 2.0**-53
# Beyond this a square could overflow in float32.
_SINGLE_AT_MOST = 1e36


def exact_squared_distances(
    points: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """|points[rows] - points[columns]|^2 by differences in float64; points [n, d], rows and columns [p], result [p]."""
    result = np.empty(len(rows))
    step = max(1, _PAIR_BYTES // (8 * points.shape[1]))
    for start in range(0, len(rows), step):
        span = slice(start, start + step)
        difference = points[rows[span]].astype(np.float64)
        difference -= points[columns[span]]
        result[span] = np.einsum("ij,ij->i", difference, difference)
    return result


class Bounds:
    """Lower and upper bounds of the squared distances between rows of `points` [n, d], a block at a time.

    In float32 first, which is twice as fast; in float64 where float32 would leave too much open.
    """

    def __init__(self, points: NDArray[Any], spans: tuple[slice, ...]) -> None:
        """Only rows within `spans` will be asked for; around their mean the rounding is least."""
        self._points = points
        counts = [span.stop - span.start for span in spans]
        means = [points[span].mean(axis=0, dtype=np.float64) for span in spans]
        # Representable in float32, so that it can be taken from float32 and uint8 rows with one rounding.
        self._centre = np.average(means, axis=0, weights=counts).astype(np.float32).astype(np.float64)
        self._squares = np.zeros(len(points))
        moved = np.zeros(len(points))
        for span in spans:
            for start in range(span.start, span.stop, ROWS):
                part = slice(start, min(start + ROWS, span.stop))
                raw = points[part].astype(np.float64)
                centred = raw - self._centre
                self._squares[part] = np.einsum("ij,ij->i", centred, centred)
                moved[part] = np.sqrt(np.einsum("ij,ij->i", raw, raw))
        largest = float(self._squares.max())
        if not np.isfinite(largest):
            raise UserError("features hold NaN, infinity or numbers too large to be squared; the extractor is at fault")
        # What taking the centre away may have rounded off a row, as a length.
        moved = _DOUBLE_UNIT * (moved + np.linalg.norm(self._centre))
        d = points.shape[1]
        self.precisions: tuple[Any, ...] = (np.float32, np.float64) if largest < _SINGLE_AT_MOST else (np.float64,)
        self.errors = {
            dtype: _error(self._squares, moved, d, float(np.finfo(dtype).eps) / 2, float(np.finfo(dtype).tiny))
            for dtype in self.precisions
        }
        """By precision: a lower bound plus 2 * (errors[row] + errors[column]) is an upper bound."""

    def lower(self, rows: slice, columns: slice, precision: Any) -> NDArray[Any]:
        """Lower bounds of the squared distances of `rows` to `columns`, [rows, columns] in `precision`."""
        reduced = self._squares - self.errors[precision]
        block: NDArray[Any] = self._rows(rows, precision) @ self._rows(columns, precision).T
        block *= -2
        block += reduced[rows, None].astype(precision)
        block += reduced[None, columns].astype(precision)
        return block

    def _rows(self, span: slice, precision: Any) -> NDArray[Any]:
        wide = np.promote_types(self._points.dtype, precision)
        centred: NDArray[Any] = np.subtract(self._points[span], self._centre, dtype=wide, casting="same_kind")
        return centred.astype(precision, copy=False)


def _error(
    squares: NDArray[np.float64], moved: NDArray[np.float64], d: int, unit: float, tiny: float
) -> NDArray[np.float64]:
    """Each row's share of what a squared distance may be off.

    With gamma = k u / (1 - k u), k = d + 16, the product is off by at most gamma |a||b| <= gamma (|a|^2 + |b|^2) / 2
    (equation 3.5 of the book); 16 leaves room for rounding the rows, the squares and the two sums. Shifts of length s
    and t change a squared distance D^2 by 2 D (s + t) + (s + t)^2, of which 2 D (s + t) <= w D^2 + (s + t)^2 / w for
    any w; here w = gamma / 8, and D^2 <= 2 (|a|^2 + |b|^2).
    """
    gamma = (d + 16) * unit / (1 - (d + 16) * unit)
    error: NDArray[np.float64] = 1.25 * gamma * squares + 17 / gamma * moved**2 + d * tiny
    return error

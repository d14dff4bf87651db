"""The pass over blocks of distances: nearest neighbours within a set or across two, and who lies in whose ball."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalface import distances
from evalface.distances import Bounds, exact_squared_distances

_OPEN_SHARE = 16
"""A block that leaves more than one pair in so many open is computed again in float64."""
_PAIRS_AT_MOST = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """For each row of one set, its nearest rows of a set: the k nearest and all that tie with the k-th.

    Sorted by row, then distance, then column.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    squared: NDArray[np.float64]
    """Squared distances, exact as `exact_squared_distances` has them."""
    n_rows: int

    @classmethod
    def sorted(
        cls, row: NDArray[np.int64], column: NDArray[np.int64], squared: NDArray[np.float64], n_rows: int, k: int
    ) -> Self:
        """Keep what is within each row's k-th distance, sorted."""
        keep = squared <= _kth(row, squared, n_rows, k)[row]
        row, column, squared = row[keep], column[keep], squared[keep]
        order = np.lexsort((column, squared, row))
        return cls(row=row[order], column=column[order], squared=squared[order], n_rows=n_rows)

    def nearest(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Column [n_rows] and squared distance [n_rows] of each row's nearest; -1 and infinity where it has none."""
        column, squared = np.full(self.n_rows, -1), np.full(self.n_rows, np.inf)
        start = np.flatnonzero(np.diff(self.row, prepend=-1))
        column[self.row[start]], squared[self.row[start]] = self.column[start], self.squared[start]
        return column, squared

    def kth_squared(self, k: int, own_count: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
        """Squared distance [n_rows] of each row to its k-th nearest other picture, a picture counted with its copies.

        `own_count` [n_rows] is how often the row's own picture occurs, `count` how often that of each column does.
        """
        within = np.cumsum(count[self.column])
        start = np.searchsorted(self.row, np.arange(self.n_rows))
        before = np.concatenate([[0], within])[start]
        reached = np.flatnonzero(within - before[self.row] + own_count[self.row] - 1 >= k)
        radius = np.full(self.n_rows, np.inf)
        np.minimum.at(radius, self.row[reached], self.squared[reached])
        radius[own_count > k] = 0.0
        return radius


def within(points: NDArray[Any], bounds: Bounds, span: slice, k: int) -> Neighbours:
    """Of each row of `span` of `points` [n, d] its k nearest other rows of the span, counted from its start."""
    table = _Table(span, k)
    cuts = list(_cuts(span))
    # The diagonal first: it gives every row a limit, under which the rest needs a look at few pairs.
    for rows in cuts:
        hits = _hits(bounds, rows, rows, table, table)
        table.add(hits.row, hits.column, hits.lower, hits.upper)
    for i, rows in enumerate(cuts):
        for columns in cuts[i + 1 :]:
            hits = _hits(bounds, rows, columns, table, table)
            table.add(hits.row, hits.column, hits.lower, hits.upper)
            table.add(hits.column, hits.row, hits.lower, hits.upper)
    return table.finish(points, span)


def across(
    points: NDArray[Any],
    bounds: Bounds,
    left: slice,
    right: slice,
    k: int,
    radii: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    counts: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> tuple[Neighbours, Neighbours, NDArray[np.int64], NDArray[np.int64]]:
    """Nearest of the left rows on the right and of the right rows on the left, then how often each lies in a ball.

    `radii` are squared; a row of the left lies in the balls of the right, weighted by the right's `counts`.
    """
    ours, theirs = _Table(left, k, radii and radii[0]), _Table(right, k, radii and radii[1])
    n, m = left.stop - left.start, right.stop - right.start
    left_in, right_in = np.zeros(n, np.int64), np.zeros(m, np.int64)
    for rows in _cuts(left):
        for columns in _cuts(right):
            hits = _hits(bounds, rows, columns, ours, theirs)
            ours.add(hits.row, hits.column, hits.lower, hits.upper)
            theirs.add(hits.column, hits.row, hits.lower, hits.upper)
            if radii and counts:
                i, j = hits.row - left.start, hits.column - right.start
                inside = _inside(points, hits, radii[0][i])
                right_in += np.bincount(j[inside], counts[0][i[inside]], m).astype(np.int64)
                inside = _inside(points, hits, radii[1][j])
                left_in += np.bincount(i[inside], counts[1][j[inside]], n).astype(np.int64)
    return ours.finish(points, right), theirs.finish(points, left), left_in, right_in


@dataclass(frozen=True)
class _Hits:
    """Pairs of a block that some limit leaves in question, by their rows in `points`."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def _hits(bounds: Bounds, rows: slice, columns: slice, ours: _Table, theirs: _Table) -> _Hits:
    """The pairs of one block that lie within the limits of their row in `ours` or their column in `theirs`."""
    for anew, precision in enumerate(bounds.precisions):
        lower = bounds.lower(rows, columns, precision)
        errors = bounds.errors[precision]
        if rows == columns:
            np.fill_diagonal(lower, np.inf)
        ours.tighten(lower, rows, errors[rows], errors[columns], anew=anew > 0)
        theirs.tighten(lower.T, columns, errors[columns], errors[rows], anew=anew > 0)
        # In the block's own precision, rounded outwards.
        row_limit, column_limit = (
            np.nextafter(limit.astype(precision), precision(np.inf))
            for limit in (ours.limit_of(rows), theirs.limit_of(columns))
        )
        hit = np.flatnonzero((lower <= row_limit[:, None]) | (lower <= column_limit[None, :]))
        if len(hit) * _OPEN_SHARE <= lower.size:
            break
    r, c = np.divmod(hit, lower.shape[1])
    low = lower.ravel()[hit].astype(np.float64)
    r, c = r + rows.start, c + columns.start
    other = np.isfinite(low)  # the diagonal is not
    return _Hits(r[other], c[other], low[other], (low + 2 * (errors[r] + errors[c]))[other])


def _inside(points: NDArray[Any], hits: _Hits, squared_radius: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the hits are strictly nearer than `squared_radius` [hits]: by their bounds, exactly where those fail."""
    inside = hits.upper < squared_radius
    unsure = np.flatnonzero(~inside & (hits.lower < squared_radius))
    inside[unsure] = exact_squared_distances(points, hits.row[unsure], hits.column[unsure]) < squared_radius[unsure]
    return inside


class _Table:
    """Candidates for the k nearest neighbours of each row of a span of `points`, kept until nothing nearer can come."""

    def __init__(self, span: slice, k: int, look_within: NDArray[np.float64] | None = None) -> None:
        self._start, self._n, self._k = span.start, span.stop - span.start, k
        self._limit = np.full(self._n, np.inf)
        self._look_within = look_within
        nothing, no_value = np.empty(0, np.int64), np.empty(0)
        self._parts = [(nothing, nothing, no_value, no_value)]
        self._held = 0

    def limit_of(self, rows: slice) -> NDArray[np.float64]:
        """Squared distance up to which a pair of each row is of interest."""
        limit = self._limit[self._own(rows)]
        return limit if self._look_within is None else np.maximum(limit, self._look_within[self._own(rows)])

    def tighten(
        self,
        lower: NDArray[Any],
        rows: slice,
        row_error: NDArray[np.float64],
        column_error: NDArray[np.float64],
        *,
        anew: bool,
    ) -> None:
        """Where rows have no limit yet, or the block was computed anew: the k-th of its upper bounds is one."""
        own = self._own(rows)
        if lower.shape[1] < self._k or (np.isfinite(self._limit[own]).all() and not anew):
            return
        kth = np.partition(lower, self._k - 1, axis=1)[:, self._k - 1].astype(np.float64)
        self._limit[own] = np.minimum(self._limit[own], kth + 2 * (row_error + column_error.max()))

    def add(
        self,
        row: NDArray[np.int64],
        column: NDArray[np.int64],
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
    ) -> None:
        row = row - self._start
        near = lower <= self._limit[row]
        self._parts.append((row[near], column[near], lower[near], upper[near]))
        self._held += int(near.sum())
        if self._held > _PAIRS_AT_MOST:
            self._prune()

    def finish(self, points: NDArray[Any], columns: slice) -> Neighbours:
        self._prune()
        row, column, _, _ = self._parts[0]
        squared = exact_squared_distances(points, row + self._start, column)
        return Neighbours.sorted(row, column - columns.start, squared, self._n, self._k)

    def _own(self, rows: slice) -> slice:
        return slice(rows.start - self._start, rows.stop - self._start)

    def _prune(self) -> None:
        row, column, lower, upper = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        self._limit = np.minimum(self._limit, _kth(row, upper, self._n, self._k))
        near = lower <= self._limit[row]
        self._parts = [(row[near], column[near], lower[near], upper[near])]
        self._held = int(near.sum())


def _cuts(span: slice) -> Iterator[slice]:
    yield from (slice(a, b) for a, b in pairwise([*range(span.start, span.stop, distances.ROWS), span.stop]))


def _kth(row: NDArray[np.int64], value: NDArray[np.float64], n_rows: int, k: int) -> NDArray[np.float64]:
    """The k-th least value of each row [n_rows], infinity for rows with fewer."""
    order = np.lexsort((value, row))
    start = np.searchsorted(row[order], np.arange(n_rows + 1))
    enough = np.diff(start) >= k
    kth = np.full(n_rows, np.inf)
    kth[enough] = value[order][start[:-1][enough] + k - 1]
    return kth

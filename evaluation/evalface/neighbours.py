"""Scores from nearest neighbours: the leave-one-out 1-NN test, precision and recall.

All distances are Euclidean, computed by blocks of matrix products in float64 on centred features, so that memory does
not grow with the square of the number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 1024
_PAIR_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut:
    """How often a picture's nearest other picture is of its own kind (Xu et al. 2018, arXiv 1806.07755)."""

    accuracy: float
    """Over all pictures: about `chance` = cannot be told apart, 1 = apart, 0 = each fake copies a real."""
    real_accuracy: float
    """Of the real pictures, the share whose nearest is real."""
    fake_accuracy: float
    """Of the fake pictures, the share whose nearest is fake."""
    chance: float
    """The exact expectation for two samples of one distribution: a little below 1/2."""
    n_per_side: int


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Kynkaanniemi et al. 2019, with the strict inequality of the package `prdc` (Naeem et al. 2020)."""

    precision: float
    """Share of fakes inside the k-NN ball of some real picture."""
    recall: float
    """Share of reals inside the k-NN ball of some fake picture."""
    k: int
    n_per_side: int


def equal_subsample(n_real: int, n_fake: int, seed: int, at_most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted indices of equally many pictures of both sides, all of the smaller side unless it exceeds `at_most`."""
    n = min(n_real, n_fake, at_most)
    rng = np.random.default_rng(seed)
    # Always drawn in this order, so that one seed means one choice.
    real, fake = (np.sort(rng.choice(total, n, replace=False)) for total in (n_real, n_fake))
    return real, fake


def chance_level(n_real: int, n_fake: int) -> float:
    """Expected leave-one-out accuracy for two samples of one distribution, where any other picture may be nearest."""
    total = n_real + n_fake
    return (n_real * (n_real - 1) + n_fake * (n_fake - 1)) / (total * (total - 1))


def leave_one_out(real: NDArray[Any], fake: NDArray[Any]) -> LeaveOneOut:
    """LOO-1NN of features real [n, d] and fake [n, d] (float, or uint8 pixels), n at least 2.

    Where several pictures are equally near, each counts by its share, so the result does not depend on the order in
    which the sets are given. Exact copies are grouped first: a collapsed generator costs less, not more.
    """
    if real.shape != fake.shape or len(real) < 2:
        raise ValueError(f"LOO-1NN needs two sets of one size, at least 2 each, not {real.shape} and {fake.shape}")
    points = np.concatenate([real, fake])
    if not np.isfinite(points).all():
        raise ValueError("features hold NaN or infinity")
    is_fake = np.arange(len(points)) >= len(real)
    group, first = _group_copies(points)
    counts = np.stack(
        [np.bincount(group[~is_fake], minlength=len(first)), np.bincount(group[is_fake], minlength=len(first))]
    )
    size = counts.sum(axis=0)

    # A picture with exact copies has them as nearest; the others' nearest groups come from distances.
    near = np.where(size > 1, counts, 0).astype(np.float64)
    rows, columns = nearest_with_ties(points[first], query=size == 1)
    for label in (0, 1):
        near[label] += np.bincount(rows, counts[label][columns], minlength=len(first))

    own = near[is_fake.astype(int), group] - (size[group] > 1)
    total = near.sum(axis=0)[group] - (size[group] > 1)
    correct = own / total
    return LeaveOneOut(
        accuracy=float(correct.mean()),
        real_accuracy=float(correct[~is_fake].mean()),
        fake_accuracy=float(correct[is_fake].mean()),
        chance=chance_level(len(real), len(fake)),
        n_per_side=len(real),
    )


def _group_copies(points: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group number of each row [n], and the first row of each group, by equality of all features."""
    seen: dict[bytes, int] = {}
    group = np.empty(len(points), np.int64)
    first: list[int] = []
    for i, row in enumerate(points):
        # + 0 makes -0.0 and 0.0 the same bytes.
        group[i] = seen.setdefault((row + row.dtype.type(0)).tobytes(), len(seen))
        if len(seen) > len(first):
            first.append(i)
    return group, np.array(first)


def nearest_with_ties(points: NDArray[Any], query: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All nearest other rows of each queried row of `points` [n, d], no two rows equal: index pairs, ties included.

    A first pass of matrix products keeps every pair that its rounding error leaves in question; these few are ranked
    again by exact differences.
    """
    frame = _Frame(points)
    best = np.full(len(points), np.inf)
    slack = frame.error_bound()
    kept: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def note(d2: NDArray[np.float64], row_start: int, column_start: int) -> None:
        span = slice(row_start, row_start + len(d2))
        least = d2.min(axis=1)
        best[span] = np.minimum(best[span], least)
        # A row's distance to itself is infinite here, and so is the least of a block that holds nothing else.
        open_rows = np.flatnonzero((least <= best[span] + slack) & query[span] & np.isfinite(least))
        r, c = np.nonzero(d2[open_rows] <= best[span][open_rows, None] + slack)
        kept.append((open_rows[r] + row_start, c + column_start))

    for i in range(0, len(points), _ROWS):
        left = frame.rows(i, i + _ROWS)
        for j in range(i, len(points), _ROWS):
            d2 = frame.squared_distances(left, i, left if i == j else frame.rows(j, j + _ROWS), j)
            if i == j:
                np.fill_diagonal(d2, np.inf)
            else:
                note(d2.T, j, i)
            note(d2, i, j)
    r, c = (np.concatenate(part) for part in zip(*kept, strict=True))
    exact = _exact_squared_distances(points, r, c)
    np.minimum.at(best_exact := np.full(len(points), np.inf), r, exact)
    nearest = exact == best_exact[r]
    return r[nearest], c[nearest]


def _exact_squared_distances(points: NDArray[Any], r: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.float64]:
    result = np.empty(len(r))
    step = max(1, _PAIR_BYTES // (8 * points.shape[1]))
    for start in range(0, len(r), step):
        span = slice(start, start + step)
        difference = points[r[span]].astype(np.float64) - points[c[span]]
        result[span] = np.einsum("ij,ij->i", difference, difference)
    return result


def precision_recall(real: NDArray[Any], fake: NDArray[Any], k: int = 5) -> PrecisionRecall:
    """Precision and recall of features real [n, d] and fake [n, d], n above k."""
    if real.shape != fake.shape or len(real) <= k:
        raise ValueError(f"precision and recall need two sets of one size over {k}, not {real.shape} and {fake.shape}")
    n = len(real)
    frame = _Frame(np.concatenate([real, fake]))
    real_radius, fake_radius = _kth_squared(frame, 0, n, k), _kth_squared(frame, n, 2 * n, k)
    precise = np.zeros(n, np.bool_)
    recalled = np.zeros(n, np.bool_)
    for i, j, d2 in frame.blocks(0, n, n, 2 * n):
        precise[j : j + d2.shape[1]] |= (d2 < real_radius[i : i + len(d2), None]).any(axis=0)
        recalled[i : i + len(d2)] |= (d2 < fake_radius[None, j : j + d2.shape[1]]).any(axis=1)
    return PrecisionRecall(precision=float(precise.mean()), recall=float(recalled.mean()), k=k, n_per_side=n)


def _kth_squared(frame: _Frame, start: int, stop: int, k: int) -> NDArray[np.float64]:
    """Squared distance of each row in [start, stop) to its k-th nearest other row in that range."""
    nearest = np.full((stop - start, k), np.inf)
    for i, j, d2 in frame.blocks(start, stop, start, stop):
        if i == j:
            np.fill_diagonal(d2, np.inf)
        span = slice(i, i + len(d2))
        both = np.concatenate([nearest[span], d2], axis=1)
        nearest[span] = np.partition(both, k - 1, axis=1)[:, :k]
    radii: NDArray[np.float64] = nearest.max(axis=1)
    return radii


class _Frame:
    """Rows of features in float64 about their centre, a block at a time, with their squared lengths."""

    def __init__(self, points: NDArray[Any]) -> None:
        self.points = points
        # Around 128 uint8 pixels stay whole numbers, and float64 sums of their products are exact.
        self.centre = np.float64(128) if points.dtype == np.uint8 else points.mean(axis=0, dtype=np.float64)
        spans = range(0, len(points), _ROWS)
        self.squares = np.concatenate([np.einsum("ij,ij->i", b, b) for b in (self.rows(i, i + _ROWS) for i in spans)])

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        centred: NDArray[np.float64] = self.points[start:stop].astype(np.float64) - self.centre
        return centred

    def error_bound(self) -> float:
        """How far a squared distance from a matrix product may be off (Higham 2002, section 3.1, doubled)."""
        unit = float(np.finfo(np.float64).eps)
        return float(4 * (self.points.shape[1] + 3) * unit * self.squares.max(initial=0.0))

    def squared_distances(
        self, left: NDArray[np.float64], i: int, right: NDArray[np.float64], j: int
    ) -> NDArray[np.float64]:
        d2: NDArray[np.float64] = left @ right.T
        d2 *= -2
        d2 += self.squares[i : i + len(left), None]
        d2 += self.squares[None, j : j + len(right)]
        return d2

    def blocks(self, r0: int, r1: int, c0: int, c1: int) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
        """Squared distances of rows [r0, r1) to rows [c0, c1) by blocks, with the block's place in both ranges."""
        slack = self.error_bound()
        for i in range(r0, r1, _ROWS):
            left = self.rows(i, min(i + _ROWS, r1))
            for j in range(c0, c1, _ROWS):
                d2 = self.squared_distances(left, i, self.rows(j, min(j + _ROWS, c1)), j)
                # Copies are at distance 0, not at the rounding error.
                d2[d2 <= slack] = 0.0
                yield i - r0, j - c0, d2

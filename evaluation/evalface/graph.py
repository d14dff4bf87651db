"""One pass over all distances between two sets of pictures; every score of neighbours reads its result.

Each block of distances is computed once, used for its rows and for its columns, and forgotten: memory grows with the
number of pictures, not with its square. Copies are taken together first, so that a collapsed generator costs less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalface.block_pass import Neighbours, across, within
from evalface.distances import Bounds
from genface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """The different pictures of one set, in an order that depends on their contents alone."""

    first: NDArray[np.int64]
    """[u] the first row of the set that shows the picture."""
    count: NDArray[np.int64]
    """[u] how many rows show it."""
    group: NDArray[np.int64]
    """[n] which of the u pictures a row shows."""

    @classmethod
    def of(cls, features: NDArray[Any], seed: int) -> Self:
        """Group rows of features [n, d] by equality of all values; the order is drawn by `seed`."""
        key = seed.to_bytes(8, "little")
        seen: dict[bytes, int] = {}
        group = np.empty(len(features), np.int64)
        first: list[int] = []
        zero = features.dtype.type(0)
        for i, row in enumerate(features):
            # + 0 makes -0.0 and 0.0 the same bytes.
            digest = hashlib.blake2b((row + zero).tobytes(), digest_size=16, key=key).digest()
            group[i] = seen.setdefault(digest, len(seen))
            if len(seen) > len(first):
                first.append(i)
        order = np.array(sorted(range(len(first)), key=list(seen).__getitem__))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(first=np.array(first)[order], count=np.bincount(group)[order], group=place[group])


@dataclass(frozen=True, kw_only=True)
class NeighbourGraph:
    """What one pass over the distances of two sets leaves; rows and columns count the distinct pictures of a set."""

    k: int
    real: Distinct
    fake: Distinct
    real_real: Neighbours
    fake_fake: Neighbours
    real_fake: Neighbours
    """Of each real, the nearest fakes."""
    fake_real: Neighbours
    fake_halves: tuple[Neighbours, ...]
    """Of each fake, the nearest reals in one half of the reals and in the other: a random split."""
    own_half: Neighbours
    """Of each real, the nearest other reals in its own half of the reals."""
    other_half: Neighbours
    """Of each real, the nearest reals in the other half."""
    real_radius: NDArray[np.float64]
    """Squared distance of each real to its k-th nearest other real, copies counted; float64 [u_real]."""
    fake_radius: NDArray[np.float64]
    """The same among the fakes; float64 [u_fake]."""
    real_balls: NDArray[np.int64]
    """[u_fake] number of reals, copies counted, whose ball of `real_radius` holds the fake (strictly inside)."""
    fake_balls: NDArray[np.int64]
    """[u_real] number of fakes, copies counted, whose ball of `fake_radius` holds the real."""


def neighbour_graph(real: NDArray[Any], fake: NDArray[Any], *, k: int, seed: int = 0) -> NeighbourGraph:
    """The k nearest neighbours within and across real [n, d] and fake [m, d] (float32, float64 or uint8), and balls.

    Distances are Euclidean. Nothing here depends on the order of the rows or on the size of blocks. `seed`, from 0 to
    2^64 - 1, draws the halves of the reals. Raises UserError for other shapes, for NaN and infinity, and for sets of
    less than 2 rows.
    """
    if real.ndim != 2 or real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < 2:
        raise UserError(f"neighbours need two sets of at least 2 rows of one width, not {real.shape} and {fake.shape}")
    for name, features in (("real", real), ("fake", fake)):
        if not np.isfinite(features).all():
            raise UserError(f"the {name} features hold NaN or infinity; the extractor is at fault")
    one, other = Distinct.of(real, seed), Distinct.of(fake, seed)
    points = np.concatenate([real[one.first], fake[other.first]])
    u = len(one.first)
    half = (u + 1) // 2
    first, second, reals, fakes = slice(0, half), slice(half, u), slice(0, u), slice(u, len(points))

    bounds = Bounds(points, (reals,))
    halves = [within(points, bounds, span, k) for span in (first, second)]
    to_second, to_first, _, _ = across(points, bounds, first, second, k)
    own_half, other_half = _stacked(halves, (0, half)), _stacked([to_second, to_first], (half, 0))
    real_real = _joined((own_half, other_half), k)
    fake_fake = within(points, Bounds(points, (fakes,)), fakes, k)
    real_radius = real_real.kth_squared(k, one.count, one.count)
    fake_radius = fake_fake.kth_squared(k, other.count, other.count)
    bounds = Bounds(points, (reals, fakes))
    sides = [
        across(points, bounds, span, fakes, k, (real_radius[span], fake_radius), (one.count[span], other.count))
        for span in (first, second)
    ]
    fake_halves = tuple(
        replace(to_half, column=to_half.column + span.start)
        for (_, to_half, _, _), span in zip(sides, (first, second), strict=True)
    )
    return NeighbourGraph(
        k=k,
        real=one,
        fake=other,
        real_real=real_real,
        fake_fake=fake_fake,
        real_fake=_stacked([to_fake for to_fake, _, _, _ in sides], (0, 0)),
        fake_real=_joined(fake_halves, k),
        fake_halves=fake_halves,
        own_half=own_half,
        other_half=other_half,
        real_radius=real_radius,
        fake_radius=fake_radius,
        real_balls=np.sum([in_real_balls for _, _, _, in_real_balls in sides], axis=0),
        fake_balls=np.concatenate([in_fake_balls for _, _, in_fake_balls, _ in sides]),
    )


def _stacked(parts: Sequence[Neighbours], column_starts: tuple[int, ...]) -> Neighbours:
    """One table of the rows of all parts, one after the other; columns counted from `column_starts`."""
    starts = np.cumsum([0, *(part.n_rows for part in parts)])
    return Neighbours(
        row=np.concatenate([part.row + start for part, start in zip(parts, starts, strict=False)]),
        column=np.concatenate([part.column + start for part, start in zip(parts, column_starts, strict=True)]),
        squared=np.concatenate([part.squared for part in parts]),
        n_rows=int(starts[-1]),
    )


def _joined(parts: Sequence[Neighbours], k: int) -> Neighbours:
    """The k nearest of each row over all parts, which have the same rows."""
    return Neighbours.sorted(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.column for part in parts]),
        np.concatenate([part.squared for part in parts]),
        parts[0].n_rows,
        k,
    )

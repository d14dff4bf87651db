"""How much a child resembles both of its parents, counted in random faces that resemble them less.

A similarity of embeddings means nothing by itself: it depends on the embedder, the size of the faces and their crop. So
each is placed among those of random faces: a share of 0.9 says that nine of ten strangers resemble the parent less than
the child does. One half is chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.intervals import LEVEL, Interval
from genface.errors import UserError

GOAL = 0.9
"""The share of random faces that a child shall surpass in resembling both parents at once."""
RESAMPLES = 2000
# Cosines of the same two directions differ by this much when they are summed in another order.
_ALIKE = 1e-12

Shares = NDArray[np.float64]
Directions = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """Of each of n children, the shares of random faces that resemble less than it does; ties count one half."""

    first: Shares
    """float64 [n], that resemble the first parent less."""
    second: Shares
    """float64 [n], that resemble the second parent less."""
    both: Shares
    """float64 [n], that resemble the first parent less and the second one too."""

    @property
    def weaker(self) -> Shares:
        """float64 [n], of the parent that the child resembles less."""
        return np.minimum(self.first, self.second)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean over pairs, and where it would lie for other pairs of the same kind."""

    value: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ResemblanceScores:
    """What is told of the children of one way of mixing."""

    both: Mean
    """Mean share of random faces that resemble both parents less; the goal is `GOAL`."""
    one: Mean
    """Mean share for one parent, over both."""
    weaker: Mean
    """Mean share for the parent that is resembled less."""
    reached: Mean
    """Share of the pairs in which the child surpasses `GOAL` of the random faces for each parent."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def directions(vectors: NDArray[np.float32]) -> Directions:
    """Embeddings [n, d] as unit vectors in float64, whose products are cosines.

    Raises UserError for an embedding of zeros, which has no direction.
    """
    rows = vectors.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not lengths.all():
        raise UserError("the embedder gives a vector of zeros for a face; check its size and its range")
    found: Directions = rows / lengths
    return found


def resemblance(
    first: Directions, second: Directions, child: Directions, random: Directions, strangers: NDArray[np.bool_]
) -> Resemblance:
    """Place each child among random faces.

    Args:
        first: unit vectors [n, d] of one parent of each child.
        second: [n, d] of the other parent.
        child: [n, d].
        random: [m, d] of faces to compare with.
        strangers: bool [n, m], which of these are neither parent of a child, nor the child itself; one at least.
    """
    assert strangers.any(axis=1).all(), "there is somebody to compare with"
    less_first = _less(first, child, random)
    less_second = _less(second, child, random)
    counts = strangers.sum(axis=1)

    def share(less: Shares) -> Shares:
        placed: Shares = np.where(strangers, less, 0).sum(axis=1) / counts
        return placed

    return Resemblance(
        first=share(less_first), second=share(less_second), both=share(np.minimum(less_first, less_second))
    )


def _less(parent: Directions, child: Directions, random: Directions) -> Shares:
    """[n, m]: 1 where a random face resembles the parent less than the child does, 0 where more, one half if alike."""
    ahead = (parent * child).sum(axis=1)[:, None] - parent @ random.T
    return (np.sign(np.where(np.abs(ahead) < _ALIKE, 0, ahead)) + 1) / 2


def nearest_to_both(
    first: Directions, second: Directions, random: Directions, strangers: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Of each pair, the stranger whose distance to the parent that it resembles less is the smallest: int64 [n]."""
    least = np.minimum(first @ random.T, second @ random.T)
    nearest: NDArray[np.int64] = np.where(strangers, least, -np.inf).argmax(axis=1)
    return nearest


def scores(found: Resemblance, seed: int) -> ResemblanceScores:
    """The means over the pairs, with bootstrap intervals drawn by `seed`."""
    return ResemblanceScores(
        both=mean(found.both, seed),
        one=mean((found.first + found.second) / 2, seed),
        weaker=mean(found.weaker, seed),
        reached=mean((found.weaker >= GOAL).astype(np.float64), seed),
    )


def mean(values: NDArray[np.float64], seed: int) -> Mean:
    """The mean of [n] values, one a pair, with its percentile bootstrap interval (Efron 1979).

    Pairs count as independent; where persons come in several pairs, the interval is a little too narrow.
    """
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Mean(value=float(values.mean()), interval=Interval(low=float(low), high=float(high)))

"""Does the generator copy its training pictures? Nearest real neighbours against the reals' own, with a measured null.

For each fake: its distance to the nearest real, over that real's distance to the nearest other real. Below 1/2 a fake
lies in a ball that is this real's alone: the balls of half the distance to the nearest other real are disjoint, and
the blurred mean of everything, whose distance to a picture is about 1 / sqrt(2) of that between two pictures in many
dimensions, lies outside of them.

Fresh pictures fall in, too, where few dimensions count or where the data hold twins (burst photos); how many is
measured. The reals are halved at random. The reals of one half are fresh to the other half, and so would be the fakes
of an honest generator: both are held against halves, since twice as many reals hold twice as many twins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evalface.block_pass import Neighbours
from evalface.graph import NeighbourGraph
from genface.errors import UserError

RATIO = 0.5
"""A fake nearer to a real than this share of that real's distance to the nearest other real is a copy of it."""
SIGNIFICANCE = 1e-4
"""A generator that makes copies this much oftener than fresh pictures would is said to memorise. Small, because twins
across the halves count once for either and Fisher's test takes them for two."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """Copies of reals among the fakes, and what held-out reals would give."""

    memorises: bool
    """More copies than fresh pictures would give, at SIGNIFICANCE."""
    copies: int
    """Fakes with a ratio below RATIO, against all reals."""
    n_fake: int
    half_copies: int
    """Pairs of a fake and a half of the reals with a ratio below RATIO; there are 2 * n_fake pairs."""
    held_out_copies: int
    """The same of reals against the half that they are not in: not copied, but near by chance or twins in the data."""
    n_held_out: int
    p_value: float
    """One-sided, of `half_copies` against `held_out_copies` (Fisher's exact test)."""
    ratio_quantiles: tuple[float, ...]
    """Of the fakes against the halves, at QUANTILES."""
    held_out_quantiles: tuple[float, ...]
    """Of held-out reals; an honest generator's are no smaller."""
    authentic: float
    """AuthPct / 100 (Alaa et al. 2022, How Faithful is your Synthetic Data?): share of fakes farther from their nearest
    real than that real is from its nearest other, exact copies of it included."""


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """For each distinct fake its nearest real and the ratio of the distances; the same for halves of the reals."""

    nearest: NDArray[np.int64]
    """[u_fake] distinct real."""
    ratio: NDArray[np.float64]
    """[u_fake], against all reals."""
    halves: NDArray[np.float64]
    """[2, u_fake], against either half."""
    held_out: NDArray[np.float64]
    """[u_real], against the half that the real is not in."""


def ratios(graph: NeighbourGraph) -> Ratios:
    """Distance to the nearest real over that real's distance to its nearest other, different real.

    Raises UserError for fewer than 4 different reals: each half needs 2.
    """
    if len(graph.real.first) < 4:
        raise UserError(f"memorisation needs at least 4 different reals, not {len(graph.real.first)}")
    return Ratios(
        nearest=graph.fake_real.nearest()[0],
        ratio=_ratio(graph.fake_real, graph.real_real),
        halves=np.stack([_ratio(to_half, graph.own_half) for to_half in graph.fake_halves]),
        held_out=_ratio(graph.other_half, graph.own_half),
    )


def _ratio(to_real: Neighbours, among_reals: Neighbours) -> NDArray[np.float64]:
    nearest, squared = to_real.nearest()
    ratio: NDArray[np.float64] = np.sqrt(squared / among_reals.nearest()[1][nearest])
    return ratio


def memorisation(graph: NeighbourGraph, found: Ratios | None = None) -> Memorisation:
    """Count copies and hold the count against the held-out halves of the reals. Raises UserError as `ratios` does."""
    found = found or ratios(graph)
    halves = found.halves[:, graph.fake.group]
    half_copies, held_out_copies = int(np.sum(halves < RATIO)), int(np.sum(found.held_out < RATIO))
    n = len(found.held_out)
    table = [[half_copies, halves.size - half_copies], [held_out_copies, n - held_out_copies]]
    p_value = float(stats.fisher_exact(table, alternative="greater").pvalue)
    own = np.where(graph.real.count > 1, 0.0, graph.real_real.nearest()[1])
    authentic = graph.fake_real.nearest()[1] > own[found.nearest]
    return Memorisation(
        memorises=p_value < SIGNIFICANCE,
        copies=int(np.sum(found.ratio[graph.fake.group] < RATIO)),
        n_fake=len(graph.fake.group),
        half_copies=half_copies,
        held_out_copies=held_out_copies,
        n_held_out=n,
        p_value=p_value,
        ratio_quantiles=_quantiles(halves),
        held_out_quantiles=_quantiles(found.held_out),
        authentic=float(np.mean(authentic[graph.fake.group])),
    )


def _quantiles(ratio: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(q) for q in np.quantile(ratio, QUANTILES))

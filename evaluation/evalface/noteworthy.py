"""Which pictures to look at: the fakes that give themselves away, the reals that nobody draws, the likely copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalface.graph import NeighbourGraph
from evalface.memorisation import Ratios, ratios

AT_MOST = 24


@dataclass(frozen=True, kw_only=True)
class Noteworthy:
    """Rows of the feature arrays, the most telling first; copies of one picture are shown once."""

    easiest_fakes: NDArray[np.int64]
    """Fakes by their margin, the distance to the nearest real less that to the nearest other fake, where above 0."""
    uncovered_reals: NDArray[np.int64]
    """Reals without a fake in their k-NN ball, by the distance to the nearest fake over the ball's radius."""
    copying_fakes: NDArray[np.int64]
    """Fakes by the ratio of `evalface.memorisation`, the least first."""
    copied_reals: NDArray[np.int64]
    """The nearest real of each of `copying_fakes`."""
    copying_ratios: NDArray[np.float64]
    """The ratio of each of `copying_fakes`."""


def noteworthy(graph: NeighbourGraph, found: Ratios | None = None, at_most: int = AT_MOST) -> Noteworthy:
    """Up to `at_most` pictures of each kind. Raises UserError as `ratios` does."""
    found = found or ratios(graph)
    _, to_real = graph.fake_real.nearest()
    _, to_fake = graph.fake_fake.nearest()
    # A fake with exact copies has one of them at distance 0; without any other fake there is no margin.
    beside = np.where(graph.fake.count > 1, 0.0, np.sqrt(to_fake))
    margin = np.sqrt(to_real) - beside
    easiest = np.argsort(-margin, kind="stable")[:at_most]
    easiest = easiest[margin[easiest] > 0]

    _, nearest_fake = graph.real_fake.nearest()
    uncovered = np.flatnonzero(nearest_fake >= graph.real_radius)
    # A ball of no radius, around a picture with k copies, is the farthest of all from being reached.
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.nan_to_num(nearest_fake[uncovered] / graph.real_radius[uncovered], nan=np.inf)
    uncovered = uncovered[np.argsort(-stretch, kind="stable")[:at_most]]

    copying = np.argsort(found.ratio, kind="stable")[:at_most]
    return Noteworthy(
        easiest_fakes=graph.fake.first[easiest],
        uncovered_reals=graph.real.first[uncovered],
        copying_fakes=graph.fake.first[copying],
        copied_reals=graph.real.first[found.nearest[copying]],
        copying_ratios=found.ratio[copying],
    )

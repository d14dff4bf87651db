"""Exact and near duplicates within each side, and real pictures that turn up among the fakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalface.block_pass import Neighbours
from evalface.graph import NeighbourGraph

NEAR = 0.5
"""Near duplicates are nearer than this share of the usual (median) distance from a real to its nearest other real."""


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Counts of pictures; near ones include the exact ones."""

    exact_in_real: int
    """Reals beyond the first of each group of equal ones."""
    exact_in_fake: int
    near_in_real: int
    """Reals that have another real nearer than `threshold`."""
    near_in_fake: int
    leaked: int
    """Fakes equal to a real in every feature."""
    near_leaked: int
    """Fakes nearer to a real than `threshold`."""
    threshold: float
    """A distance in features: NEAR times the median over the different reals."""
    n_real: int
    n_fake: int


def duplicates(graph: NeighbourGraph) -> Duplicates:
    """Count duplicates in a graph of any k. With fewer than 2 different reals only exact ones can be told."""
    _, own = graph.real_real.nearest()
    usual = float(np.median(np.sqrt(own)))
    threshold = NEAR * usual if np.isfinite(usual) else 0.0
    _, to_real = graph.fake_real.nearest()
    return Duplicates(
        exact_in_real=int(np.sum(graph.real.count - 1)),
        exact_in_fake=int(np.sum(graph.fake.count - 1)),
        near_in_real=_near(graph.real_real, graph.real.count, threshold),
        near_in_fake=_near(graph.fake_fake, graph.fake.count, threshold),
        leaked=int(graph.fake.count[to_real == 0].sum()),
        near_leaked=int(graph.fake.count[(to_real < threshold**2) | (to_real == 0)].sum()),
        threshold=threshold,
        n_real=len(graph.real.group),
        n_fake=len(graph.fake.group),
    )


def _near(table: Neighbours, count: NDArray[np.int64], threshold: float) -> int:
    _, squared = table.nearest()
    return int(count[(count > 1) | (squared < threshold**2)].sum())

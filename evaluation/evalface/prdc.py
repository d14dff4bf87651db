"""Precision, recall, density and coverage: balls around each picture, out to its k-th neighbour of its own set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evalface.graph import NeighbourGraph
from genface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Kynkaanniemi et al. 2019, with the strict inequality of the package `prdc` (Naeem et al. 2020)."""

    precision: float
    """Share of fakes inside the k-NN ball of some real picture."""
    recall: float
    """Share of reals inside the k-NN ball of some fake picture."""
    k: int
    n_per_side: int


@dataclass(frozen=True, kw_only=True)
class DensityCoverage:
    """Naeem et al. 2020 (Reliable Fidelity and Diversity Metrics), equations 3 and 4; strict inequalities."""

    density: float
    """How many balls of reals hold a fake, over k: 1 is expected for equal distributions, and it may exceed 1."""
    coverage: float
    """Share of reals whose ball holds some fake: it can be compared between sets of fakes of one size only."""
    expected_coverage: float
    """Coverage of samples of these sizes from one distribution (Naeem et al., appendix): below 1 for any k."""
    k: int
    n_real: int
    n_fake: int


def precision_recall(graph: NeighbourGraph) -> PrecisionRecall:
    """Precision and recall from a graph of equally many pictures of both sides, more than k. Raises UserError else."""
    n_real, n_fake = _sizes(graph)
    if n_real != n_fake:
        raise UserError(f"precision and recall need two sets of one size, not {n_real} and {n_fake}")
    return PrecisionRecall(
        precision=float(np.mean((graph.real_balls > 0)[graph.fake.group])),
        recall=float(np.mean((graph.fake_balls > 0)[graph.real.group])),
        k=graph.k,
        n_per_side=n_real,
    )


def density_coverage(graph: NeighbourGraph) -> DensityCoverage:
    """Density and coverage from a graph, each side of more than k pictures. Raises UserError for fewer."""
    n_real, n_fake = _sizes(graph)
    _, nearest_fake = graph.real_fake.nearest()
    return DensityCoverage(
        density=float(np.mean(graph.real_balls[graph.fake.group]) / graph.k),
        coverage=float(np.mean((nearest_fake < graph.real_radius)[graph.real.group])),
        expected_coverage=expected_coverage(n_real, n_fake, graph.k),
        k=graph.k,
        n_real=n_real,
        n_fake=n_fake,
    )


def expected_coverage(n_real: int, n_fake: int, k: int) -> float:
    """Expected coverage of two samples of one continuous distribution.

    Around a real lie n_real - 1 reals and n_fake fakes, in any order of distance with equal probability. The k nearest
    reals come before every fake, which leaves it uncovered, with probability prod_i (n_real - 1 - i) / (n_real - 1 +
    n_fake - i), i = 0 .. k - 1.
    """
    i = np.arange(k)
    return float(1 - np.prod((n_real - 1 - i) / (n_real - 1 + n_fake - i)))


def _sizes(graph: NeighbourGraph) -> tuple[int, int]:
    sizes = len(graph.real.group), len(graph.fake.group)
    if min(sizes) <= graph.k:
        raise UserError(f"balls that reach to the neighbour of rank {graph.k} need more pictures than {min(sizes)}")
    return sizes

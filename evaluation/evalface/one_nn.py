"""The leave-one-out 1-NN test with averaged ties, and its permutation p-value.

Xu et al. 2018 (arXiv 1806.07755): how often is a picture's nearest other picture of its own kind? Which pictures are
nearest to which does not depend on the labels, so under "both sets are drawn from one distribution" every assignment
of labels to the same neighbours is equally likely (Schilling 1986; Henze 1988): the p-value counts them, with no
assumption on independence, which a binomial interval would need and leave-one-out does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalface.block_pass import Neighbours
from evalface.graph import NeighbourGraph
from genface.errors import UserError

PERMUTATIONS = 10_000
_ENTRIES = 1 << 21
"""Entries of a block of permutations."""
_ROUNDING = 1e-12


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
class PermutationTest:
    """The accuracy against that of random labels on the same pictures."""

    p_value: float
    """Two-sided: the share of labellings, the true one included, whose accuracy lies at least as far from chance, be it
    above (the sides can be told apart) or below (fakes copy reals). At least 1 / (permutations + 1)."""
    deviation: float
    """Standard deviation of the accuracy under random labels."""
    permutations: int
    seed: int


def chance_level(n_real: int, n_fake: int) -> float:
    """Expected leave-one-out accuracy for two samples of one distribution, where any other picture may be nearest."""
    total = n_real + n_fake
    return (n_real * (n_real - 1) + n_fake * (n_fake - 1)) / (total * (total - 1))


def leave_one_out(graph: NeighbourGraph) -> LeaveOneOut:
    """Leave-one-out 1-NN accuracy on a graph of any k and equally many pictures of both sides. Raises UserError else.

    Where several pictures are equally near, each counts by its share, so the result does not depend on the order in
    which the sets are given.
    """
    n = _per_side(graph)
    nodes = _Nodes.of(graph)
    correct = nodes.own_shares(np.repeat([False, True], n)[nodes.order, None])[:, 0]
    return LeaveOneOut(
        accuracy=float(correct.sum() / (2 * n)),
        real_accuracy=float(correct[0] / n),
        fake_accuracy=float(correct[1] / n),
        chance=chance_level(n, n),
        n_per_side=n,
    )


def permutation_test(
    graph: NeighbourGraph, score: LeaveOneOut, *, seed: int, permutations: int = PERMUTATIONS
) -> PermutationTest:
    """Hold the accuracy `score` of `graph` against `permutations` random labellings, in bounded memory."""
    n = _per_side(graph)
    nodes = _Nodes.of(graph)
    rng = np.random.default_rng(seed)
    labels = np.repeat([False, True], n)
    step = max(1, _ENTRIES // (2 * n))
    blocks = (np.tile(labels, (min(step, permutations - done), 1)) for done in range(0, permutations, step))
    # A labelling is a column from here on: what is looked up for one picture lies side by side.
    sums = [nodes.own_shares(rng.permuted(block, axis=1).T.copy()).sum(axis=0) for block in blocks]
    from_chance = np.concatenate(sums) / (2 * n) - score.chance
    as_far = np.abs(from_chance) >= abs(score.accuracy - score.chance) - _ROUNDING
    return PermutationTest(
        p_value=float((1 + as_far.sum()) / (1 + permutations)),
        deviation=float(np.sqrt(np.mean(from_chance**2))),
        permutations=permutations,
        seed=seed,
    )


def _per_side(graph: NeighbourGraph) -> int:
    n, m = len(graph.real.group), len(graph.fake.group)
    if n != m:
        raise UserError(f"LOO-1NN needs two sets of one size, not {n} and {m}; see equal_subsample")
    return n


@dataclass(frozen=True, kw_only=True)
class _Nodes:
    """The different pictures of both sides together, and the nearest of each."""

    order: NDArray[np.int64]
    """[2n] pictures (reals, then fakes), those of one node side by side."""
    start: NDArray[np.int64]
    """[g] where each node's pictures begin in `order`."""
    size: NDArray[np.int64]
    """[g] number of pictures of each node."""
    single: NDArray[np.int64]
    """Nodes of one picture; the others have their copies nearest."""
    edge_start: NDArray[np.int64]
    """Where the nearest nodes of each single node begin in `edge`."""
    edge: NDArray[np.int64]

    @classmethod
    def of(cls, graph: NeighbourGraph) -> _Nodes:
        u, v = len(graph.real.first), len(graph.fake.first)
        # A fake that equals a real belongs to the real's node.
        leak = graph.real_fake.squared == 0
        node_of_fake = np.arange(u, u + v)
        node_of_fake[graph.real_fake.column[leak]] = graph.real_fake.row[leak]
        node = np.concatenate([graph.real.group, node_of_fake[graph.fake.group]])
        size = np.bincount(node, minlength=u + v)

        identity = np.arange(u)
        tables = (
            (graph.real_real, identity, identity),
            (graph.real_fake, identity, node_of_fake),
            (graph.fake_real, node_of_fake, identity),
            (graph.fake_fake, node_of_fake, node_of_fake),
        )
        nearest = np.full(u + v, np.inf)
        for table, left, _ in tables:
            np.minimum.at(nearest, left[table.row], table.squared)
        edges = np.unique(np.concatenate([_edges(*table, nearest) for table in tables]), axis=0)
        edges = edges[size[edges[:, 0]] == 1]
        # Fakes that joined a real's node leave their numbers empty: count nodes without gaps.
        used = np.flatnonzero(size)
        number = np.cumsum(size > 0) - 1
        size, edges, node = size[used], number[edges], number[node]
        single, edge_start = np.unique(edges[:, 0], return_index=True)
        return cls(
            order=np.argsort(node, kind="stable"),
            start=np.cumsum(size) - size,
            size=size,
            single=single,
            edge_start=edge_start,
            edge=edges[:, 1],
        )

    def own_shares(self, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many pictures of each label have their nearest of the same label, ties by their share; float64 [2, p].

        `labels` bool [2n, p] in this `order`; the label False comes first.
        """
        lengths = np.diff(self.edge_start, append=len(self.edge))
        # Nearly all pictures have no copy, and one nearest, which has none either.
        plain = (lengths == 1) & (self.size[self.edge[self.edge_start]] == 1)
        ours = labels[self.start[self.single[plain]]]
        theirs = labels[self.start[self.edge[self.edge_start[plain]]]]
        result = np.stack([(~(ours | theirs)).sum(axis=0), (ours & theirs).sum(axis=0)]).astype(np.float64)
        if plain.all() and len(self.single) == len(self.size):
            return result

        several = np.flatnonzero(self.size > 1)
        single, lengths, edge = self.single[~plain], lengths[~plain], self.edge[np.repeat(~plain, lengths)]
        start = np.cumsum(lengths) - lengths
        ones = np.add.reduceat(labels, self.start, axis=0, dtype=np.int32)
        for label, count in enumerate((self.size[:, None] - ones, ones)):
            copies = count[several]
            result[label] += (copies * (copies - 1) / (self.size[several, None] - 1)).sum(axis=0)
            if len(single):
                share = np.add.reduceat(count[edge], start, axis=0) / np.add.reduceat(self.size[edge], start)[:, None]
                result[label] += (count[single] * share).sum(axis=0)
        return result


def _edges(
    table: Neighbours, left: NDArray[np.int64], right: NDArray[np.int64], nearest: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Pairs of nodes [p, 2] of which the second is nearest to the first."""
    near = table.squared == nearest[left[table.row]]
    return np.stack([left[table.row[near]], right[table.column[near]]], axis=1)

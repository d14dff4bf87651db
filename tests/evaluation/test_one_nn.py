"""The permutation test: uniform under the null, small for a difference, exact where all labellings can be listed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from evalface import one_nn
from evalface.graph import neighbour_graph
from evalface.one_nn import PermutationTest, chance_level, leave_one_out, permutation_test
from genface.errors import UserError


def run(real: np.ndarray, fake: np.ndarray, permutations: int = 999, seed: int = 0) -> PermutationTest:
    graph = neighbour_graph(real, fake, k=1)
    return permutation_test(graph, leave_one_out(graph), seed=seed, permutations=permutations)


def shares(points: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy by a full matrix, ties by their share."""
    d2 = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(d2, np.inf)
    near = d2 == d2.min(axis=1, keepdims=True)
    return float(((near & (labels[:, None] == labels)).sum(axis=1) / near.sum(axis=1)).mean())


@pytest.mark.parametrize("levels", [2, 3, 50])
def test_is_the_share_of_all_labellings(levels: int) -> None:
    """With copies, leaks and ties; 924 labellings of 12 pictures."""
    real, fake = np.random.default_rng(levels).integers(0, levels, (2, 6, 2)).astype(float)
    points = np.concatenate([real, fake])
    chance = chance_level(6, 6)
    distances = np.array(
        [abs(shares(points, np.isin(np.arange(12), chosen)) - chance) for chosen in combinations(range(12), 6)]
    )
    truth = abs(shares(points, np.arange(12) >= 6) - chance)
    test = run(real, fake, permutations=20_000)
    p = np.mean(distances >= truth - 1e-12)
    # Four standard deviations of 20,000 draws.
    assert test.p_value == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 20_000) + 1e-4)
    assert test.deviation == pytest.approx(np.sqrt(np.mean(distances**2)), rel=0.03)


def test_is_uniform_under_the_null() -> None:
    p = [run(*np.random.default_rng(i).normal(size=(2, 30, 4)), permutations=199).p_value for i in range(150)]
    # A p-value is at most a with probability a; four binomial deviations, and steps of about 0.1 since counts are few.
    for level in (0.1, 0.5):
        assert np.mean(np.array(p) <= level) <= level + 4 * np.sqrt(level * (1 - level) / 150)
    assert np.mean(p) > 0.4


def test_is_two_sided() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 60, 8))
    assert run(x, y + 2).p_value == pytest.approx(1e-3), "apart: the least of 999 permutations"
    assert run(x, x + 1e-3 * y).p_value == pytest.approx(1e-3), "copies"
    assert run(x, y).p_value > 0.05


def test_is_wider_than_a_binomial() -> None:
    """Neighbours depend on each other; a binomial deviation is too small for them."""
    test = run(*np.random.default_rng(2).normal(size=(2, 100, 10)), permutations=4000)
    assert 1.05 < test.deviation / np.sqrt(0.25 / 200) < 1.4


def test_seed_order_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 40, 3))
    whole = run(x, y)
    assert run(x[::-1], y[rng.permutation(40)]) == whole
    assert run(x, y, seed=1) != whole
    monkeypatch.setattr(one_nn, "_ENTRIES", 1000)
    assert run(x, y).p_value == whole.p_value


def test_refuses_unequal_sides() -> None:
    with pytest.raises(UserError, match="one size, not 8 and 7"):
        leave_one_out(neighbour_graph(np.eye(8), np.eye(8)[:7], k=1))

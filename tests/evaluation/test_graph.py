"""One pass over all distances: the same as a full matrix, whatever the blocks, the order, the scale and the copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from evalface import block_pass, distances
from evalface.distances import Bounds, exact_squared_distances
from evalface.graph import Distinct, NeighbourGraph, neighbour_graph
from genface.errors import UserError

RNG = np.random.default_rng
Pair = tuple[np.ndarray, np.ndarray]


def plain() -> Pair:
    return RNG(0).normal(size=(60, 40)), RNG(1).normal(size=(45, 40)) + 0.2


def grid() -> Pair:
    """Whole numbers: ties and copies everywhere, all distances exact."""
    return RNG(2).integers(0, 4, (60, 3)).astype(np.uint8), RNG(3).integers(0, 4, (45, 3)).astype(np.uint8)


def leaks() -> Pair:
    real, fake = plain()
    fake[:20], fake[20:30] = real[:20], fake[0]
    return real.astype(np.float32), fake.astype(np.float32)


def collapsed() -> Pair:
    real, fake = plain()
    return real, np.repeat(fake[:1], 45, axis=0) + 1e-7 * RNG(4).normal(size=(45, 40))


def far() -> Pair:
    """A spread of 1e-3 at 1e6: products of float32 see nothing of it."""
    real, fake = plain()
    return 1e-3 * real + 1e6, 1e-3 * fake + 1e6


def outlier() -> Pair:
    real, fake = plain()
    real[3] *= 1e9
    return real, fake


CASES: list[Callable[[], Pair]] = [plain, grid, leaks, collapsed, far, outlier]


def full(x: np.ndarray, y: np.ndarray, within: bool) -> np.ndarray:
    d2 = ((x[:, None].astype(np.float64) - y[None].astype(np.float64)) ** 2).sum(axis=2)
    if within:
        np.fill_diagonal(d2, np.inf)
    return d2


def everything(graph: NeighbourGraph) -> list[np.ndarray]:
    """All that a graph holds, in the order of the rows that were given."""
    real, fake = graph.real.group, graph.fake.group
    by_real = [graph.real_radius, graph.fake_balls, *(t.nearest()[1] for t in (graph.real_real, graph.real_fake))]
    by_real += [t.nearest()[1] for t in (graph.own_half, graph.other_half)]
    by_fake = [graph.fake_radius, graph.real_balls, *(t.nearest()[1] for t in (graph.fake_fake, graph.fake_real))]
    return [values[real] for values in by_real] + [values[fake] for values in by_fake]


@pytest.mark.parametrize("rows", [5, 16, 1024])
@pytest.mark.parametrize("case", CASES)
def test_is_the_full_matrix(case: Callable[[], Pair], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "ROWS", rows)
    real, fake = case()
    graph = neighbour_graph(real, fake, k=3)
    rr, ff, rf = full(real, real, True), full(fake, fake, True), full(real, fake, False)
    real_radius, fake_radius = np.sort(rr, axis=1)[:, 2], np.sort(ff, axis=1)[:, 2]
    # Both are exact differences; only the order of the sum over features differs.
    np.testing.assert_allclose(graph.real_radius[graph.real.group], real_radius, rtol=1e-13)
    np.testing.assert_allclose(graph.fake_radius[graph.fake.group], fake_radius, rtol=1e-13)
    np.testing.assert_allclose(graph.real_fake.nearest()[1][graph.real.group], rf.min(axis=1), rtol=1e-13)
    np.testing.assert_allclose(graph.fake_real.nearest()[1][graph.fake.group], rf.min(axis=0), rtol=1e-13)
    assert np.array_equal(graph.real_balls[graph.fake.group], (rf < real_radius[:, None]).sum(axis=0))
    assert np.array_equal(graph.fake_balls[graph.real.group], (rf < fake_radius[None]).sum(axis=1))


@pytest.mark.parametrize("case", CASES)
def test_is_blind_to_blocks_and_order(case: Callable[[], Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = case()
    whole = everything(neighbour_graph(real, fake, k=3))
    for rows, held in ((4, 5), (13, 1 << 21)):
        monkeypatch.setattr(distances, "ROWS", rows)
        monkeypatch.setattr(block_pass, "_PAIRS_AT_MOST", held)
        order, other = RNG(rows).permutation(len(real)), RNG(rows + 1).permutation(len(fake))
        shuffled = everything(neighbour_graph(real[order], fake[other], k=3))
        for got, expected in zip(shuffled, whole, strict=True):
            assert np.array_equal(got, expected[order if len(expected) == len(real) else other])


def test_is_scikit_learns_neighbours() -> None:
    real, fake = RNG(5).normal(size=(2, 200, 16)).astype(np.float32)
    graph = neighbour_graph(real, fake, k=5)
    d, index = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(real).kneighbors()
    np.testing.assert_allclose(np.sqrt(graph.real_radius[graph.real.group]), d[:, 4], rtol=1e-6)  # theirs is float32
    nearest = graph.real.first[graph.real_real.nearest()[0]][graph.real.group]
    assert np.array_equal(nearest, index[:, 0])
    table = graph.real_real
    assert np.array_equal(table.row, np.repeat(np.arange(200), 5)), "k neighbours of each, no ties"
    assert np.array_equal(graph.real.first[table.column].reshape(200, 5), index[graph.real.first])


def test_halves_split_the_reals() -> None:
    graph = neighbour_graph(*plain(), k=2, seed=1)
    u = len(graph.real.first)
    first = np.arange(u) < (u + 1) // 2
    for table, same in ((graph.own_half, True), (graph.other_half, False)):
        assert np.array_equal(first[table.row] == first[table.column], np.full(len(table.row), same))
        assert np.array_equal(np.unique(table.row), np.arange(u))
    again = neighbour_graph(*plain(), k=2, seed=2)
    assert not np.array_equal(graph.real.first, again.real.first)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_bounds_hold(case: Callable[[], Pair], precision: type) -> None:
    points = np.concatenate(case())
    every = slice(0, len(points))
    bounds = Bounds(points, (every,))
    lower = bounds.lower(every, every, precision).astype(np.float64)
    reach = 2 * (bounds.errors[precision][:, None] + bounds.errors[precision][None])
    i, j = np.indices(lower.shape).reshape(2, -1)
    exact = exact_squared_distances(points, i, j).reshape(lower.shape)
    assert (lower <= exact).all()
    assert (exact <= lower + reach).all()


def test_copies_are_counted() -> None:
    x = np.array([[0.0], [1], [-0.0], [1], [1], [5]])
    distinct = Distinct.of(x, seed=0)
    assert sorted(zip(x[distinct.first, 0], distinct.count, strict=True)) == [(0, 2), (1, 3), (5, 1)]
    assert np.array_equal(x[distinct.first[distinct.group]], x)
    radius = neighbour_graph(x, x + 100, k=2).real_radius
    assert radius[distinct.group].tolist() == [1, 0, 1, 0, 0, 16]


@pytest.mark.parametrize(
    ("real", "fake", "match"),
    [
        (np.ones((4, 2)), np.ones((4, 3)), "one width"),
        (np.ones((1, 2)), np.ones((4, 2)), "at least 2"),
        (np.ones(4), np.ones(4), "one width"),
        (np.full((4, 2), np.nan), np.ones((4, 2)), "real features hold NaN"),
        (np.ones((4, 2)), np.full((4, 2), np.inf), "fake features hold NaN"),
    ],
)
def test_refuses(real: np.ndarray, fake: np.ndarray, match: str) -> None:
    with pytest.raises(UserError, match=match):
        neighbour_graph(real, fake, k=1)

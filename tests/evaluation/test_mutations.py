"""Altering any numeric rule makes a check fail: each rule is altered in turn, in the source, and the checks are run.

The checks are loops and closed forms of their own. On the source as it stands all of them hold; each row of MUTATIONS
must break at least one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import evalface

FOLDER = Path(evalface.__file__).parent
MODULES = (
    "intervals",
    "frechet",
    "moments",
    "frechet_error",
    "extrapolation",
    "kernel",
    "distances",
    "block_pass",
    "graph",
    "one_nn",
    "prdc",
    "memorisation",
    "duplicates",
    "noteworthy",
)
"""In an order in which each needs only those before it."""

MUTATIONS: dict[str, tuple[str, str, str]] = {
    "covariance divided by n": ("frechet", "np.sqrt(len(x) - 1)", "np.sqrt(len(x))"),
    "mean left out": ("frechet", "difference @ difference + ", ""),
    "cross term once": ("frechet", "- 2 * cross", "- cross"),
    "factor's trace unsquared": ("frechet", "np.sum(other.factor**2)", "np.sum(other.factor)"),
    "floor of overlapping parts": ("frechet", "real[order[part : 2 * part]]", "real[order[part - 1 : 2 * part - 1]]"),
    "floor at any n": ("frechet", "min(n, len(real) // 2)", "len(real) // 2"),
    "shards' covariance divided by n": ("moments", "self.scatter / (self.n - 1)", "self.scatter / self.n"),
    "shards' means ignored": ("moments", "(self.n * other.n / n)", "0"),
    "error without the means": ("frechet_error", "2 * side.centred @ difference + ", ""),
    "error of one side": ("frechet_error", "(other, one.gaussian, rotation.T, -difference),", ""),
    "error's cross term doubled": ("frechet_error", "squares - np.sqrt", "squares - 2 * np.sqrt"),
    "interval of 90 %": ("intervals", "LEVEL = 0.95", "LEVEL = 0.90"),
    "interval one-sided": ("intervals", "(1 + LEVEL) / 2", "LEVEL"),
    "fit in 1 / sqrt N": ("extrapolation", "np.ones(SIZES), 1 / sizes]", "np.ones(SIZES), 1 / np.sqrt(sizes)]"),
    "fit of 14 sizes": ("extrapolation", "SIZES = 15", "SIZES = 14"),
    "fit from a third": ("extrapolation", "_SMALLEST_SHARE = 0.5", "_SMALLEST_SHARE = 0.33"),
    "fit's freedom": ("extrapolation", "(SIZES - 2)", "(SIZES - 1)"),
    "kernel of degree 2": ("kernel", "base * base * base", "base * base"),
    "kernel without its 1": ("kernel", "base += 1.0", "base += 0.0"),
    "kernel not over d": ("kernel", "base /= x.shape[1]", "base /= 1"),
    "biased KID": ("kernel", "np.fill_diagonal(block, 0.0)", "pass"),
    "KID over n": ("kernel", "others = len(x) - 1", "others = len(x)"),
    "KID cross term once": ("kernel", "- 2 * xy.rows.mean()", "- xy.rows.mean()"),
    "KID error of row means": ("kernel", "max(row_means - centred, centred)", "row_means"),
    "KID row means' ddof": ("kernel", "(xx.rows - xy.rows).var(ddof=1)", "(xx.rows - xy.rows).var(ddof=0)"),
    "a picture as its own neighbour": ("block_pass", "np.fill_diagonal(lower, np.inf)", "pass"),
    "ties cut off": ("block_pass", "keep = squared <= _kth", "keep = squared < _kth"),
    "balls closed where exact": (
        "block_pass",
        "hits.column[unsure]) < squared_radius[unsure]",
        "hits.column[unsure]) <= squared_radius[unsure]",
    ),
    "candidates cut off": ("block_pass", "near = lower <= self._limit[row]", "near = lower < 0.5 * self._limit[row]"),
    "copies not counted": ("block_pass", "own_count[self.row] - 1 >= k", "1 - 1 >= k"),
    "rank k + 1": ("block_pass", "own_count[self.row] - 1 >= k", "own_count[self.row] - 1 > k"),
    "copies have a radius": ("block_pass", "radius[own_count > k] = 0.0", "pass"),
    "one weight per distinct real": (
        "block_pass",
        "np.bincount(j[inside], counts[0][i[inside]], m)",
        "np.bincount(j[inside], None, m)",
    ),
    "distance unsquared": (
        "distances",
        'np.einsum("ij,ij->i", difference, difference)',
        "np.abs(difference).sum(axis=1)",
    ),
    "product once": ("distances", "block *= -2", "block *= -1"),
    "chance of one half": ("one_nn", "(n_real * (n_real - 1) + n_fake * (n_fake - 1)) / (total * (total - 1))", "0.5"),
    "copies beside themselves": (
        "one_nn",
        "copies * (copies - 1) / (self.size[several, None] - 1)",
        "copies * copies / self.size[several, None]",
    ),
    "plain pictures' labels": ("one_nn", "(~(ours | theirs)).sum", "(ours | theirs).sum"),
    "first of the tied only": ("one_nn", "edges = np.unique(np", "edges = _first(np"),
    "leaks apart": ("one_nn", "leak = graph.real_fake.squared == 0", "leak = graph.real_fake.squared < 0"),
    "one-sided p": ("one_nn", "np.abs(from_chance) >=", "from_chance >="),
    "p of 0": ("one_nn", "(1 + as_far.sum()) / (1 + permutations)", "as_far.sum() / permutations"),
    "p without equals": ("one_nn", "- _ROUNDING", "+ _ROUNDING"),
    "density not over k": ("prdc", "/ graph.k)", ")"),
    "coverage with the border": ("prdc", "nearest_fake < graph.real_radius", "nearest_fake <= graph.real_radius"),
    "two balls for precision": ("prdc", "graph.real_balls > 0", "graph.real_balls > 1"),
    "recall of the wrong side": (
        "prdc",
        "(graph.fake_balls > 0)[graph.real.group]",
        "(graph.real_balls > 0)[graph.fake.group]",
    ),
    "expected coverage's rank": ("prdc", "i = np.arange(k)", "i = np.arange(k + 1)"),
    "ratio below 0.6": ("memorisation", "RATIO = 0.5", "RATIO = 0.6"),
    "ratio's border": ("memorisation", "group] < RATIO", "group] <= RATIO"),
    "ratio squared": ("memorisation", "= np.sqrt(squared /", "= (squared /"),
    "null from the same half": ("memorisation", "_ratio(graph.other_half,", "_ratio(graph.own_half,"),
    "copies against all reals": (
        "memorisation",
        "_ratio(to_half, graph.own_half)",
        "_ratio(graph.fake_real, graph.own_half)",
    ),
    "test for fewer copies": ("memorisation", 'alternative="greater"', 'alternative="less"'),
    "significance": ("memorisation", "SIGNIFICANCE = 1e-4", "SIGNIFICANCE = 0.9"),
    "authentic where equal": ("memorisation", "nearest()[1] > own", "nearest()[1] >= own"),
    "authentic without copies": ("memorisation", "np.where(graph.real.count > 1, 0.0, ", "("),
    "near duplicates below one third": ("duplicates", "NEAR = 0.5", "NEAR = 0.34"),
    "near duplicates by the mean": ("duplicates", "np.median", "np.mean"),
    "near duplicates by the square": ("duplicates", "(squared < threshold**2)", "(squared < threshold)"),
    "all copies counted": (
        "duplicates",
        "exact_in_real=int(np.sum(graph.real.count - 1))",
        "exact_in_real=int(np.sum(graph.real.count))",
    ),
    "margin without the fakes": ("noteworthy", "- beside", "- 0 * beside"),
    "covered called uncovered": ("noteworthy", "nearest_fake >= graph", "nearest_fake < graph"),
    "most authentic first": ("noteworthy", "np.argsort(found.ratio", "np.argsort(-found.ratio"),
}


@contextmanager
def altered(module: str | None = None, old: str = "", new: str = "") -> Iterator[SimpleNamespace]:
    """The modules of the scores anew, `old` replaced by `new` in the source of one; the real ones return afterwards."""
    names = {name: f"evalface.{name}" for name in MODULES}
    kept = {name: importlib.import_module(full) for name, full in names.items()}
    try:
        for name, full in names.items():
            source = (FOLDER / f"{name}.py").read_text()
            if name == module:
                assert source.count(old) >= 1, f"{old!r} is no longer in {name}.py: bring the table up to date"
                source = source.replace(old, new)
            fresh = type(sys)(full)
            fresh.__dict__["_first"] = _first
            sys.modules[full] = fresh
            setattr(evalface, name, fresh)
            exec(compile(source, f"{name} altered", "exec"), fresh.__dict__)
        yield SimpleNamespace(**{name: sys.modules[full] for name, full in names.items()})
    finally:
        for name, full in names.items():
            sys.modules[full] = kept[name]
            setattr(evalface, name, kept[name])


def _first(edges: np.ndarray, axis: int) -> np.ndarray:
    edges = np.unique(edges, axis=axis)
    return edges[np.unique(edges[:, 0], return_index=True)[1]]


RNG = np.random.default_rng(0)
SMOOTH = RNG.normal(size=(90, 5)) * [2, 1, 1, 0.5, 0.5] + 0.3, RNG.normal(size=(70, 5)) * 1.3 - 0.2
COPIES = np.repeat([[0.0], [3], [7], [20]], [4, 1, 2, 1], axis=0), np.array([[2.5], [6], [7], [19], [0], [0], [0], [0]])
GRID = RNG.integers(0, 5, (40, 2)).astype(float), RNG.integers(1, 6, (40, 2)).astype(float)
K = 3


def full(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    d2: np.ndarray = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    if x is y:
        np.fill_diagonal(d2, np.inf)
    return d2


def check_frechet(m: SimpleNamespace) -> None:
    x, y = SMOOTH
    root = np.sqrt(np.linalg.eigvals(np.cov(x.T) @ np.cov(y.T)).real).sum()
    gap = x.mean(axis=0) - y.mean(axis=0)
    expected = gap @ gap + np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * root
    assert m.frechet.frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert m.extrapolation.fast_distance(x, y) == pytest.approx(expected, rel=1e-9)
    parts = [m.moments.Moments.of(part) for part in (x[:30], x[30:])]
    np.testing.assert_allclose(m.moments.merged(parts).sigma(), np.cov(x.T), rtol=1e-9)
    order = np.random.default_rng(5).permutation(90)
    floor = m.frechet.noise_floor_at(x, 20, 5)
    assert floor.value == pytest.approx(m.frechet.frechet_distance(x[order[:20]], x[order[20:40]]), rel=1e-9)


def check_frechet_error(m: SimpleNamespace) -> None:
    x, y = SMOOTH
    found = m.frechet_error.frechet_estimate(x, y)
    each = [
        np.var([m.frechet.frechet_distance(*pair) for pair in pairs]) * (len(pairs) - 1)
        for pairs in ([(np.delete(x, i, 0), y) for i in range(90)], [(x, np.delete(y, i, 0)) for i in range(70)])
    ]
    assert found.standard_error == pytest.approx(np.sqrt(sum(each)), rel=0.03)
    assert found.interval().high - found.value == pytest.approx(1.959964 * found.standard_error, rel=1e-6)
    line = m.extrapolation.extrapolate(x, y, sampling_error=0.0, seed=0)
    assert line.sizes == tuple(np.round(np.linspace(35, 70, 15)).astype(int))
    (slope, value), covariance = np.polyfit(1 / np.array(line.sizes), line.distances, 1, cov=True)
    assert (line.value, line.slope, line.fit_error) == pytest.approx(
        (value, slope, np.sqrt(covariance[1, 1])), rel=1e-8
    )


def check_kid(m: SimpleNamespace) -> None:
    x, y = SMOOTH
    k = [(a @ b.T / 5 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    off = [kernel[~np.eye(len(kernel), dtype=bool)] for kernel in k[:2]]
    found = m.kernel.kernel_distance(x, y)
    assert found.value == pytest.approx(off[0].mean() + off[1].mean() - 2 * k[2].mean(), rel=1e-9)
    rows = [part.reshape(n, n - 1).mean(axis=1) for part, n in zip(off, (90, 70), strict=True)]
    sides = (rows[0] - k[2].mean(axis=1)).var(ddof=1) / 90 + (rows[1] - k[2].mean(axis=0)).var(ddof=1) / 70
    inner = [np.mean(o**2) - 2 * np.mean(r**2) + np.mean(r) ** 2 for o, r in zip(off, rows, strict=True)]
    cross = np.mean(k[2] ** 2) - np.mean(k[2].mean(0) ** 2) - np.mean(k[2].mean(1) ** 2) + k[2].mean() ** 2
    second = 2 * inner[0] / (90 * 89) + 2 * inner[1] / (70 * 69) + 4 * cross / (90 * 70)
    assert found.standard_error == pytest.approx(np.sqrt(4 * sides - second), rel=1e-9)


def check_one_nn(m: SimpleNamespace) -> None:
    for x, y in (GRID, (SMOOTH[0][:70], SMOOTH[1])):
        n = len(x)
        points, labels = np.concatenate([x, y]), np.repeat([0, 1], n)
        d2 = full(points, points)
        near = d2 == d2.min(axis=1, keepdims=True)
        share = (near & (labels[:, None] == labels)).sum(axis=1) / near.sum(axis=1)
        found = m.one_nn.leave_one_out(m.graph.neighbour_graph(x, y, k=1))
        expected = share[:n].mean(), share[n:].mean()
        assert (found.real_accuracy, found.fake_accuracy) == pytest.approx(expected, rel=1e-9)
        assert found.chance == pytest.approx(float(Fraction(n - 1, 2 * n - 1)))
    x, y = GRID
    apart = m.graph.neighbour_graph(x, y + 90, k=1)
    assert m.one_nn.permutation_test(apart, m.one_nn.leave_one_out(apart), seed=0, permutations=99).p_value == 0.01
    copied = m.graph.neighbour_graph(SMOOTH[0], SMOOTH[0].copy(), k=1)
    assert m.one_nn.permutation_test(copied, m.one_nn.leave_one_out(copied), seed=0, permutations=99).p_value == 0.01
    # Two pairs of pictures: every labelling is as far from chance as the true one, or farther.
    square = m.graph.neighbour_graph(np.array([[0.0], [9]]), np.array([[1.0], [8]]), k=1)
    assert m.one_nn.permutation_test(square, m.one_nn.leave_one_out(square), seed=0, permutations=99).p_value == 1


def check_prdc(m: SimpleNamespace) -> None:
    for x, y in (GRID, SMOOTH, COPIES):
        rr, ff, rf = full(x, x), full(y, y), full(x, y)
        real_radius, fake_radius = np.sort(rr, axis=1)[:, K - 1], np.sort(ff, axis=1)[:, K - 1]
        inside = rf < real_radius[:, None]
        graph = m.graph.neighbour_graph(x, y, k=K)
        found = m.prdc.density_coverage(graph)
        assert found.density == pytest.approx(inside.sum() / K / len(y), rel=1e-9)
        assert found.coverage == pytest.approx(inside.any(axis=1).mean(), rel=1e-9)
        none = np.prod([(len(x) - 1 - i) / (len(x) - 1 + len(y) - i) for i in range(K)])
        assert found.expected_coverage == pytest.approx(1 - none, rel=1e-9)
        if len(x) == len(y):
            both = m.prdc.precision_recall(graph)
            assert both.precision == inside.any(axis=0).mean()
            assert both.recall == (rf < fake_radius[None]).any(axis=1).mean()


def check_memorisation(m: SimpleNamespace) -> None:
    real = np.array([[0.0], [8], [20], [30], [40], [40]])
    fake = np.array([[3.0], [4], [12], [12], [12.4], [25], [50], [39.0], [0]])
    graph = m.graph.neighbour_graph(real, fake, k=1)
    found = m.memorisation.memorisation(graph)
    # Nearest reals 0, 0 or 8, 8, 8, 8, 20 or 30, 40, 40, 0; their nearest others at 8, 8, 8, 8, 8, 10, 10, 10, 8.
    expected = np.array([3 / 8, 4 / 8, 4 / 8, 4 / 8, 4.4 / 8, 5 / 10, 10 / 10, 1 / 10, 0])
    np.testing.assert_allclose(m.memorisation.ratios(graph).ratio[graph.fake.group], expected, rtol=1e-12)
    assert found.copies == 3
    # Only those at 50 and 39 are farther than a real that has a copy is from its nearest other.
    assert found.authentic == pytest.approx(2 / 9)
    equal = m.graph.neighbour_graph(np.array([[0.0], [8], [20], [30]]), np.array([[-8.0], [40]]), k=1)
    assert m.memorisation.memorisation(equal).authentic == 0
    x, y = np.random.default_rng(3).normal(size=(2, 60, 4))
    near = m.memorisation.memorisation(m.graph.neighbour_graph(x, np.concatenate([x[:40] + 0.01, y[40:]]), k=1))
    assert near.memorises
    fresh = m.memorisation.memorisation(graph := m.graph.neighbour_graph(x, y, k=1))
    assert not fresh.memorises
    assert 1e-3 < fresh.p_value < 0.9, "or the level of the test would not matter here"
    halves = [x[graph.real.first[:30]], x[graph.real.first[30:]]]
    held_out = by_ratio(halves[0], halves[1]) + by_ratio(halves[1], halves[0])
    of_fakes = by_ratio(y, halves[0]) + by_ratio(y, halves[1])
    assert fresh.held_out_copies == np.sum(np.array(held_out) < 0.5)
    assert fresh.half_copies == np.sum(np.array(of_fakes) < 0.5)
    np.testing.assert_allclose(fresh.held_out_quantiles[3], np.median(held_out), rtol=1e-9)
    np.testing.assert_allclose(fresh.ratio_quantiles[3], np.median(of_fakes), rtol=1e-9)


def by_ratio(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    to, own = full(ours, theirs), full(theirs, theirs)
    return list(np.sqrt(to.min(axis=1) / own.min(axis=1)[to.argmin(axis=1)]))


def check_duplicates(m: SimpleNamespace) -> None:
    real = np.array([[0.0], [0], [10], [20], [30], [90], [93.9]])
    fake = np.array([[4.0], [4], [6], [200], [203]])
    found = m.duplicates.duplicates(m.graph.neighbour_graph(real, fake, k=2))
    # Distances between different reals: 10, 10, 10, 10, 3.9, 3.9; the usual one is 10.
    assert found.threshold == 5
    assert (found.exact_in_real, found.exact_in_fake) == (1, 1)
    assert (found.near_in_real, found.near_in_fake, found.near_leaked) == (4, 5, 3)


def check_noteworthy(m: SimpleNamespace) -> None:
    real = np.array([[0.0], [1], [2.5], [4], [100], [101]])
    fake = np.array([[0.1], [2.9], [50], [52], [-50]])
    found = m.noteworthy.noteworthy(m.graph.neighbour_graph(real, fake, k=1))
    # Margins: 46 - 2, 48 - 2; the lone fake at -50 is nearly as near to a fake as to a real.
    assert found.easiest_fakes.tolist() == [3, 2]
    assert set(found.uncovered_reals) == {4, 5}
    assert found.copying_fakes[:2].tolist() == [0, 1]
    assert found.copied_reals[:2].tolist() == [0, 2]


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_frechet,
    check_frechet_error,
    check_kid,
    check_one_nn,
    check_prdc,
    check_memorisation,
    check_duplicates,
    check_noteworthy,
)


def run_checks(modules: SimpleNamespace) -> None:
    for check in CHECKS:
        check(modules)


@pytest.mark.parametrize("check", CHECKS)
def test_the_rules_hold(check: Callable[[Any], None]) -> None:
    with altered() as modules:
        check(modules)


@pytest.mark.parametrize("name", MUTATIONS)
def test_an_altered_rule_is_found_out(name: str) -> None:
    # An altered source may also end in an error of its own.
    with altered(*MUTATIONS[name]) as modules, np.errstate(all="ignore"), pytest.raises(Exception):  # noqa: B017, PT011
        run_checks(modules)

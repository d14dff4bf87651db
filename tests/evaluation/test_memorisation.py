"""A generator that copies is named, others are not; duplicates and leaks are counted; pictures are pointed at."""

from __future__ import annotations

import numpy as np
import pytest

from evalface.duplicates import duplicates
from evalface.graph import neighbour_graph
from evalface.memorisation import RATIO, Memorisation, memorisation, ratios
from evalface.noteworthy import noteworthy
from genface.errors import UserError

N = 250


def check(real: np.ndarray, fake: np.ndarray) -> Memorisation:
    return memorisation(neighbour_graph(real, fake, k=1))


def draw(d: int, seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("d", [4, 12, 64])
def test_fresh_pictures_are_not_called_copies(d: int) -> None:
    """Also where few dimensions make near pictures common: their share is what held-out reals show."""
    found = [check(draw(d, 2 * seed), draw(d, 2 * seed + 1)) for seed in range(12)]
    assert not any(f.memorises for f in found)
    fresh, held_out = (np.mean([getattr(f, name) for f in found]) for name in ("half_copies", "held_out_copies"))
    fresh, held_out = fresh / (2 * N), held_out / N
    assert fresh == pytest.approx(held_out, abs=0.015), "the null is the truth"


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_a_memorising_generator_is_named(share: float) -> None:
    real, fake = draw(24, 0), draw(24, 1)
    copied = int(share * N)
    fake[:copied] = real[:copied] + 0.1 * fake[:copied]
    found = check(real, fake)
    assert found.memorises
    assert found.copies == copied
    assert found.authentic < 1 - 0.9 * share


@pytest.mark.parametrize(("scale", "name"), [(0.5, "too narrow"), (0.01, "collapsed on the mean"), (2.0, "too wide")])
def test_other_failures_are_not_called_copies(scale: float, name: str) -> None:
    assert not any(check(draw(24, seed), scale * draw(24, seed + 50)).memorises for seed in range(5)), name


def test_twins_in_the_data_are_no_copies() -> None:
    """A fifth of the pictures come in near-equal pairs, and so do those of a fresh draw: against all reals it has twice
    as many near pictures as one half of the reals against the other, against halves it has as many.
    """
    n = 2400
    people = draw(24, 3, n)
    photos = people[np.r_[:n, : n // 10]] + 1e-2 * draw(24, 4, n + n // 10)
    photos = photos[np.random.default_rng(5).permutation(len(photos))]
    found = check(photos[: len(photos) // 2], photos[len(photos) // 2 :])
    assert not found.memorises
    shares = found.copies / found.n_fake, found.held_out_copies / found.n_held_out
    assert shares[0] > 1.5 * shares[1] > 0
    assert found.half_copies / found.n_fake / 2 == pytest.approx(shares[1], rel=0.3)


def test_ratios_and_authenticity_by_loops() -> None:
    real, fake = draw(3, 6, 40), draw(3, 7, 30)
    real[5], fake[3], fake[4] = real[6], real[7], fake[8]
    graph = neighbour_graph(real, fake, k=2)
    got = ratios(graph).ratio[graph.fake.group]
    authentic = 0
    for j, face in enumerate(fake):
        to = np.linalg.norm(real - face, axis=1)
        i = int(to.argmin())
        others = np.delete(np.linalg.norm(real - real[i], axis=1), i)
        assert got[j] == pytest.approx(to[i] / others[others > 0].min(), rel=1e-12)
        authentic += to[i] > others.min()
    assert memorisation(graph).authentic == authentic / 30


def test_the_ratio_has_no_border_inside() -> None:
    """Exactly half the distance belongs to both reals, so it is no copy."""
    real = np.array([[0.0], [2], [10], [12], [20], [22], [30], [32]])
    assert check(real, np.array([[1.0], [11], [21], [31]])).copies == 0
    assert check(real, np.array([[0.9], [11], [21], [31]])).copies == 1
    assert RATIO == 0.5


def test_duplicates_are_counted() -> None:
    real, fake = draw(16, 8), draw(16, 9)
    real[1] = real[0]
    real[3] = real[2] + 1e-3
    fake[1] = fake[2] = fake[0]
    fake[4] = fake[3] + 1e-3
    fake[5] = fake[6] = real[7]
    fake[8] = real[9] + 1e-3
    found = duplicates(neighbour_graph(real, fake, k=1))
    assert (found.exact_in_real, found.near_in_real) == (1, 4)
    assert (found.exact_in_fake, found.near_in_fake) == (3, 7)
    assert (found.leaked, found.near_leaked) == (2, 3)
    own = np.linalg.norm(real[:, None] - real[None], axis=2) + np.diag(np.full(N, np.inf))
    own[0, 1] = own[1, 0] = np.inf
    assert found.threshold == pytest.approx(np.median(own[1:].min(axis=1)) / 2)


def test_all_pictures_equal() -> None:
    same = np.ones((6, 3))
    found = duplicates(neighbour_graph(same, same, k=1))
    assert (found.exact_in_real, found.near_in_real, found.leaked, found.near_leaked) == (5, 6, 6, 6)
    assert found.threshold == 0


def test_pictures_to_look_at() -> None:
    real, fake = draw(16, 10), draw(16, 11)
    fake[17] = 30 + draw(16, 12, 1)
    fake[18] = fake[17]
    real[20:28] = -10 + 0.1 * draw(16, 13, 8)  # more than k together, and no fake near
    fake[40] = real[41] + 1e-3
    fake[50] = real[51] + 2e-3
    found = noteworthy(neighbour_graph(real, fake, k=5), at_most=10)
    assert found.easiest_fakes[0] in (17, 18)
    assert set(found.uncovered_reals[:8]) == set(range(20, 28))
    assert found.copying_fakes[:2].tolist() == [40, 50]
    assert found.copied_reals[:2].tolist() == [41, 51]
    assert (np.diff(found.copying_ratios) >= 0).all()
    assert len(found.copying_fakes) == 10
    to_real = np.linalg.norm(fake[found.easiest_fakes, None] - real, axis=2).min(axis=1)
    to_fake = np.sort(np.linalg.norm(fake[found.easiest_fakes, None] - fake, axis=2), axis=1)[:, 1]
    margins = to_real - to_fake
    assert (np.diff(margins) <= 1e-9).all()
    assert (margins > 0).all()


def test_refuses_too_few_reals() -> None:
    with pytest.raises(UserError, match="4 different reals, not 2"):
        check(np.repeat(draw(2, 0, 2), 5, axis=0), draw(2, 1, 10))

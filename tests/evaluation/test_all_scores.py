"""All scores in one call: known truths, what does not matter, JSON, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalface import distances, kernel
from evalface.all_scores import AllScores, all_scores
from evalface.frechet import frechet_distance
from evalface.kernel import kernel_distance
from evalface.neighbours import leave_one_out, precision_recall
from genface.errors import UserError

N, D = 160, 24


def faces(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


REAL = faces(0)
GENERATORS: dict[str, Callable[[], np.ndarray]] = {
    "perfect": lambda: faces(1),
    "copies": lambda: REAL.copy(),
    "memorising": lambda: REAL[np.random.default_rng(2).permutation(N)] + 0.05 * faces(3),
    "collapsed": lambda: faces(4)[np.arange(N) % 3] + 1e-3 * faces(5),
    "wide": lambda: 3 * faces(6),
    "apart": lambda: faces(7) + 20,
}


@pytest.fixture(scope="module")
def scored() -> dict[str, AllScores]:
    return {name: all_scores(REAL, draw()) for name, draw in GENERATORS.items()}


def test_a_perfect_generator(scored: dict[str, AllScores]) -> None:
    s = scored["perfect"]
    # At 160 the floor is the distance of two sets of 80; the bias falls like 1 / n.
    assert s.floor.n == 80
    assert s.frechet.value == pytest.approx(s.floor.value / 2, rel=0.25)
    assert s.frechet_infinity.interval().low <= 0 <= s.frechet_infinity.interval().high
    assert s.kid.interval().low <= 0 <= s.kid.interval().high
    assert abs(s.leave_one_out.accuracy - s.leave_one_out.chance) < 3 * s.leave_one_out_test.deviation
    assert s.leave_one_out_test.p_value > 0.01
    assert s.density_coverage.coverage == pytest.approx(s.density_coverage.expected_coverage, abs=0.1)
    assert not s.memorisation.memorises
    assert (s.duplicates.near_in_fake, s.duplicates.leaked) == (0, 0)


def test_exact_copies(scored: dict[str, AllScores]) -> None:
    s = scored["copies"]
    assert s.frechet.value < 1e-9
    assert s.leave_one_out.accuracy == 0
    assert s.leave_one_out_test.p_value == 1 / 10_001
    assert s.duplicates.leaked == N
    assert s.memorisation.memorises
    assert s.memorisation.authentic == 0
    assert (s.precision_recall.precision, s.precision_recall.recall, s.density_coverage.coverage) == (1, 1, 1)


def test_a_memorising_generator(scored: dict[str, AllScores]) -> None:
    s = scored["memorising"]
    assert s.memorisation.memorises
    assert s.memorisation.copies == N
    assert (s.duplicates.leaked, s.duplicates.near_leaked) == (0, N)
    assert s.leave_one_out.accuracy < 0.01
    order = np.random.default_rng(2).permutation(N)
    assert np.array_equal(order[s.noteworthy.copying_fakes], s.noteworthy.copied_reals)


def test_a_collapsed_generator(scored: dict[str, AllScores]) -> None:
    s = scored["collapsed"]
    assert s.precision_recall.recall == 0
    assert s.leave_one_out.fake_accuracy == 1
    assert s.duplicates.near_in_fake == N
    assert not s.memorisation.memorises


def test_far_and_wide(scored: dict[str, AllScores]) -> None:
    assert scored["apart"].leave_one_out.accuracy == 1
    assert scored["apart"].precision_recall.precision == 0
    assert scored["apart"].frechet.value == pytest.approx(400 * D, rel=0.05)
    assert scored["wide"].precision_recall.precision == 0
    assert len(scored["apart"].noteworthy.uncovered_reals) == 24


def test_closed_form_of_shifted_gaussians() -> None:
    s = all_scores(REAL, REAL + np.float32(2))
    assert s.frechet.value == pytest.approx(4 * D, rel=1e-6)  # float32 features


def test_are_the_single_scores(scored: dict[str, AllScores]) -> None:
    s, fake = scored["wide"], GENERATORS["wide"]()
    assert s.frechet.value == pytest.approx(frechet_distance(REAL, fake), rel=1e-12)
    assert s.kid == kernel_distance(REAL, fake)
    assert s.leave_one_out == leave_one_out(REAL, fake)
    assert s.precision_recall == precision_recall(REAL, fake)


def numbers(document: Any) -> list[float]:
    """All numbers of a nested document, in order."""
    if isinstance(document, dict):
        return [n for value in document.values() for n in numbers(value)]
    if isinstance(document, list | tuple):
        return [n for value in document for n in numbers(value)]
    return [] if document is None else [float(document)]


def test_order_and_blocks_do_not_matter(scored: dict[str, AllScores], monkeypatch: pytest.MonkeyPatch) -> None:
    fake = GENERATORS["memorising"]()
    monkeypatch.setattr(distances, "ROWS", 50)
    monkeypatch.setattr(kernel, "_ROWS", 33)
    rng = np.random.default_rng(8)
    got = all_scores(REAL[rng.permutation(N)], fake[rng.permutation(N)]).to_dict()
    expected = scored["memorising"].to_dict()
    for document in (got, expected):  # which draw other rows: equal in distribution only
        del document["floor"], document["frechet_infinity"]
    assert numbers(got) == pytest.approx(numbers(expected), rel=1e-10, abs=1e-12)


def test_unequal_sides_and_pixels() -> None:
    rng = np.random.default_rng(9)
    real, fake = faces(10, 70), faces(11, 50)
    pixels = rng.integers(0, 256, (70, 12), dtype=np.uint8), rng.integers(0, 256, (50, 12), dtype=np.uint8)
    s = all_scores(real, fake, pixels_real=pixels[0], pixels_fake=pixels[1], at_most=40, seed=3)
    assert (s.n_real, s.n_fake, s.n_per_side) == (70, 50, 40)
    assert s.leave_one_out.n_per_side == s.precision_recall.n_per_side == s.memorisation.n_fake == 40
    assert s.leave_one_out_pixels is not None
    assert s.leave_one_out_pixels != s.leave_one_out
    # Rows of the whole sets, not of the subsamples.
    to = np.linalg.norm(fake[s.noteworthy.copying_fakes] - real[s.noteworthy.copied_reals], axis=1)
    assert to[0] == pytest.approx(
        np.linalg.norm(real[:, None] - fake[s.noteworthy.copying_fakes[0]], axis=2).min(), rel=0.2
    )
    again = all_scores(real, fake, pixels_real=pixels[0], pixels_fake=pixels[1], at_most=40, seed=3)
    assert again.to_dict() == s.to_dict()
    assert all_scores(real, fake, at_most=40, seed=4).leave_one_out != s.leave_one_out


def test_is_plain_json(scored: dict[str, AllScores]) -> None:
    document = json.loads(json.dumps(scored["perfect"].to_dict(), allow_nan=False))
    assert document["frechet"]["interval"]["level"] == 0.95
    assert document["memorisation"]["memorises"] is False
    assert "seconds" not in document
    assert set(scored["perfect"].seconds) >= {"frechet", "kid", "neighbours"}
    assert replace(scored["perfect"], seconds={}).to_dict() == scored["perfect"].to_dict()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"real": faces(0, 7)}, "at least 8"),
        ({"fake": np.ones((20, D + 1))}, "one width"),
        ({"fake": np.full((20, D), np.nan)}, "NaN"),
        ({"k": 0}, "k must be at least 1"),
        ({"k": 200}, "at least 201"),
        ({"at_most": 5}, "at most 5"),
        ({"pixels_real": np.ones((N, 3), np.uint8)}, "both sides"),
        ({"pixels_real": np.ones((N, 3), np.uint8), "pixels_fake": np.ones((3, 3), np.uint8)}, "3 rows of fake"),
    ],
)
def test_refuses(change: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        all_scores(**({"real": REAL, "fake": faces(1)} | change))

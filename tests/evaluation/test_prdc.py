"""Precision, recall, density and coverage against the package prdc and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc

from evalface.graph import neighbour_graph
from evalface.prdc import density_coverage, expected_coverage, precision_recall
from genface.errors import UserError


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "shift"), [(90, 90, 0.0), (90, 90, 1.0), (90, 60, 0.5), (50, 80, 5.0)])
def test_are_those_of_prdc(n: int, m: int, shift: float, k: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(n + m)
    real, fake = rng.normal(size=(n, 6)), 0.7 * rng.normal(size=(m, 6)) + shift
    theirs = compute_prdc(real, fake, nearest_k=k)
    graph = neighbour_graph(real, fake, k=k)
    ours = density_coverage(graph)
    assert ours.density == pytest.approx(theirs["density"], abs=1e-12)
    assert ours.coverage == pytest.approx(theirs["coverage"], abs=1e-12)
    if n == m:
        both = precision_recall(graph)
        assert both.precision == pytest.approx(theirs["precision"], abs=1e-12)
        assert both.recall == pytest.approx(theirs["recall"], abs=1e-12)


def test_a_ball_does_not_hold_its_border(capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = np.array([[0.0], [1], [2], [3]]), np.array([[4.0], [5], [6], [7]])
    theirs = compute_prdc(real, fake, nearest_k=1)
    graph = neighbour_graph(real, fake, k=1)
    assert (precision_recall(graph).precision, precision_recall(graph).recall) == (0, 0)
    assert (density_coverage(graph).density, density_coverage(graph).coverage) == (0, 0)
    assert theirs["precision"] == theirs["recall"] == theirs["density"] == theirs["coverage"] == 0


def test_copies_count_as_pictures() -> None:
    real = np.repeat(np.array([[0.0], [10], [20]]), 3, axis=0)
    fake = np.array([[0.1], [0.1], [30.0], [31], [32]])
    ours = density_coverage(neighbour_graph(real, fake, k=3))
    # Each real's third neighbour is 10 away; balls of the three reals at 0 hold both fakes at 0.1, so do those at 10.
    assert ours.density == pytest.approx(12 / (3 * 5))
    assert ours.coverage == pytest.approx(6 / 9)
    assert density_coverage(neighbour_graph(real, fake, k=2)).coverage == 0, "balls of no radius hold nothing"


def test_equal_distributions_have_the_expected_values() -> None:
    rng = np.random.default_rng(0)
    found = [density_coverage(neighbour_graph(*rng.normal(size=(2, 80, 4)), k=5)) for _ in range(60)]
    coverage, density = [f.coverage for f in found], [f.density for f in found]
    assert np.mean(coverage) == pytest.approx(expected_coverage(80, 80, 5), abs=4 * np.std(coverage) / np.sqrt(60))
    # k / (n - 1) of the reals lie in a ball, and so does a fresh picture with probability k / n: a hair below 1.
    assert np.mean(density) == pytest.approx(1.0, abs=4 * np.std(density) / np.sqrt(60) + 1 / 80)
    assert expected_coverage(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, rel=1e-5)


def test_blur_loses_precision_and_collapse_loses_recall() -> None:
    rng = np.random.default_rng(1)
    sharp, fresh = rng.normal(size=(2, 150, 8, 8))
    blurred = sum(np.roll(fresh, shift, axis) for axis in (1, 2) for shift in (-1, 0, 1)) / 6

    def spectrum(faces: np.ndarray) -> np.ndarray:
        """A feature that sees blur, as a network's do."""
        return np.log(np.abs(np.fft.rfft2(faces)) ** 2 + 0.1).reshape(len(faces), -1)

    scores = {
        name: precision_recall(neighbour_graph(spectrum(sharp), spectrum(faces), k=5))
        for name, faces in (("fresh", fresh), ("blurred", blurred), ("collapsed", fresh[np.arange(150) % 5]))
    }
    assert scores["fresh"].precision > 0.8
    assert scores["blurred"].precision < scores["fresh"].precision - 0.2
    assert scores["collapsed"].recall < 0.1 < 0.8 < scores["fresh"].recall


def test_refuses() -> None:
    with pytest.raises(UserError, match="one size"):
        precision_recall(neighbour_graph(np.eye(8), np.eye(8)[:7], k=2))
    with pytest.raises(UserError, match="rank 5"):
        density_coverage(neighbour_graph(np.eye(8), np.eye(8)[:5], k=5))

"""LOO-1NN against scikit-learn and a brute loop, precision and recall against prdc."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from evalface import distances
from evalface.neighbours import equal_subsample, leave_one_out, precision_recall
from evalface.one_nn import chance_level


def brute(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Accuracies of reals and fakes by loops, ties by their share."""
    points = [(row, label) for label, rows in ((0, real), (1, fake)) for row in rows.astype(float)]
    shares: tuple[list[float], list[float]] = ([], [])
    for i, (a, label) in enumerate(points):
        distances = [(((a - b) ** 2).sum(), other) for j, (b, other) in enumerate(points) if j != i]
        least = min(distance for distance, _ in distances)
        nearest = [other for distance, other in distances if distance == least]
        shares[label].append(nearest.count(label) / len(nearest))
    return float(np.mean(shares[0])), float(np.mean(shares[1]))


@pytest.mark.parametrize("n", [10, 60])
def test_is_scikit_learns_leave_one_out(n: int) -> None:
    rng = np.random.default_rng(n)
    real, fake = rng.normal(size=(n, 6)), rng.normal(size=(n, 6)) + 0.7
    labels = np.repeat([0, 1], n)
    folds = cross_val_score(KNeighborsClassifier(1), np.concatenate([real, fake]), labels, cv=LeaveOneOut())
    ours = leave_one_out(real, fake)
    assert ours.accuracy == pytest.approx(folds.mean(), abs=1e-12)
    assert ours.real_accuracy == pytest.approx(folds[:n].mean(), abs=1e-12)
    assert ours.fake_accuracy == pytest.approx(folds[n:].mean(), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(1, 3), st.integers(1, 6), st.integers(0, 10_000))
def test_is_the_brute_loop_with_ties(n: int, d: int, levels: int, seed: int) -> None:
    """On small grids copies and ties are everywhere, and all distances are exact."""
    rng = np.random.default_rng(seed)
    real, fake = rng.integers(0, levels, (2, n, d)).astype(np.float32)
    ours = leave_one_out(real, fake)
    assert (ours.real_accuracy, ours.fake_accuracy) == pytest.approx(brute(real, fake), abs=1e-12)
    assert ours.accuracy == pytest.approx((ours.real_accuracy + ours.fake_accuracy) / 2, abs=1e-12)


def test_pixels_are_exact_in_uint8() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 256, (2, 30, 48), dtype=np.uint8)
    fake[:5] = real[:5]
    fake[5] = fake[6]
    ours = leave_one_out(real, fake)
    assert (ours.real_accuracy, ours.fake_accuracy) == pytest.approx(brute(real, fake), abs=1e-12)


def test_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.integers(0, 4, (2, 40, 3)).astype(np.float32)
    fake[:20] += rng.normal(size=(20, 3)).astype(np.float32)
    whole = leave_one_out(real, fake), precision_recall(real, fake)
    for rows in (3, 7, 80):
        monkeypatch.setattr(distances, "ROWS", rows)
        assert (leave_one_out(real, fake), precision_recall(real, fake)) == whole


def test_copies_of_the_reals_score_zero() -> None:
    x = np.random.default_rng(2).normal(size=(50, 8))
    ours = leave_one_out(x, x.copy())
    assert (ours.accuracy, ours.real_accuracy, ours.fake_accuracy) == (0, 0, 0)


def test_far_clusters_score_one() -> None:
    x = np.random.default_rng(3).normal(size=(50, 8))
    assert leave_one_out(x, x + 1e4).accuracy == 1


def test_collapsed_fakes_crowd_together() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(80, 4))
    fake = np.repeat(rng.normal(size=(1, 4)), 80, axis=0)
    assert leave_one_out(real, fake).fake_accuracy == 1


def test_order_of_the_sides_does_not_matter_with_duplicates() -> None:
    rng = np.random.default_rng(5)
    pool = rng.normal(size=(20, 5))
    a, b = (pool[rng.integers(0, 20, 60)] for _ in range(2))
    forth, back = leave_one_out(a, b), leave_one_out(b, a)
    # Shares like 1/3 are added in another order.
    assert forth.accuracy == pytest.approx(back.accuracy, abs=1e-12)
    assert (forth.real_accuracy, forth.fake_accuracy) == pytest.approx(
        (back.fake_accuracy, back.real_accuracy), abs=1e-12
    )


def test_near_copies_far_from_the_origin_are_ranked_exactly() -> None:
    """At 1e6 from the origin a product of matrices would lose these distances altogether."""
    real = np.array([[0.0], [1.0], [10.0]]) * 1e-3 + 1e6
    fake = np.array([[0.4], [1.4], [10.9]]) * 1e-3 + 1e6
    ours = leave_one_out(real, fake)
    assert (ours.real_accuracy, ours.fake_accuracy) == pytest.approx(brute(real, fake))


def test_one_distribution_scores_chance() -> None:
    rng = np.random.default_rng(6)
    scores = [leave_one_out(*rng.normal(size=(2, 20, 3))).accuracy for _ in range(300)]
    assert chance_level(20, 20) == pytest.approx(19 / 39)
    assert np.mean(scores) == pytest.approx(19 / 39, abs=4 * np.std(scores) / np.sqrt(300))
    assert chance_level(100, 300) == pytest.approx((100 * 99 + 300 * 299) / (400 * 399))


@pytest.mark.parametrize("shift", [0.0, 1.0, 5.0])
def test_precision_and_recall_are_prdcs(shift: float, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(7)
    real, fake = rng.normal(size=(90, 6)), 0.7 * rng.normal(size=(90, 6)) + shift
    theirs = compute_prdc(real, fake, nearest_k=5)
    ours = precision_recall(real, fake)
    assert (ours.precision, ours.recall) == (theirs["precision"], theirs["recall"])


def test_recall_of_a_collapsed_generator_is_zero() -> None:
    real = np.random.default_rng(8).normal(size=(60, 4))
    fake = np.repeat(real[:1] + 0.01, 60, axis=0)
    ours = precision_recall(real, fake)
    assert (ours.precision, ours.recall) == (1.0, 0.0)


def test_equal_subsample() -> None:
    real, fake = equal_subsample(100, 30, seed=1, at_most=1000)
    assert len(real) == len(fake) == 30
    assert sorted(set(fake)) == list(range(30))
    assert len(set(real)) == 30
    assert np.array_equal(real, equal_subsample(100, 30, seed=1, at_most=1000)[0])
    assert not np.array_equal(real, equal_subsample(100, 30, seed=2, at_most=1000)[0])
    assert len(equal_subsample(100, 30, seed=1, at_most=10)[0]) == 10


@pytest.mark.parametrize("function", [leave_one_out, precision_recall])
def test_refuses_unequal_sides(function: object) -> None:
    with pytest.raises(ValueError, match="of one size"):
        function(np.ones((8, 2)), np.ones((7, 2)))  # type: ignore[operator]


def test_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        leave_one_out(np.full((3, 2), np.nan), np.ones((3, 2)))

"""The plain sentences on the scores say what the figures say."""

from __future__ import annotations

from typing import Any

import pytest

from evalface.duplicates import Duplicates
from evalface.kernel import KernelDistance
from evalface.memorisation import QUANTILES, Memorisation
from evalface.one_nn import LeaveOneOut, PermutationTest
from evalface.prdc import DensityCoverage, PrecisionRecall
from evalface.readings import (
    read_duplicates,
    read_frechet,
    read_kid,
    read_memorisation,
    read_one_nn,
    read_precision_recall,
    readings,
)
from evalface.score_set import FrechetScore, Scores


@pytest.mark.parametrize(
    ("real", "fake", "n", "words"),
    [
        (0.50, 0.51, 1000, "cannot be told from the reals"),
        (0.45, 0.56, 100, "cannot be told from the reals"),
        (1.0, 1.0, 12, "too few pictures"),
        (0.0, 0.0, 12, "too few pictures"),
        (1.0, 1.0, 16, "too few pictures"),
        (1.0, 1.0, 17, "can be told apart"),
        (0.0, 0.0, 17, "copied training pictures"),
        (0.98, 0.99, 1000, "can be told apart"),
        (0.02, 0.01, 1000, "copied training pictures"),
        (0.20, 0.95, 1000, "mode collapse"),
        (0.95, 0.20, 1000, "near-copies"),
        (0.50, 0.90, 1000, "crowd together"),
        (0.90, 0.50, 1000, "not covered"),
        (0.50, 0.10, 1000, "near-copies"),
        (0.10, 0.50, 1000, "less spread"),
        (0.57, 0.58, 5000, "faintly, reals and fakes keep to themselves"),
    ],
)
def test_reading(real: float, fake: float, n: int, words: str) -> None:
    score = LeaveOneOut(
        accuracy=(real + fake) / 2,
        real_accuracy=real,
        fake_accuracy=fake,
        chance=(n - 1) / (2 * n - 1),
        n_per_side=n,
    )
    sentence = read_one_nn(score)
    assert words in sentence
    assert f"{(real + fake) / 2:.0%}" in sentence


@pytest.mark.parametrize(
    ("accuracy", "n", "p", "words"),
    [
        # Either side by itself lies within chance; both together do not.
        (0.55, 1000, 0.0002, "faintly, reals and fakes keep to themselves"),
        (0.45, 1000, 0.0002, "faintly, fakes sit on top of reals"),
        (0.52, 1000, 0.2, "cannot be told from the reals"),
        # Too few for the sides, not for the test.
        (1.0, 12, 0.0001, "can be told apart"),
        (0.6, 12, 0.5, "too few pictures"),
        # The sides speak for themselves.
        (0.99, 1000, 0.0001, "can be told apart"),
    ],
)
def test_the_permutation_test_has_a_say(accuracy: float, n: int, p: float, words: str) -> None:
    score = LeaveOneOut(
        accuracy=accuracy, real_accuracy=accuracy, fake_accuracy=accuracy, chance=(n - 1) / (2 * n - 1), n_per_side=n
    )
    sentence = read_one_nn(score, PermutationTest(p_value=p, deviation=0.01, permutations=10_000, seed=0))
    assert words in sentence
    assert f"p = {p:.2g}" in sentence


@pytest.mark.parametrize(
    ("value", "words"),
    [
        # Floor 10 at N = 50, so about 5 at N = 100.
        (5.5, "5.5 cannot be told from the 5 that"),
        (40.0, "40 is 8 times the 5 that"),
        (0.5, "0.5 is far below the 5 that"),
    ],
)
def test_the_distance_is_held_against_the_floor_of_its_own_n(value: float, words: str) -> None:
    score = FrechetScore(name="FID (Inception)", value=value, standard_error=0.5, floor=10.0, floor_n=50)
    assert words in read_frechet(score, None, 100, 100)
    # 1 / 100 + 1 / 300 is two thirds of 1 / 100 + 1 / 100.
    assert "the 3.33 that" in read_frechet(score, None, 100, 300)


@pytest.mark.parametrize(("value", "words"), [(1.0, "differ"), (0.1, "holds 0"), (-1.0, "share pictures")])
def test_kid(value: float, words: str) -> None:
    assert words in read_kid(KernelDistance(value=value, standard_error=0.2))


@pytest.mark.parametrize(
    ("precision", "recall", "coverage", "words"),
    [
        (0.92, 0.93, 0.96, "about all of them"),
        (0.90, 0.20, 0.30, "only part of the variety"),
        (0.20, 0.90, 0.40, "many fakes lie where no real is"),
        (0.03, 0.02, 0.05, "the two sets are apart"),
        (0.45, 0.40, 0.50, "neither quality nor diversity alone"),
        (0.92, 0.93, 0.60, "neither quality nor diversity alone"),
    ],
)
def test_precision_and_recall(precision: float, recall: float, coverage: float, words: str) -> None:
    sentence = read_precision_recall(
        PrecisionRecall(precision=precision, recall=recall, k=5, n_per_side=1000),
        DensityCoverage(density=1.0, coverage=coverage, expected_coverage=0.969, k=5, n_real=1000, n_fake=1000),
    )
    assert words in sentence
    assert sentence.startswith(f"{precision:.0%} of the fakes lie among the reals")


@pytest.mark.parametrize(
    ("copies", "memorises", "words"),
    [(0, False, "no fake is"), (3, False, "no more than chance"), (40, True, "the generator copies pictures")],
)
def test_memorisation(copies: int, memorises: bool, words: str) -> None:
    quantiles = (1.0,) * len(QUANTILES)
    score = Memorisation(
        memorises=memorises,
        copies=copies,
        n_fake=100,
        half_copies=copies,
        held_out_copies=2,
        n_held_out=100,
        p_value=0.5,
        ratio_quantiles=quantiles,
        held_out_quantiles=quantiles,
        authentic=0.9,
    )
    assert words in read_memorisation(score)
    if copies:
        assert f"{copies} of 100 fakes are" in read_memorisation(score)
        assert f"{copies / 200:.2%} of the fakes" in read_memorisation(score)
        assert "2.00% (p = 0.5)" in read_memorisation(score)


def test_duplicates() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("exact_in_real", "exact_in_fake", "near_in_real", "near_in_fake", "leaked", "near_leaked"), 0
    )
    nothing |= {"threshold": 1.0, "n_real": 50, "n_fake": 40}
    assert read_duplicates(Duplicates(**nothing)) == ""
    said = read_duplicates(Duplicates(**(nothing | {"leaked": 3, "exact_in_real": 2})))
    assert said.split("; ") == [
        "3 of 40 fakes equal a real picture in every feature",
        "2 of 50 reals repeat an earlier real exactly.",
    ]


def test_a_distance_alone_says_what_is_missing() -> None:
    (only,) = readings(Scores(frechet=FrechetScore(name="FID (Inception)", value=3.0)), None, 1000)
    assert only.about == "All other scores"
    with_floor = Scores(frechet=FrechetScore(name="FID (Inception)", value=3.0, floor=2.0, floor_n=500))
    distance, other = readings(with_floor, 1000, 1000)
    # The floor of 2 at 500 each is about 1 at 1,000 each.
    assert distance.sentence.startswith("3 is 3 times the 1 that real pictures would score against as many other ones")
    assert other == only

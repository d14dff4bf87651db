"""Plain readings of the scores: sentences that say what the numbers show, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from evalface.duplicates import Duplicates
from evalface.extrapolation import Extrapolation
from evalface.intervals import Interval
from evalface.kernel import KernelDistance
from evalface.memorisation import Memorisation
from evalface.one_nn import LeaveOneOut, PermutationTest
from evalface.prdc import DensityCoverage, PrecisionRecall
from evalface.score_set import FrechetScore, Scores

SIGNIFICANT = 0.01
"""A p-value of the leave-one-out test below this counts against "cannot be told apart"."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a score says in words."""

    about: str
    sentence: str


def readings(scores: Scores, n_real: int | None, n_fake: int | None) -> list[Reading]:
    """Every reading that the scores of `n_real` and `n_fake` pictures allow; None where a file does not tell."""
    return [Reading(about=about, sentence=sentence) for about, sentence in _readings(scores, n_real, n_fake)]


def _readings(s: Scores, n_real: int | None, n_fake: int | None) -> Iterator[tuple[str, str]]:
    if s.frechet.floor is not None and n_real is not None and n_fake is not None:
        yield "Frechet distance", read_frechet(s.frechet, s.frechet_infinity, n_real, n_fake)
    if s.kid is not None:
        yield "KID", read_kid(s.kid)
    else:
        yield "All other scores", _FROM_STATISTICS
    if s.precision_recall is not None and s.density_coverage is not None:
        yield "Precision and recall", read_precision_recall(s.precision_recall, s.density_coverage)
    if s.leave_one_out is not None:
        yield "LOO-1NN in features", read_one_nn(s.leave_one_out, s.leave_one_out_test)
    # Where pixels are the features, once is enough.
    if s.leave_one_out_pixels is not None and s.leave_one_out_pixels != s.leave_one_out:
        yield "LOO-1NN in raw pixels", read_one_nn(s.leave_one_out_pixels, s.leave_one_out_pixels_test)
    if s.memorisation is not None:
        yield "Memorisation", read_memorisation(s.memorisation)
    if s.duplicates is not None and (said := read_duplicates(s.duplicates)):
        yield "Duplicates", said


_FROM_STATISTICS = (
    "a statistics file holds no pictures, so there is no interval and no distance at infinite N, no KID, precision,"
    " recall or coverage, no LOO-1NN, and no search for copies; with the pictures themselves in its place all are told."
)
_FAR_BELOW = 0.5


def read_frechet(score: FrechetScore, line: Extrapolation | None, n_real: int, n_fake: int) -> str:
    """The distance against what other real pictures would give, and how much of it is owed to the numbers.

    The floor is nearly all bias, so it is carried from its own N to those of the score in proportion to
    1 / n_real + 1 / n_fake (Chong and Forsyth 2020).
    """
    assert score.floor is not None
    assert score.floor_n is not None
    interval = score.interval() or Interval(low=score.value, high=score.value)
    floor = score.floor * score.floor_n * (1 / n_real + 1 / n_fake) / 2
    floor_said = f"{floor:.3g} that real pictures would score against as many other ones"
    if interval.high < floor * _FAR_BELOW:
        said = f"{score.value:.4g} is far below the {floor_said}: the fakes are the reals, or near-copies of them"
    elif interval.low <= floor:
        said = f"{score.value:.4g} cannot be told from the {floor_said}"
    else:
        times = f"{score.value / floor:.3g} times" if floor > 0 else "above"
        said = f"{score.value:.4g} is {times} the {floor_said}, so the fakes differ from the reals"
    if line is not None and 0 < line.value < score.value:
        said += f"; about {score.value - line.value:.2g} of it is bias by the number of pictures"
    return f"{said}."


def read_kid(score: KernelDistance) -> str:
    """Whether the kernel distance shows a difference at all."""
    interval = score.interval()
    if interval.low > 0:
        return "the interval lies above 0, so the two sets differ."
    if interval.high < 0:
        return "the interval lies below 0, as chance hardly makes it: the sets share pictures, or copies of them."
    return "the interval holds 0, so no difference is shown."


_HARDLY = 0.1
_FEW_TIMES = 1.5
_NEARLY = 0.9


def read_precision_recall(manifold: PrecisionRecall, found: DensityCoverage) -> str:
    """Quality against diversity."""
    p, r = manifold.precision, manifold.recall
    reached = found.coverage / found.expected_coverage
    if max(p, r) < _HARDLY:
        verdict = "hardly any picture of one side lies among the other's, so the two sets are apart"
    elif r * _FEW_TIMES < p:
        verdict = "quality is the lesser trouble, the fakes show only part of the variety of the reals"
    elif p * _FEW_TIMES < r:
        verdict = "variety is the lesser trouble, many fakes lie where no real is"
    elif p > 0.5 and r > 0.5 and reached >= _NEARLY:
        verdict = "the fakes lie where the reals lie, and reach about all of them"
    else:
        verdict = "neither quality nor diversity alone accounts for the difference"
    return (
        f"{p:.0%} of the fakes lie among the reals and {r:.0%} of the reals among the fakes;"
        f" {found.coverage:.0%} of the reals have a fake in their neighbourhood (fresh reals would give"
        f" {found.expected_coverage:.0%}): {verdict}."
    )


_FAINT = 0.15


def sides_against_chance(score: LeaveOneOut, test: PermutationTest | None = None) -> tuple[int, int] | None:
    """Accuracy on reals and on fakes against chance: -1 below, 0 at, 1 above; None for too few pictures to say.

    Figures within three standard deviations of chance count as chance; the deviation is the binomial one of a side,
    widened by 1.3 because neighbours are not independent. Where that reaches 0 or 1, no figure could differ from chance
    and there is no reading.

    Where both sides by themselves lie within chance, or are too few to say, but the permutation test on all pictures
    does not, the test decides.
    """
    spread = 3 * 1.3 * math.sqrt(0.25 / score.n_per_side)
    sides = None
    if spread < min(score.chance, 1 - score.chance):
        sides = (
            _against_chance(score.real_accuracy, score.chance, spread),
            _against_chance(score.fake_accuracy, score.chance, spread),
        )
    if test is not None and sides in (None, (0, 0)) and test.p_value < SIGNIFICANT:
        return (1, 1) if score.accuracy > score.chance else (-1, -1)
    return sides


def read_one_nn(score: LeaveOneOut, test: PermutationTest | None = None) -> str:
    """One plain sentence on a leave-one-out score (Xu et al. 2018, sections 4 and 5)."""
    share = (
        f"{score.accuracy:.0%} of the pictures have a nearest neighbour of their own kind (chance {score.chance:.0%}"
    )
    share += f", p = {test.p_value:.2g})" if test else ")"
    sides = sides_against_chance(score, test)
    if sides is None:
        return f"{share}: too few pictures for a reading."
    verdict = _READINGS[sides]
    furthest = max(abs(score.real_accuracy - score.chance), abs(score.fake_accuracy - score.chance))
    if sides != (0, 0) and furthest < _FAINT:
        verdict = f"faintly, {verdict}"
    return f"{share}: {verdict}."


def _against_chance(value: float, chance: float, spread: float) -> int:
    return 0 if abs(value - chance) <= spread else (1 if value > chance else -1)


# Keys: real and fake accuracy against chance, -1 below, 0 at, 1 above.
_READINGS = {
    (0, 0): "by this test the fakes cannot be told from the reals",
    (1, 1): "reals and fakes keep to themselves, so they can be told apart by quality or by how the files were made",
    (-1, -1): "fakes sit on top of reals, a sign of copied training pictures or of duplicates",
    (-1, 1): "fakes crowd together between the reals, a sign of low diversity or mode collapse",
    (
        1,
        -1,
    ): "fakes lie scattered near reals that keep to themselves, either without clumps of their own or near-copies",
    (0, 1): "fakes crowd together more than reals do, a mild sign of low diversity",
    (1, 0): "reals keep to themselves while fakes spread, so parts of the reals are not covered",
    (0, -1): "fakes lie nearer to reals than chance would have it, so look for near-copies",
    (-1, 0): "reals lie nearer to fakes than chance would have it, so the fakes are less spread than the reals",
}


def read_memorisation(score: Memorisation) -> str:
    """Whether there are more copies than pictures that were held out would give."""
    if not score.copies and not score.memorises:
        return "no fake is a near-copy of a real picture."
    counts = (
        f"{score.copies:,} of {score.n_fake:,} fakes are less than half as far from a real picture as that one is from"
        f" its nearest other real; held against one half of the reals at a time,"
        f" {score.half_copies / (2 * score.n_fake):.2%} of the fakes are so near, and of the reals of the other half"
        f" {score.held_out_copies / score.n_held_out:.2%} (p = {score.p_value:.2g})"
    )
    if score.memorises:
        return f"{counts}: the generator copies pictures of the real side."
    return f"{counts}: no more than chance, or twins among the reals, would make."


def read_duplicates(score: Duplicates) -> str:
    """Exact duplicates and leaked pictures, counted; empty where there are none."""
    found = (
        (score.leaked, f"of {score.n_fake:,} fakes equal a real picture in every feature"),
        (score.exact_in_fake, f"of {score.n_fake:,} fakes repeat an earlier fake exactly"),
        (score.exact_in_real, f"of {score.n_real:,} reals repeat an earlier real exactly"),
    )
    parts = [f"{count:,} {of}" for count, of in found if count]
    return f"{'; '.join(parts)}." if parts else ""

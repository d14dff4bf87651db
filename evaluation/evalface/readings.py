"""Scores in rows for people, and plain readings of what they say; shared by the terminal's table and the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalface.neighbours import LeaveOneOut
from evalface.report import Report


@dataclass(frozen=True)
class Row:
    """One score: its name, the number, and what it was measured on."""

    name: str
    value: str
    detail: str


def rows(report: Report) -> list[Row]:
    """All scores of a report, in the order in which they should be believed."""
    s = report.scores
    everything = f"N = {report.real.n:,} real, {report.fake.n:,} fake"
    pairs = f"N = {s.precision_recall.n_per_side:,} of each side, k = {s.precision_recall.k}"
    return [
        Row(s.frechet.name, f"{s.frechet.value:.4g}", everything),
        Row("  noise floor", f"{s.frechet.floor:.4g}", f"real half against real half, N = {s.frechet.floor_n:,} each"),
        Row("KID x 1000", f"{s.kid.value * 1e3:.4g} ± {s.kid.standard_error * 1e3:.2g}", f"unbiased; {everything}"),
        Row("precision", f"{s.precision_recall.precision:.4f}", pairs),
        Row("recall", f"{s.precision_recall.recall:.4f}", pairs),
        *_one_nn_rows("LOO-1NN, features", s.leave_one_out),
        *_one_nn_rows("LOO-1NN, raw pixels", s.leave_one_out_pixels),
    ]


def _one_nn_rows(name: str, score: LeaveOneOut) -> list[Row]:
    return [
        Row(name, f"{score.accuracy:.4f}", f"chance {score.chance:.4f}; N = {score.n_per_side:,} of each side"),
        Row("  of the reals", f"{score.real_accuracy:.4f}", "share whose nearest other picture is real"),
        Row("  of the fakes", f"{score.fake_accuracy:.4f}", "share whose nearest other picture is fake"),
    ]


_FAINT = 0.15


def sides_against_chance(score: LeaveOneOut) -> tuple[int, int] | None:
    """Accuracy on reals and on fakes against chance: -1 below, 0 at, 1 above; None for too few pictures to say.

    Figures within three standard deviations of chance count as chance; the deviation is the binomial one of a side,
    widened by 1.3 because neighbours are not independent. Where that reaches 0 or 1, no figure could differ from chance
    and there is no reading.
    """
    spread = 3 * 1.3 * math.sqrt(0.25 / score.n_per_side)
    if spread >= min(score.chance, 1 - score.chance):
        return None
    return (
        _against_chance(score.real_accuracy, score.chance, spread),
        _against_chance(score.fake_accuracy, score.chance, spread),
    )


def read_one_nn(score: LeaveOneOut) -> str:
    """One plain sentence on a leave-one-out score (Xu et al. 2018, sections 4 and 5)."""
    share = (
        f"{score.accuracy:.0%} of the pictures have a nearest neighbour of their own kind (chance {score.chance:.0%})"
    )
    sides = sides_against_chance(score)
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

"""Scores in rows for people, shared by the terminal's table and the page; what they say in words is in `readings`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalface.intervals import Interval
from evalface.one_nn import LeaveOneOut, PermutationTest
from evalface.report import Report
from evalface.score_set import Scores


@dataclass(frozen=True, kw_only=True)
class Row:
    """One score."""

    name: str
    """Indented by two blanks when it belongs to the row above."""
    value: str
    interval: str = ""
    """The 95 % interval, where there is one."""
    detail: str
    """What it was measured on."""
    meaning: str = ""
    """What the number is, in one sentence."""


def rows(report: Report) -> list[Row]:
    """All scores that a report has, in the order in which they should be believed."""
    s = report.scores
    counts = ((report.real.n, "real"), (report.fake.n, "fake"))
    everything = "N = " + ", ".join(f"{'unknown' if n is None else format(n, ',')} {name}" for n, name in counts)
    return [
        *_frechet_rows(s, everything),
        *_kid_rows(s, everything),
        *_prdc_rows(s),
        *_one_nn_rows("LOO-1NN, features", s.leave_one_out, s.leave_one_out_test),
        *_one_nn_rows("LOO-1NN, raw pixels", s.leave_one_out_pixels, s.leave_one_out_pixels_test),
        *_copy_rows(s),
    ]


def _frechet_rows(s: Scores, everything: str) -> Iterator[Row]:
    yield Row(
        name=s.frechet.name,
        value=f"{s.frechet.value:.4g}",
        interval=_interval(s.frechet.interval()),
        detail=everything,
        meaning="How far the fakes' features lie from the reals', in mean and spread. Lower is better, 0 is equal; it"
        " falls with N, so compare it at one N only.",
    )
    if s.frechet.floor is not None and s.frechet.floor_n is not None:
        yield Row(
            name="  noise floor",
            value=f"{s.frechet.floor:.4g}",
            detail=f"real against other real, N = {s.frechet.floor_n:,} each",
            meaning="What a perfect generator would score at that N.",
        )
    if (line := s.frechet_infinity) is not None:
        yield Row(
            name="  at infinite N",
            value=f"{line.value:.4g}",
            interval=_interval(line.interval()),
            detail=f"line in 1 / N through {len(line.sizes)} sizes, N = {line.sizes[0]:,} to {line.sizes[-1]:,} each",
            meaning="The distance without its bias by N (Chong and Forsyth 2020). About 0 for equal distributions.",
        )


def _kid_rows(s: Scores, everything: str) -> Iterator[Row]:
    if (kid := s.kid) is not None:
        yield Row(
            name="KID x 1000",
            value=f"{kid.value * 1e3:.4g}",
            interval=_interval(kid.interval(), 1e3),
            detail=f"unbiased; {everything}",
            meaning="A distance that does not depend on N on average. Lower is better, about 0 is equal.",
        )


def _prdc_rows(s: Scores) -> Iterator[Row]:
    if (manifold := s.precision_recall) is not None:
        pairs = f"N = {manifold.n_per_side:,} of each side, k = {manifold.k}"
        yield Row(
            name="precision",
            value=f"{manifold.precision:.4f}",
            detail=pairs,
            meaning="Share of fakes that lie among the reals: quality.",
        )
        yield Row(
            name="recall",
            value=f"{manifold.recall:.4f}",
            detail=pairs,
            meaning="Share of reals that lie among the fakes: diversity.",
        )
    if (found := s.density_coverage) is not None:
        yield Row(
            name="density",
            value=f"{found.density:.4f}",
            detail="1 is expected of equal distributions",
            meaning="How many reals lie around a fake. Above 1, fakes crowd where reals are dense.",
        )
        yield Row(
            name="coverage",
            value=f"{found.coverage:.4f}",
            detail=f"{found.expected_coverage:.4f} is expected of equal distributions",
            meaning="Share of reals that have a fake in their neighbourhood: diversity, less shaken by odd fakes.",
        )


def _one_nn_rows(name: str, score: LeaveOneOut | None, test: PermutationTest | None) -> Iterator[Row]:
    if score is None:
        return
    p = f"; p = {test.p_value:.2g}" if test else ""
    yield Row(
        name=name,
        value=f"{score.accuracy:.4f}",
        detail=f"chance {score.chance:.4f}{p}; N = {score.n_per_side:,} of each side",
        meaning="Share of pictures whose nearest other picture is of their own kind. Chance is best; 1 means that the"
        " sides can be told apart, 0 that every fake copies a real.",
    )
    yield Row(
        name="  of the reals", value=f"{score.real_accuracy:.4f}", detail="share whose nearest other picture is real"
    )
    yield Row(
        name="  of the fakes", value=f"{score.fake_accuracy:.4f}", detail="share whose nearest other picture is fake"
    )


def _copy_rows(s: Scores) -> Iterator[Row]:
    if (m := s.memorisation) is not None:
        yield Row(
            name="copies of reals",
            value=f"{m.copies:,}",
            detail=f"of {m.n_fake:,} fakes; p = {m.p_value:.2g} against reals that were held out",
            meaning="Fakes less than half as far from a real as that real is from its nearest other real.",
        )
    if (d := s.duplicates) is not None:
        for name, exact, near, of in (
            ("reals among the fakes", d.leaked, d.near_leaked, f"of {d.n_fake:,} fakes"),
            ("duplicate fakes", d.exact_in_fake, d.near_in_fake, f"of {d.n_fake:,} fakes"),
            ("duplicate reals", d.exact_in_real, d.near_in_real, f"of {d.n_real:,} reals"),
        ):
            yield Row(name=name, value=f"{exact:,}", detail=f"{of}; with near ones {near:,}")


def _interval(interval: Interval | None, scale: float = 1.0) -> str:
    return f"{interval.low * scale:.4g} to {interval.high * scale:.4g}" if interval else ""

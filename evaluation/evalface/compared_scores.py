"""One score over several reports, and whether it differs by more than noise.

The rule: two numbers differ by more than noise when their difference exceeds 1.96 times the root of the sum of both
squared standard errors. Reports that may be compared share their real pictures, which makes their errors go together
and the rule err on the side of noise. Standard errors are

- of the Frechet distance, its value at infinite N and KID: those of the reports;
- of leave-one-out accuracy: the deviation under permuted labels, which is largest near chance;
- of precision, recall, coverage and the share of copies: 1.5 times the binomial one (of (x + 1) / (n + 2), so that a
  share of 0 or 1 has one, too). In 60 draws each of 400 Gaussian fakes, in 3, 16 and 64 dimensions, narrower and
  shifted, the spread was 0.6 to 1.6 times the binomial one, most often about 1.1.

Density has none. Of many differences, one in twenty exceeds the rule by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

TIMES = 1.96
_WIDER = 1.5

Numbers = Mapping[str, Any]
"""The scores of a report.json."""
Best = Literal["low", "high", "chance", "one"]
Verdict = Literal["better", "worse", "noise", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One score of one report."""

    value: float
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One score over all runs."""

    key: str
    name: str
    best: Best
    """What is best: low, high, near the chance level, or near one."""
    figures: tuple[Figure | None, ...]
    """Of each run; None where its report does not have the score."""
    verdicts: tuple[Verdict, ...]
    """Of each run but the first, against the first. `unknown`: there is no standard error to tell noise by."""


def lines(reports: Sequence[Numbers]) -> list[Line]:
    """Every score that some report has. Raises KeyError or TypeError for damaged reports."""
    found = []
    for score in _SCORES:
        figures = tuple(score.figure(report) for report in reports)
        if any(figures):
            found.append(
                Line(
                    key=f"{score.section}.{score.field}",
                    name=score.name or str(reports[0][score.section]["name"]),
                    best=score.best,
                    figures=figures,
                    verdicts=tuple(
                        _verdict(figures[0], figure, score.badness(report))
                        for figure, report in zip(figures[1:], reports[1:], strict=True)
                    ),
                )
            )
    return found


def _share(value: float, n: int) -> float:
    shrunk = (value * n + 1) / (n + 2)
    return _WIDER * math.sqrt(shrunk * (1 - shrunk) / n)


Error = Callable[[float, Numbers, Numbers], float | None]
"""Standard error out of value, section and all scores of a report."""


def _told(value: float, section: Numbers, scores: Numbers) -> float | None:
    error: float | None = section["standard_error"]
    return error


def _unknown(value: float, section: Numbers, scores: Numbers) -> float | None:
    return None


def _of_share(*counts: str) -> Error:
    """Of a share of as many pictures as the smallest of the fields `counts`."""
    return lambda value, section, scores: _share(value, min(section[count] for count in counts))


def _permuted(test: str) -> Error:
    """Of the section `test`."""
    return lambda value, section, scores: scores[test]["deviation"]


@dataclass(frozen=True, kw_only=True)
class _Score:
    section: str
    field: str
    name: str | None
    """None: the report names it."""
    best: Best
    error: Error
    of: str | None = None
    """A field that the value is divided by."""
    times: float = 1.0
    """For people, who are shown it in the same unit elsewhere."""

    def figure(self, report: Numbers) -> Figure | None:
        section = report[self.section]
        if section is None:
            return None
        value = float(section[self.field]) / (section[self.of] if self.of else 1)
        error = self.error(value, section, report)
        return Figure(value=value * self.times, standard_error=None if error is None else error * self.times)

    def badness(self, report: Numbers) -> Callable[[float], float]:
        """How far a value is from the best, up to a constant."""
        if self.best == "chance":
            chance = float(report[self.section]["chance"]) if report[self.section] else math.nan
            return lambda value: abs(value - chance)
        return _BADNESS[self.best]


_BADNESS: dict[Best, Callable[[float], float]] = {
    "low": lambda value: value,
    "high": lambda value: -value,
    "one": lambda value: abs(value - 1),
}


def _verdict(first: Figure | None, other: Figure | None, badness: Callable[[float], float]) -> Verdict:
    if first is None or other is None or first.standard_error is None or other.standard_error is None:
        return "unknown"
    if abs(other.value - first.value) <= TIMES * math.hypot(first.standard_error, other.standard_error):
        return "noise"
    return "better" if badness(other.value) < badness(first.value) else "worse"


_SCORES = (
    _Score(section="frechet", field="value", name=None, best="low", error=_told),
    _Score(section="frechet_infinity", field="value", name="  at infinite N", best="low", error=_told),
    _Score(section="kid", field="value", name="KID x 1000", best="low", error=_told, times=1e3),
    *(
        _Score(section="precision_recall", field=name, name=name, best="high", error=_of_share("n_per_side"))
        for name in ("precision", "recall")
    ),
    _Score(section="density_coverage", field="density", name="density", best="one", error=_unknown),
    _Score(
        section="density_coverage", field="coverage", name="coverage", best="high", error=_of_share("n_real", "n_fake")
    ),
    *(
        _Score(section=section, field="accuracy", name=name, best="chance", error=_permuted(f"{section}_test"))
        for section, name in (("leave_one_out", "LOO-1NN, features"), ("leave_one_out_pixels", "LOO-1NN, raw pixels"))
    ),
    _Score(
        section="memorisation",
        field="copies",
        name="share of copies",
        best="low",
        error=_of_share("n_fake"),
        of="n_fake",
    ),
)

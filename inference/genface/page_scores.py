"""The scores that a page quotes: evalface's, of pictures that the very model of the page drew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genface.errors import UserError
from genface.score_report import read_score_report


@dataclass(frozen=True, kw_only=True)
class QuotedScore:
    """One line of the page's table."""

    score: str
    value: str


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Where a figure stands below `scores`, and how it is shown; null where a side was a file of statistics."""

    section: str
    key: str
    title: str
    form: str = "{:.2f}"
    scale: float = 1.0


_ROWS = (
    _Row(section="kid", key="value", title="KID x 1000", form="{:.3g}", scale=1e3),
    _Row(section="precision_recall", key="precision", title="precision"),
    _Row(section="precision_recall", key="recall", title="recall"),
    _Row(section="density_coverage", key="density", title="density"),
    _Row(section="density_coverage", key="coverage", title="coverage"),
    _Row(section="leave_one_out", key="accuracy", title="LOO-1NN, features (0.5 is best)"),
)


def quoted_scores(report: Path, model_sha256: str) -> list[QuotedScore]:
    """What evalface's report.json says of the model with this SHA-256.

    Raises UserError when the file is missing, damaged or something else, and when its pictures were drawn by another
    model, or nobody knows by which.
    """
    document = read_score_report(report)
    try:
        drawn_by = (document["fake"]["manifest"] or {}).get("model_sha256")
        if drawn_by != model_sha256:
            raise UserError(
                f"{report}: scores pictures of another model (SHA-256 {drawn_by or 'unknown'}, that of the page's is"
                f" {model_sha256}): draw an archive from this one and score that, or leave --report out"
            )
        return list(_quoted(document))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{report}: is damaged, it lacks or garbles {error}; score the archive again") from error


def _quoted(document: dict[str, Any]) -> Iterator[QuotedScore]:
    scores, fake, real = document["scores"], document["fake"], document["real"]
    yield QuotedScore(score=str(scores["frechet"]["name"]), value=f"{float(scores['frechet']['value']):.3g}")
    for row in _ROWS:
        if scores[row.section] is not None:
            value = float(scores[row.section][row.key]) * row.scale
            yield QuotedScore(score=row.title, value=row.form.format(value))
    cut = fake["manifest"]["truncation"]
    drawn = f"{_count(fake['n'])} drawn" + ("" if cut is None else f" (truncated at {cut:g})")
    # A distance means something beside its numbers of pictures alone.
    yield QuotedScore(score="scored on", value=f"{drawn}, {_count(real['n'])} real")


def _count(n: int | None) -> str:
    return "unknown" if n is None else f"{n:,}"

"""The page of a report on resemblance: every way's numbers, and families side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalface.page import environment
from evalface.panels import to_png
from evalface.resemblance import GOAL
from evalface.resemblance_report import HEAD, ResemblanceReport, rows

DRAWN = 24
"""Families that are shown as they come."""
_FURTHEST = 8
_FACE_PX = 128


@dataclass(frozen=True, kw_only=True)
class Face:
    """A picture of a family."""

    png: bytes
    name: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Families:
    """Rows of a first parent, its children by every way, and a second parent."""

    title: str
    explanation: str
    rows: tuple[tuple[Face, ...], ...]


def render(report: ResemblanceReport) -> str:
    """The page as HTML; every picture is inside, nothing is fetched, and no script runs."""
    pairs = len(report.photos.pairs)
    shown = [
        Families(
            title="Families",
            explanation="The first pairs as the seed draws them, not chosen.",
            rows=_families(report, range(min(DRAWN, pairs))),
        )
    ]
    for way in report.ways:
        if way.mixer is not None and pairs > DRAWN:
            shown.append(
                Families(
                    title=f"Where {way.title} fails",
                    explanation="The pairs whose child resembles both parents least: the extremes, not the rule.",
                    rows=_families(report, np.argsort(way.shares.both, kind="stable")[:_FURTHEST].tolist()),
                )
            )
    return (
        environment()
        .get_template("resemblance.html.j2")
        .render(
            report=report,
            head=HEAD,
            rows=rows(report),
            goal=GOAL,
            families=shown,
            columns=["parent", *(way.title for way in report.ways), "parent"],
            remarks=[note for note in report.notes if note not in report.warnings],
            document=json.dumps(report.document(), indent=2, ensure_ascii=False),
        )
    )


def _families(report: ResemblanceReport, pairs: Sequence[int]) -> tuple[tuple[Face, ...], ...]:
    def face(pixels: NDArray[np.uint8], name: str, caption: str) -> Face:
        return Face(png=to_png(pixels, _FACE_PX), name=name, caption=caption)

    found = []
    for at in pairs:
        first, second = (
            face(parents[at], name, "") for parents, name in zip(report.parents, report.photos.pairs[at], strict=True)
        )
        children = [
            face(
                way.children[at],
                way.title,
                f"{way.shares.first[at]:.2f} · {way.shares.second[at]:.2f}",
            )
            for way in report.ways
        ]
        found.append((first, *children, second))
    return tuple(found)

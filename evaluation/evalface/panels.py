"""The pictures of a report: unpicked samples, and those that explain the scores."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evalface.block_pass import within
from evalface.distances import Bounds
from evalface.graph import Distinct
from evalface.noteworthy import Noteworthy

SHEET_FACES = 36
PAIRS_AT_MOST = 12
_SHEET_PX = 768
_FACE_PX = 128

SideName = Literal["real", "fake"]
Read = Callable[[Sequence[int]], Sequence[NDArray[np.uint8]]]
"""Rows of a side's features -> the prepared faces behind them, uint8 [H, H, 3] each."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """One picture of a panel."""

    side: SideName
    name: str
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Item:
    """One figure of a panel: a face, or two side by side."""

    faces: tuple[Face, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Faces chosen by one rule."""

    key: str
    title: str
    explanation: str
    """The rule, for a person."""
    items: tuple[Item, ...]

    def to_list(self) -> list[dict[str, Any]]:
        """Which pictures it shows, as plain JSON types."""
        return [
            {"faces": [{"side": face.side, "name": face.name} for face in item.faces], "caption": item.caption}
            for item in self.items
        ]


@dataclass(frozen=True, kw_only=True)
class ReportPictures:
    """All pictures of a report but the t-SNE map."""

    real_sheet: bytes
    """PNG, a seeded sample of the real side as it was scored."""
    fake_sheet: bytes
    panels: tuple[Panel, ...] = ()
    """Those that have something to show."""


@dataclass(frozen=True, kw_only=True)
class SidePictures:
    """One side as panels need it."""

    names: Sequence[str]
    """Row by row of the features."""
    read: Read


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Rows of one item, with their sides, and its caption."""

    rows: tuple[tuple[SideName, int], ...]
    caption: str


_TEXTS = {
    "easiest_fakes": (
        "Fakes that are easiest to spot",
        "Farther from the nearest real than from the nearest other fake, by the largest margin.",
    ),
    "uncovered_reals": (
        "Reals that no fake reaches",
        "No fake is as near as the k-th nearest real. First those that are farthest from any fake, for their"
        " neighbourhood.",
    ),
    "copies": (
        "Fakes nearest to a real",
        "Each fake beside its nearest real. The number is their distance over that real's distance to its nearest"
        " other real; below 0.5 the fake counts as a copy. These are the extremes, not the rule.",
    ),
    "duplicate_fakes": ("Fakes that repeat each other", "Pairs of equal or nearly equal fakes, the nearest first."),
}


def sample_sheet(side: SidePictures, seed: int) -> bytes:
    """Up to 36 faces drawn by `seed`, unpicked, as PNG."""
    n = len(side.names)
    chosen = np.random.default_rng(seed).choice(n, min(SHEET_FACES, n), replace=False)
    return contact_sheet(side.read([int(i) for i in chosen]))


def choices(found: Noteworthy, duplicate_fakes: Sequence[Choice]) -> dict[str, list[Choice]]:
    """What each panel shows, by its key."""
    return {
        "easiest_fakes": [Choice(rows=(("fake", int(i)),), caption="") for i in found.easiest_fakes],
        "uncovered_reals": [Choice(rows=(("real", int(i)),), caption="") for i in found.uncovered_reals],
        "copies": [
            Choice(rows=(("fake", int(i)), ("real", int(j))), caption=f"{ratio:.2f}")
            for i, j, ratio in zip(found.copying_fakes, found.copied_reals, found.copying_ratios, strict=True)
        ][:PAIRS_AT_MOST],
        "duplicate_fakes": list(duplicate_fakes),
    }


def duplicate_pairs(
    features: NDArray[Any], rows: NDArray[np.int64], threshold: float, seed: int, at_most: int = PAIRS_AT_MOST
) -> list[Choice]:
    """Pairs of equal fakes, then of fakes nearer to each other than `threshold`; features [n, d] of fakes `rows`."""
    distinct = Distinct.of(features, seed)
    equal = []
    for picture in np.argsort(-distinct.count, kind="stable")[:at_most]:
        if distinct.count[picture] > 1:
            first, second, *_ = np.flatnonzero(distinct.group == picture)
            equal.append(_pair(rows, first, second, f"equal, {distinct.count[picture]:,} times"))
    points = features[distinct.first]
    if len(points) < 2 or len(equal) == at_most:
        return equal
    everything = slice(0, len(points))
    nearest, squared = within(points, Bounds(points, (everything,)), everything, 1).nearest()
    near: list[Choice] = []
    for i in np.argsort(squared, kind="stable"):
        if squared[i] >= threshold**2 or len(equal) + len(near) == at_most:
            break
        # Of two that are nearest to each other one pair is enough.
        if nearest[nearest[i]] != i or i < nearest[i]:
            first, second = distinct.first[i], distinct.first[nearest[i]]
            near.append(_pair(rows, first, second, f"distance {math.sqrt(squared[i]):.3g}"))
    return equal + near


def _pair(rows: NDArray[np.int64], first: Any, second: Any, caption: str) -> Choice:
    return Choice(rows=(("fake", int(rows[first])), ("fake", int(rows[second]))), caption=caption)


def panels(chosen: dict[str, list[Choice]], real: SidePictures, fake: SidePictures) -> tuple[Panel, ...]:
    """Read the chosen pictures, each once, and lay them out; panels without any are left out."""
    sides: dict[SideName, SidePictures] = {"real": real, "fake": fake}
    faces: dict[tuple[SideName, int], Face] = {}
    everyone = {place for choices in chosen.values() for choice in choices for place in choice.rows}
    for name, side in sides.items():
        wanted = sorted(row for of, row in everyone if of == name)
        for row, pixels in zip(wanted, side.read(wanted) if wanted else [], strict=True):
            faces[name, row] = Face(side=name, name=side.names[row], png=to_png(pixels, _FACE_PX))
    found = []
    for key, choices in chosen.items():
        title, explanation = _TEXTS[key]
        items = [Item(faces=tuple(faces[place] for place in c.rows), caption=c.caption) for c in choices]
        if items:
            found.append(Panel(key=key, title=title, explanation=explanation, items=tuple(items)))
    return tuple(found)


def contact_sheet(faces: Sequence[NDArray[np.uint8]]) -> bytes:
    """Square faces uint8 [H, H, 3] of one size in a nearly square grid, as PNG no wider than about 768 px."""
    columns = math.ceil(math.sqrt(len(faces)))
    size = len(faces[0])
    sheet = Image.new("RGB", (columns * size, math.ceil(len(faces) / columns) * size), "white")
    for i, face in enumerate(faces):
        sheet.paste(Image.fromarray(face), (i % columns * size, i // columns * size))
    return to_png(np.asarray(sheet), _SHEET_PX)


def to_png(pixels: NDArray[np.uint8], at_most: int) -> bytes:
    """A picture uint8 [H, W, 3] as PNG, made smaller where a side is over `at_most` px."""
    image = Image.fromarray(pixels)
    image.thumbnail((at_most, at_most), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()

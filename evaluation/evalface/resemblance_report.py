"""The report on resemblance: every number with every setting that can change it, and the faces themselves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.files import write_all_whole
from evalface.report import DOCUMENT, check_folder
from evalface.resemblance import GOAL, Mean, Resemblance, ResemblanceScores
from genface.errors import UserError

KIND = "evalface-resemblance"
SCHEMA_VERSION = 1
_PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How a mixer restores photos of persons whom it has not learned from: means over the parents, each once."""

    levels: Mean
    """Mean absolute difference, in levels of 0 to 255."""
    psnr: Mean
    """In dB."""
    ssim: Mean
    resemblance: Mean
    """Share of random faces that resemble the photo less than what it is restored to."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to make a child of two faces, and what came of it."""

    title: str
    scores: ResemblanceScores
    shares: Resemblance = field(repr=False)
    """Pair by pair."""
    kid: Mean | None
    """Kernel distance of the children's features from those of real faces: how unlike photos they are, whomever they
    resemble. None for what are photos."""
    mixer: dict[str, Any] | None
    """What mixer.json says; None for a baseline."""
    reconstruction: Reconstruction | None
    """None for a baseline."""
    children: NDArray[np.uint8] = field(repr=False)
    """uint8 [n, H, H, 3], pair by pair."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the pictures."""
        return {
            "title": self.title,
            "scores": self.scores.to_dict(),
            "kid": asdict(self.kid) if self.kid else None,
            "reconstruction": asdict(self.reconstruction) if self.reconstruction else None,
            "mixer": self.mixer,
            "shares": {"first": self.shares.first.tolist(), "second": self.shares.second.tolist()}
            | {"both": self.shares.both.tolist()},
        }


@dataclass(frozen=True, kw_only=True)
class Photos:
    """The real faces that were mixed and compared with."""

    path: str
    n: int
    """Pictures that the set has."""
    pairs: list[tuple[str, str]]
    """Names of the parents."""
    random: int
    """Faces compared with; of each pair those of its own persons are left out."""
    skipped: list[str]
    contents_sha256: str
    """Of all pictures that had a part, in the order of the set."""
    preparation: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResemblanceReport:
    """A finished score. `document` is what report.json holds; `write` adds the page."""

    ways: tuple[Way, ...]
    """Mixers in the order given, then the baselines."""
    same_person: Mean | None
    """Mean share of random faces that resemble a parent less than another photo of the same person does."""
    embedder: dict[str, Any]
    extractor: dict[str, Any]
    """Whose features `kid` is of."""
    photos: Photos
    parents: tuple[NDArray[np.uint8], NDArray[np.uint8]] = field(repr=False)
    """First and second parents, uint8 [n, H, H, 3] each."""
    settings: dict[str, Any]
    notes: list[str]
    warnings: list[str]
    """Those of `notes` that may make the numbers meaningless."""
    versions: dict[str, str]
    seconds: float
    created: str

    def document(self) -> dict[str, Any]:
        """The report as plain JSON types; the same for API, file and stdout."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "goal": GOAL,
            "ways": [way.to_dict() for way in self.ways],
            "same_person": asdict(self.same_person) if self.same_person else None,
            "embedder": self.embedder,
            "extractor": self.extractor,
            "photos": asdict(self.photos),
            "settings": self.settings,
            "notes": self.notes,
            "warnings": self.warnings,
            "versions": self.versions,
            "seconds": self.seconds,
        }

    def to_json(self) -> str:
        """`document` as text."""
        return json.dumps(self.document(), indent=2, allow_nan=False) + "\n"

    def write(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write report.json and report.html; returns the page's path. Both or none.

        Raises UserError as `check_own_folder` does, and where the disk refuses.
        """
        from evalface.resemblance_page import render

        folder = Path(folder)
        check_own_folder(folder, [self.photos.path, *(way.mixer["folder"] for way in self.ways if way.mixer)], force)
        try:
            write_all_whole(folder, {DOCUMENT: self.to_json(), _PAGE: render(self)})
        except OSError as error:
            raise UserError(f"{folder}: the report cannot be written ({error.strerror or error})") from error
        return folder / _PAGE


def check_own_folder(folder: Path, inputs: list[str], force: bool) -> None:
    """Raise UserError if a report cannot or must not be written to `folder`; see `evalface.report.check_folder`."""
    check_folder(folder, [Path(path) for path in inputs], force=force, kind=KIND)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A way as a table shows it."""

    title: str
    both: str
    interval: str
    one: str
    weaker: str
    reached: str
    kid: str
    levels: str
    psnr: str
    ssim: str
    restored: str

    @property
    def cells(self) -> list[str]:
        """In the order of `HEAD`."""
        return list(asdict(self).values())


HEAD = (
    "way",
    "both",
    "95 % interval",
    "one",
    "weaker",
    f">= {GOAL:g}",
    "KID x 1000",
    "levels",
    "PSNR",
    "SSIM",
    "restored",
)


def rows(report: ResemblanceReport) -> list[Row]:
    """One for each way; a baseline restores nothing."""
    return [_row(way) for way in report.ways]


def _row(way: Way) -> Row:
    found, restored = way.scores, way.reconstruction
    return Row(
        title=way.title,
        both=f"{found.both.value:.3f}",
        interval=f"{found.both.interval.low:.3f} to {found.both.interval.high:.3f}",
        one=f"{found.one.value:.3f}",
        weaker=f"{found.weaker.value:.3f}",
        reached=f"{found.reached.value:.1%}",
        kid=f"{1000 * way.kid.value:.1f}" if way.kid else "",
        levels=f"{restored.levels.value:.1f}" if restored else "",
        psnr=f"{restored.psnr.value:.1f}" if restored else "",
        ssim=f"{restored.ssim.value:.3f}" if restored else "",
        restored=f"{restored.resemblance.value:.3f}" if restored else "",
    )

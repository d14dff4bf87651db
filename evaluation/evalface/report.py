"""The report: every number with every setting that can change it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evalface.embedding import Embedding, to_csv, to_png
from evalface.files import write_all_whole
from evalface.kernel import KernelDistance
from evalface.neighbours import LeaveOneOut, PrecisionRecall
from genface.errors import UserError

KIND = "evalface-report"
SCHEMA_VERSION = 1
_DOCUMENT = "report.json"
_PAGE = "report.html"
_PROBE_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class SideRecord:
    """One side as it was scored."""

    path: str
    n: int
    """Pictures scored."""
    skipped: list[str]
    """Broken pictures that were left out, each with its reason."""
    contents_sha256: str
    preparation: dict[str, Any] | None
    """None: used as they are."""
    size: int
    manifest: dict[str, Any] | None
    """What the set's own manifest says as a whole (model, seed, licence ...)."""
    features_from_cache: bool


@dataclass(frozen=True, kw_only=True)
class FrechetScore:
    """The Frechet distance over all pictures of both sides."""

    name: str
    value: float
    floor: float
    """The same distance between two random halves of the real side."""
    floor_n: int
    """Pictures in each half."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All numbers of a report."""

    frechet: FrechetScore
    kid: KernelDistance
    precision_recall: PrecisionRecall
    leave_one_out: LeaveOneOut
    """In the extractor's features."""
    leave_one_out_pixels: LeaveOneOut


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished score. `document` is what report.json holds; `write` adds the page and the pictures."""

    real: SideRecord
    fake: SideRecord
    extractor: dict[str, Any]
    """Identity of the extractor, with its title."""
    scores: Scores
    settings: dict[str, Any]
    """Seed, subsample sizes, neighbours: what else can change a number."""
    notes: list[str]
    """What a person should know before believing the numbers."""
    seconds: dict[str, float]
    versions: dict[str, str]
    created: str
    embedding: Embedding | None = field(repr=False)
    real_names: list[str] = field(repr=False)
    fake_names: list[str] = field(repr=False)
    real_sheet: bytes = field(repr=False)
    """PNG, a seeded sample of the real side as it was scored."""
    fake_sheet: bytes = field(repr=False)

    def document(self) -> dict[str, Any]:
        """The report as plain JSON types; the same for API, file and stdout."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "scores": asdict(self.scores),
            "real": asdict(self.real),
            "fake": asdict(self.fake),
            "extractor": self.extractor,
            "settings": self.settings,
            "notes": self.notes,
            "versions": self.versions,
            "seconds": self.seconds,
        }

    def to_json(self) -> str:
        return json.dumps(self.document(), indent=2, allow_nan=False) + "\n"

    def write(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write report.json, report.html and, with an embedding, tsne.png and tsne.csv; returns the page's path.

        All files or none: a report that cannot be written leaves an earlier one whole. Raises UserError as
        `check_folder` does, and where the disk refuses. Files of other names are left alone.
        """
        from evalface.page import render

        folder = Path(folder)
        check_folder(folder, (Path(self.real.path), Path(self.fake.path)), force=force)
        picture = to_png(self.embedding, self.extractor["title"]) if self.embedding else None
        files: dict[str, bytes | str] = {_DOCUMENT: self.to_json(), _PAGE: render(self, picture)}
        if self.embedding and picture:
            files |= {"tsne.png": picture, "tsne.csv": to_csv(self.embedding, self.real_names, self.fake_names)}
        try:
            write_all_whole(folder, files)
            # An earlier report's picture beside these numbers would be a lie.
            for name in {"tsne.png", "tsne.csv"} - set(files):
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: the report cannot be written ({error.strerror or error})") from error
        return folder / _PAGE


def check_folder(folder: Path, sides: Sequence[Path], *, force: bool) -> None:
    """Raise UserError if a report on `sides` cannot or must not be written to `folder`; leaves no trace.

    A file, a folder that cannot be written, one inside a side, or (without `force`) one that holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder by --out")
    for side in sides:
        if folder.resolve().is_relative_to(side.resolve()):
            raise UserError(
                f"{folder}: lies inside {side}, whose next score would take the report's pictures for faces; name a"
                " folder outside of it by --out"
            )
    try:
        _try_to_write(folder)
        empty = not folder.exists() or not any(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); name another --out") from error
    if force or empty:
        return
    try:
        earlier = json.loads((folder / _DOCUMENT).read_text()).get("kind") == KIND
    except (OSError, ValueError, AttributeError):
        earlier = False
    if not earlier:
        raise UserError(f"{folder}: holds something else than an earlier report; name another --out, or add --force")


def _try_to_write(folder: Path) -> None:
    """Write a small file into `folder`, making the folder if need be, and take both away again."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.") as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()

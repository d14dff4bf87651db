"""The report: every number with every setting that can change it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evalface.embedding import Embedding, to_csv, to_png
from evalface.files import write_all_whole
from evalface.panels import ReportPictures
from evalface.readings import Reading, readings
from evalface.score_set import Scores
from genface.errors import UserError
from genface.score_report import KIND, SCHEMA_VERSION

DOCUMENT = "report.json"
_PAGE = "report.html"
_PROBE_BYTES = 4096

SideKind = Literal["pictures", "generator", "statistics"]


@dataclass(frozen=True, kw_only=True)
class SideRecord:
    """One side as it was scored. None stands for what a statistics file does not tell."""

    path: str
    kind: SideKind
    n: int | None
    """Pictures scored."""
    skipped: list[str]
    """Broken pictures that were left out, each with its reason."""
    contents_sha256: str
    """Of all pictures in their order, whatever their names; of the file itself for statistics."""
    preparation: dict[str, Any] | None
    """What was done to the pictures here; None: used as they are."""
    record: dict[str, Any] | None
    """The rule that made the faces, applied here or before, as far as anything tells it."""
    size: int | None
    manifest: dict[str, Any] | None
    """What the set's own manifest says as a whole (model, seed, licence ...)."""
    features_from_cache: bool


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
    warnings: list[str]
    """Those of `notes` that may make the numbers meaningless."""
    preflight: dict[str, Any]
    """What the files of both sides look like, beside each other."""
    seconds: dict[str, float]
    versions: dict[str, str]
    created: str
    embedding: Embedding | None = field(repr=False)
    pictures: ReportPictures | None = field(repr=False)
    """None where a side is statistics."""
    real_names: Sequence[str] = field(repr=False)
    """Of the pictures scored, row by row of the features."""
    fake_names: Sequence[str] = field(repr=False)

    @property
    def readings(self) -> list[Reading]:
        """What the scores say in words."""
        return readings(self.scores, self.real.n, self.fake.n)

    def document(self) -> dict[str, Any]:
        """The report as plain JSON types; the same for API, file and stdout."""
        panels = self.pictures.panels if self.pictures else ()
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "scores": self.scores.to_dict(),
            "readings": [asdict(reading) for reading in self.readings],
            "real": asdict(self.real),
            "fake": asdict(self.fake),
            "extractor": self.extractor,
            "settings": self.settings,
            "notes": self.notes,
            "warnings": self.warnings,
            "preflight": self.preflight,
            "pictures": {panel.key: panel.to_list() for panel in panels},
            "versions": self.versions,
            "seconds": self.seconds,
        }

    def to_json(self) -> str:
        """`document` as text."""
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
        files: dict[str, bytes | str] = {DOCUMENT: self.to_json(), _PAGE: render(self, picture)}
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


def check_folder(folder: Path, sides: Sequence[Path], *, force: bool, kind: str = KIND) -> None:
    """Raise UserError if a report of a `kind` on `sides` cannot or must not be written to `folder`; leaves no trace.

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
        earlier = json.loads((folder / DOCUMENT).read_text()).get("kind") == kind
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

"""Several reports beside each other: refused where they are not comparable, and told what exceeds the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalface.compared_scores import TIMES, Figure, Line, lines
from evalface.report import DOCUMENT
from evalface.table import print_columns
from genface.errors import UserError
from genface.score_report import KIND, SCHEMA_VERSION
from genface.strict_json import parse_json

COMPARISON_KIND = "evalface-comparison"
COMPARISON_VERSION = 1
RULE = f"more than noise: |difference| > {TIMES} sqrt(se1^2 + se2^2)"

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparable reports beside each other."""

    runs: tuple[str, ...]
    fakes: tuple[str, ...]
    """What each run scored."""
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """Differences that do not forbid the comparison."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"kind": COMPARISON_KIND, "schema_version": COMPARISON_VERSION, "rule": RULE, **asdict(self)}


def read_report(path: Path) -> Document:
    """Read a report.json, or that of a report's folder.

    Raises UserError when it is missing, damaged, or of another kind or version.
    """
    try:
        document = parse_json((path / DOCUMENT if path.is_dir() else path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); give a report.json of evalface") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise UserError(f"{path}: is no report of evalface; give the report.json that it wrote")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path}: a report of schema version {document.get('schema_version')}, this evalface compares version"
            f" {SCHEMA_VERSION}: score its pictures again"
        )
    return document


def compare(paths: Sequence[Path]) -> Comparison:
    """Hold the reports at `paths`, two or more, against the first.

    Raises UserError for less than two, for what is no report, and for reports that are not comparable; it names every
    difference.
    """
    if len(paths) < 2:
        raise UserError("a comparison needs at least two report.json files")
    documents = [read_report(path) for path in paths]
    try:
        _refuse_incomparable(paths, documents)
        return Comparison(
            runs=tuple(str(path) for path in paths),
            fakes=tuple(str(document["fake"]["path"]) for document in documents),
            lines=tuple(lines([document["scores"] for document in documents])),
            notes=tuple(_notes(paths, documents)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"one of the reports is damaged, it lacks or garbles {error}; score its pictures again"
        ) from error


# What must be equal, and what a person calls it.
_DECISIVE = {
    "extractor.name": "extractor",
    "extractor.version": "version of the extractor",
    "extractor.weights_sha256": "weights",
    "extractor.protocol": "resize protocol",
    "extractor.precision": "precision",
    "real.contents_sha256": "real set",
    "real.record": "preparation of the reals",
    "real.n": "N of the reals",
    "fake.n": "N of the fakes",
    "real.size": "size of the reals",
    "fake.size": "size of the fakes",
    "fake.preparation": "preparation of the fakes",
    "settings.neighbours_k": "k",
    "settings.neighbours_at_most": "N of the neighbour scores",
    "settings.decoding": "decoder",
    "settings.pixels": "raw pixels",
}
# What may differ, but should be known.
_WORTH_A_NOTE = {
    "settings.seed": "seed",
    "extractor.runtime": "runtime of the extractor",
    "extractor.device": "device of the extractor",
    "versions.evalface": "version of evalface",
    "versions.pillow": "version of Pillow",
    "versions.torch": "version of torch",
}


def _refuse_incomparable(paths: Sequence[Path], documents: Sequence[Document]) -> None:
    first = documents[0]
    complaints = []
    for path, document in zip(paths[1:], documents[1:], strict=True):
        found = _differences(first, document, _DECISIVE)
        if found:
            complaints.append(f"{path} is not comparable with {paths[0]}: {'; '.join(found)}")
    if complaints:
        raise UserError(f"{' | '.join(complaints)}. Score them alike to compare them")


def _notes(paths: Sequence[Path], documents: Sequence[Document]) -> list[str]:
    notes = []
    for path, document in zip(paths[1:], documents[1:], strict=True):
        if document["fake"]["contents_sha256"] == documents[0]["fake"]["contents_sha256"]:
            notes.append(f"{path} scores the same pictures as {paths[0]}")
        notes += [f"{path}: another {found}" for found in _differences(documents[0], document, _WORTH_A_NOTE)]
    return notes


def _differences(one: Document, other: Document, places: Mapping[str, str]) -> list[str]:
    found = []
    for place, name in places.items():
        ours, theirs = _or_none(one, place), _or_none(other, place)
        if ours != theirs:
            found.append(f"{name} ({_shown(ours)}, here {_shown(theirs)})")
    return found


def _or_none(document: Document, place: str) -> Any:
    """Raw pixels have no runtime: what a report has no place for counts as None."""
    section, _, key = place.partition(".")
    return document[section].get(key)


def _shown(value: Any) -> str:
    """Short enough for one line, and still telling."""
    if isinstance(value, dict):
        return " ".join(f"{key} {_shown(item)}" for key, item in value.items())
    text = "none" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 and text.isalnum() else text


def print_comparison(found: Comparison) -> None:
    """The table to stdout: a row for each score, a column for each run by its letter; the rule below it."""
    letters = [chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(len(found.runs))]
    for letter, run, fake in zip(letters, found.runs, found.fakes, strict=True):
        print(f"{letter}: {run} ({fake})")
    table = [
        [line.name, line.best, *(_cell(*cell) for cell in zip(line.figures, ("", *line.verdicts), strict=True))]
        for line in found.lines
    ]
    print_columns(["score", "best", *letters], table)
    print(f"against {letters[0]}; {RULE}, ± is one standard error")


def _cell(figure: Figure | None, verdict: str) -> str:
    if figure is None:
        return "-"
    error = "" if figure.standard_error is None else f" ± {figure.standard_error:.2g}"
    return f"{figure.value:.4g}{error} {verdict if verdict != 'unknown' else ''}".rstrip()

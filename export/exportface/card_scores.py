"""The scores that a model card quotes: evalface's, of pictures that the very file of the card drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalface.files import sha256_of
from exportface.front_matter import plain
from exportface.handin_texts import archive_section
from genface.errors import UserError
from genface.photos import Preparation


@dataclass(frozen=True, kw_only=True)
class CardScores:
    """Figures of an evaluation and what they depend on, as Markdown."""

    fakes: str
    reals: str
    features: str
    """Extractor, SHA-256 of its weights, how pictures are given to it, and its arithmetic."""
    evaluator: str
    rows: list[tuple[str, str, str]]
    """Name, value and what it was measured on."""
    readings: list[str]


def quoted_scores(document: Mapping[str, Any], model: Path) -> CardScores:
    """The figures of a report for the card of `model`.

    Raises UserError when its pictures were drawn by another file, or nobody knows by which, and when it is damaged.
    """
    try:
        fake, real, extractor = document["fake"], document["real"], document["extractor"]
        manifest = fake["manifest"] or {}
        _refuse_other_pictures(manifest.get("model_sha256"), model)
        section = archive_section(dict(document), "en", folder=Path())
        cut, prepared = manifest["truncation"], real["preparation"]
        weights = f"weights with SHA-256 {plain(extractor['weights_sha256'])}"
        return CardScores(
            fakes=f"{fake['n']:,} pictures of seed {manifest['seed']}" + (f", truncated at {cut}" if cut else ""),
            reals=f"{real['n']:,} real ones" + (f" ({Preparation.from_dict(prepared)})" if prepared else ""),
            features=", ".join([*(plain(extractor[key]) for key in ("title", "protocol", "precision")), weights]),
            evaluator=plain(document["versions"]["evalface"]),
            rows=[(plain(name), plain(value), plain(detail)) for name, value, detail in section.rows],
            readings=[plain(reading) for reading in section.readings],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the report is damaged, it lacks or garbles {error}; score the archive again") from error


def _refuse_other_pictures(drawn_by: str | None, model: Path) -> None:
    if drawn_by != (sha256 := sha256_of(model)):
        raise UserError(
            f"the report scores pictures that {model.name} did not draw (its SHA-256 is {sha256}, that of the report's"
            f" generator {drawn_by or 'unknown'}): draw an archive from it and score that, or leave the report out"
        )

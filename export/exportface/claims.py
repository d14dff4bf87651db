"""What an exported file says of itself, held against the checkpoint that it names and against what is measured now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields
from pathlib import Path
from typing import Any

import onnx

from exportface.figures import Row
from exportface.mixer_source import MixerSource
from exportface.parity import Parity
from exportface.source import Source
from exportface.style_source import StyleSource
from exportface.tolerances import Tolerance
from exportface.verified import Card
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.mixer_card import MixerCard
from genface.style_card import StyleCard

NOISE = 0.5
"""Share of what is allowed by which a stored figure may differ from a measured one: the two come from other machines
and versions, whose sums have another order."""
# Fields of every record that the checkpoint does not know.
_NOT_IN_CHECKPOINT = {"format_version", "licence", "parity"}


def require_same_checkpoint(
    model: Path,
    card: ModelCard | MixerCard | StyleCard,
    checkpoint: Path,
    source: Source | MixerSource | StyleSource,
) -> None:
    """Raise UserError where `model` was made of another checkpoint than `checkpoint`."""
    if source.sha256 != card.checkpoint_sha256:
        raise UserError(
            f"{model}: was made of the checkpoint {card.checkpoint_sha256[:12]} ({card.images_seen:,} images seen), and"
            f" {checkpoint} is {source.sha256[:12]} ({source.images_seen:,} images seen): give the one it was made of"
        )


def load_graph(model: Path, sha256: str) -> onnx.ModelProto:
    """The graph of a file that was read once already, when its SHA-256 was this. Raises UserError where it is not."""
    data = model.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{model}: was replaced while it was read; give the command again")
    return onnx.load_model_from_string(data)


def false_facts(card: Card, true: Card, *, where: str, but: Set[str] = frozenset()) -> Iterator[str]:
    """Where a record says otherwise than the one that its checkpoint gives.

    `where` it stands is for the words; `but` names further fields that the checkpoint does not know.
    """
    for name in (field.name for field in fields(card) if field.name not in _NOT_IN_CHECKPOINT | but):
        said, is_so = getattr(card, name), getattr(true, name)
        if said != is_so:
            yield f"{where}: {name} is {said!r}, in the checkpoint {is_so!r}"


def false_config(metadata: Mapping[str, str], key: str, true: str) -> Iterator[str]:
    """Where the configuration under `key` is not the checkpoint's; both are JSON."""
    try:
        config = json.loads(metadata[key])
    except (KeyError, ValueError):
        config = None
    if config != json.loads(true):
        yield f"metadata: {key} is not the configuration in the checkpoint"


def false_figures(record: Any, measured: Parity, *, where: str) -> Iterator[str]:
    """Where the figures that were stored at export differ from what is measured now by more than noise."""
    try:
        stored = Parity.from_dict(record)
    except UserError as error:
        yield f"{where}: {error}"
        return
    if abs(stored.output_std - measured.output_std) > 0.01 or not stored.output_std >= 0.0:
        yield f"stored output_std is {stored.output_std:.3f}, measured {measured.output_std:.3f}"
    before = {(row.form, row.batch): row for row in stored.rows}
    if not any((row.form, row.batch) in before for row in measured.rows):
        yield f"{where}: the stored parity figures are of none of the forms measured here"
    for row in measured.rows:
        if (old := before.get((row.form, row.batch))) is not None:
            yield from _false_row(old, row, measured.tolerances[row.form])


def _false_row(stored: Row, measured: Row, allowed: Tolerance) -> Iterator[str]:
    bounds = {
        "max_delta": allowed.max_delta,
        "p9999_delta": allowed.max_delta,
        "max_levels": max(allowed.max_levels, 2),
        "mean_levels": allowed.mean_levels,
        "identical": 1.0 - allowed.min_identical,
    }
    for name, bound in bounds.items():
        said, is_so = getattr(stored, name), getattr(measured, name)
        if not abs(said - is_so) <= NOISE * bound:
            yield f"stored {name} of {measured.form}, batch {measured.batch}, is {said:.4g}, measured {is_so:.4g}"

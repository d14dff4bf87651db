"""The proof of an exported file, repeated: its pictures, metadata and stored figures against its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import onnx

from evalface.files import sha256_of
from exportface.directions import false_directions
from exportface.export import CONFIG_KEY, PRECISION_KEY, Precision
from exportface.figures import Row
from exportface.forms import eager_form, one_thread, onnx_forms
from exportface.parity import NUM_LATENTS, Parity, measure
from exportface.source import Source, read_source
from exportface.tolerances import Tolerance
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.model import Generator, GeneratorInfo

# Fields of the record that the checkpoint does not know.
_NOT_IN_CHECKPOINT = {"format_version", "licence", "parity", "directions"}
# Stored and measured figures come from other machines and versions, whose sums have another order.
_NOISE = 0.5


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found."""

    card: ModelCard
    precision: str
    """What the file says that its weights are: fp32, fp16 or int8."""
    model_sha256: str
    """SHA-256 of the file, in hexadecimal."""
    parity: Parity
    """The file on every runtime of this machine, measured now."""
    contradictions: tuple[str, ...]
    """What the file's metadata says otherwise than its checkpoint, or than what was measured, in words."""

    @property
    def failures(self) -> list[str]:
        """Everything that is wrong, in words; empty when the file is what it says."""
        return [*self.contradictions, *self.parity.failures]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model_sha256": self.model_sha256,
            "checkpoint_sha256": self.card.checkpoint_sha256,
            "precision": self.precision,
            "parity": self.parity.to_dict(),
            "contradictions": list(self.contradictions),
            "failures": self.failures,
        }


def verify(model: Path, checkpoint: Path, say: Callable[[str], None] = lambda line: None) -> Verified:
    """Compare an exported file with the checkpoint that it names, on every runtime of this machine.

    `say` gets a line per stage. Raises UserError when either file cannot be read, when `model` is not of this project,
    when it was made of another checkpoint, and when its graph was rebuilt so that there is nothing to compare.
    """
    info = Generator(model).info
    card = info.card
    if card is None:
        raise UserError(f"{model}: was not exported by this project: it has no record of a checkpoint to compare with")
    precision = info.metadata.get(PRECISION_KEY, "fp32")
    if precision not in get_args(Precision):
        raise UserError(f"{model}: its metadata is damaged: {PRECISION_KEY} is {precision!r}; export it again")
    source = read_source(checkpoint)
    if source.sha256 != card.checkpoint_sha256:
        raise UserError(
            f"{model}: was made of the checkpoint {card.checkpoint_sha256[:12]} ({card.images_seen:,} images seen), and"
            f" {checkpoint} is {source.sha256[:12]} ({source.images_seen:,} images seen): give the one it was made of"
        )
    for name, said, is_so in (
        ("z_dim", card.z_dim, source.config.z_dim),
        ("resolution", card.resolution, source.config.size),
    ):
        if said != is_so:
            raise UserError(f"{model}: has {name} {said}, and the checkpoint that it names {is_so}: it was forged")
    graph = onnx.load(model)
    seen = _precision_of(graph)
    if sha256_of(model) != info.sha256:
        raise UserError(f"{model}: was replaced while it was read; give the command again")
    say(f"comparing {model} with PyTorch on {NUM_LATENTS:,} latents")
    with one_thread():
        try:
            # By what the graph is: a claim in the metadata must not widen the tolerance.
            sessions = onnx_forms(graph, precision=seen)
            parity = measure(
                eager_form(source.generator), sessions.forms, source.config.z_dim, refused=sessions.refused
            )
            wrong_direction = false_directions(source.generator, source.config.z_dim, card.directions)
        except UserError as error:
            raise UserError(f"{model}: {error}") from error
    return Verified(
        card=card,
        precision=precision,
        model_sha256=info.sha256,
        parity=parity,
        contradictions=(
            *_false_precision(precision, seen),
            *_false_facts(info, card, source),
            *_false_figures(card, parity),
            *(f"metadata: directions: {words}" for words in (wrong_direction,) if words),
        ),
    )


def _precision_of(graph: onnx.ModelProto) -> Precision:
    if any(node.op_type == "QuantizeLinear" for node in graph.graph.node):
        return "int8"
    halves = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.graph.initializer)
    return "fp16" if halves else "fp32"


def _false_precision(said: str, is_so: str) -> Iterator[str]:
    # A generator whose tensors are all small keeps them in fp32 when it is exported in fp16.
    if said != is_so and (said, is_so) != ("fp16", "fp32"):
        yield f"metadata: {PRECISION_KEY} is {said}, the graph is {is_so}"


def _false_facts(info: GeneratorInfo, card: ModelCard, source: Source) -> Iterator[str]:
    """Where the metadata says otherwise than the checkpoint."""
    true = source.card(licence=card.licence, parity=card.parity)
    for name in (field.name for field in fields(ModelCard) if field.name not in _NOT_IN_CHECKPOINT):
        said, is_so = getattr(card, name), getattr(true, name)
        if said != is_so:
            yield f"metadata: {name} is {said!r}, in the checkpoint {is_so!r}"
    try:
        config = json.loads(info.metadata[CONFIG_KEY])
    except (KeyError, ValueError):
        config = None
    if config != json.loads(source.config_json()):
        yield f"metadata: {CONFIG_KEY} is not the configuration in the checkpoint"


def _false_figures(card: ModelCard, measured: Parity) -> Iterator[str]:
    """Where the figures that were stored at export differ from what is measured now by more than noise."""
    try:
        stored = Parity.from_dict(card.parity)
    except UserError as error:
        yield f"metadata: {error}"
        return
    if abs(stored.output_std - measured.output_std) > 0.01 or not stored.output_std >= 0.0:
        yield f"stored output_std is {stored.output_std:.3f}, measured {measured.output_std:.3f}"
    before = {(row.form, row.batch): row for row in stored.rows}
    if not any((row.form, row.batch) in before for row in measured.rows):
        yield "metadata: the stored parity figures are of none of the forms measured here"
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
        if not abs(said - is_so) <= _NOISE * bound:
            yield f"stored {name} of {measured.form}, batch {measured.batch}, is {said:.4g}, measured {is_so:.4g}"

"""The proof of a generator's file, repeated: its pictures, metadata and stored figures against its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import onnx

from exportface.claims import false_config, false_facts, false_figures, load_graph, require_same_checkpoint
from exportface.directions import false_directions
from exportface.export import CONFIG_KEY, PRECISION_KEY, Precision
from exportface.forms import eager_form, one_thread, onnx_forms
from exportface.parity import NUM_LATENTS, Parity, measure
from exportface.report import parity_lines
from exportface.source import read_source
from exportface.verified import Verified
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.model import Generator

_METADATA = "metadata"


def verify(
    model: Path, checkpoint: Path, say: Callable[[str], None] = lambda line: None
) -> Verified[ModelCard, Parity]:
    """Compare a generator's file with the checkpoint that it names, on every runtime of this machine.

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
    require_same_checkpoint(model, card, checkpoint, source)
    for name, said, is_so in (
        ("z_dim", card.z_dim, source.config.z_dim),
        ("resolution", card.resolution, source.config.size),
    ):
        if said != is_so:
            raise UserError(f"{model}: has {name} {said}, and the checkpoint that it names {is_so}: it was forged")
    graph = load_graph(model, info.sha256)
    seen = _precision_of(graph)
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
    true = source.card(licence=card.licence, parity=card.parity)
    return Verified(
        kind="generator",
        card=card,
        model_sha256=info.sha256,
        precision=precision,
        measured=parity,
        figures=tuple(parity_lines(parity)),
        contradictions=(
            *_false_precision(precision, seen),
            *false_facts(card, true, where=_METADATA, but={"directions"}),
            *false_config(info.metadata, CONFIG_KEY, source.config_json()),
            *false_figures(card.parity, parity, where=_METADATA),
            *(f"{_METADATA}: directions: {words}" for words in (wrong_direction,) if words),
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
        yield f"{_METADATA}: {PRECISION_KEY} is {said}, the graph is {is_so}"

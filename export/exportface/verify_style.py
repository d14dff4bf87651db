"""The proof of a style file, repeated: its pictures, metadata and stored figures against its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx

from exportface import style_graph
from exportface.claims import NOISE, false_config, false_facts, false_figures, load_graph, require_same_checkpoint
from exportface.export import CONFIG_KEY
from exportface.forms import one_thread
from exportface.style_export import card_of, config_json
from exportface.style_parity import (
    NORMS_ALLOWED,
    StyleParity,
    eager_form,
    measure,
    onnx_form,
    reopened,
    seen_by_a_user,
)
from exportface.style_source import StyleSource, read_style
from exportface.system_report import style_lines
from exportface.verified import Verified
from genface.errors import UserError
from genface.style_card import StyleCard
from genface.stylizer import Stylizer

_METADATA = "metadata"


def verify_style(
    model: Path, checkpoint: Path, say: Callable[[str], None] = lambda line: None
) -> Verified[StyleCard, StyleParity]:
    """Compare a style file with the checkpoint that it names, on photos of two sizes, by every style.

    `say` gets a line per stage. Raises UserError when either file cannot be read, when `model` is no style file or was
    made of another checkpoint, and when its graph was rebuilt so that there is nothing to compare.
    """
    stylizer = Stylizer(model)
    card = stylizer.card
    source = read_style(checkpoint)
    require_same_checkpoint(model, card, checkpoint, source)
    graph = load_graph(model, stylizer.sha256)
    _require_sides(model, graph, source)
    say(f"comparing {model} with PyTorch, by every style")
    deployable = style_graph.DeployableStylizer(source.stylizer)
    with one_thread():
        try:
            norms = style_graph.norm_count(source.stylizer)
            form = onnx_form(reopened(graph))
            parity = measure(eager_form(deployable), form, styles=len(source.styles), norms=norms)
            drawn_otherwise = seen_by_a_user(stylizer, deployable)
        except UserError as error:
            raise UserError(f"{model}: {error}") from error
    true = card_of(source, licence=card.licence, parity=card.parity)
    return Verified(
        kind="style",
        card=card,
        model_sha256=stylizer.sha256,
        measured=parity,
        figures=tuple(style_lines(parity)),
        contradictions=(
            *false_facts(card, true, where=_METADATA),
            *false_config({prop.key: prop.value for prop in graph.metadata_props}, CONFIG_KEY, config_json(source)),
            *_false_figures(card.parity, parity),
            *drawn_otherwise,
        ),
    )


def _require_sides(model: Path, graph: onnx.ModelProto, source: StyleSource) -> None:
    """Raise UserError for a graph of other styles or other norms than the checkpoint's network has."""
    sides = {port.name: port.type.tensor_type.shape.dim[-1].dim_value for port in graph.graph.input}
    for name, is_so in (
        (style_graph.WEIGHTS, len(source.styles) + 1),
        (style_graph.NORMS, style_graph.norm_count(source.stylizer)),
    ):
        if sides.get(name) != is_so:
            raise UserError(
                f"{model}: takes {sides.get(name)} {name}, and the network in the checkpoint that it names {is_so}: it"
                " was forged"
            )


def _false_figures(record: dict[str, Any], measured: StyleParity) -> Iterator[str]:
    yield from false_figures(record.get("pictures"), measured.pictures, where=_METADATA)
    said = record.get("norms_delta")
    if not isinstance(said, float) or not math.isfinite(said):
        yield f"{_METADATA}: its parity figures are damaged (norms_delta): export it again"
    elif not abs(said - measured.norms_delta) <= NOISE * NORMS_ALLOWED:
        yield f"stored norms_delta is {said:.3g}, measured {measured.norms_delta:.3g}"

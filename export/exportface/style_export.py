"""From the checkpoint of a stylizer to the file for `genface stylize`: rebuild, export, prove, and only then write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exportface import style_graph
from exportface.export import CONFIG_KEY, Say, versions
from exportface.forms import one_thread
from exportface.mismatch import MismatchError
from exportface.source import utf8
from exportface.staging import check_target, staged, write_staged
from exportface.style_parity import SIZES, StyleParity, eager_form, measure, onnx_form, seen_by_a_user
from exportface.style_source import StyleSource, read_style
from exportface.system_report import style_lines
from exportface.to_onnx import with_props
from genface.errors import UserError
from genface.style_card import StyleCard
from genface.stylizer import Stylizer


@dataclass(frozen=True, kw_only=True)
class ExportedStyle:
    """What was written."""

    card: StyleCard
    parity: StyleParity
    bytes: int


def export_style(
    checkpoint: Path,
    out: Path,
    *,
    licence: str,
    force: bool = False,
    say: Say = lambda line: None,
) -> ExportedStyle:
    """Export the averaged stylizer of `checkpoint` to the ONNX file `out`. `say` gets a line per stage.

    Raises UserError for what is given wrongly, MismatchError when the graph differs from the network; in both cases no
    file is left behind.
    """
    if not licence.strip():
        raise UserError("the licence is empty: name one, or say that it is unknown")
    check_target(out, force=force, inputs=[checkpoint])
    with staged([out], force=force) as (temporary,), one_thread():
        source = read_style(checkpoint)
        say("exporting to ONNX")
        deployable = style_graph.DeployableStylizer(source.stylizer)
        model = style_graph.with_floats(deployable)

        sizes = " and ".join(f"{width}x{height}" for height, width in SIZES)
        say(f"comparing it with PyTorch on photos of {sizes} px, by every style")
        norms = style_graph.norm_count(source.stylizer)
        parity = measure(eager_form(deployable), onnx_form(model), styles=len(source.styles), norms=norms)
        _require(parity.failures, parity)

        card = card_of(source, licence=utf8(licence), parity=parity.to_dict() | versions())
        props = card.to_props() | {CONFIG_KEY: config_json(source)}
        shipped = with_props(style_graph.as_shipped(model), props).SerializeToString()
        write_staged(temporary, shipped, out)
        stylizer = Stylizer(temporary)
        assert stylizer.card == card, "the record is read as it was written"
        _require(seen_by_a_user(stylizer, deployable), parity)
    return ExportedStyle(card=card, parity=parity, bytes=len(shipped))


def card_of(source: StyleSource, *, licence: str, parity: dict[str, Any]) -> StyleCard:
    """The record of a file that was made of a checkpoint."""
    return StyleCard(
        styles=source.styles,
        margin=source.stylizer.reach,
        stride=style_graph.stride(source.stylizer),
        training_size=source.config.size,
        dataset=source.dataset,
        licence=licence,
        images_seen=source.images_seen,
        features=source.features,
        checkpoint_sha256=source.sha256,
        parity=parity,
    )


def config_json(source: StyleSource) -> str:
    """The whole configuration of the run, for the exported file's metadata."""
    return json.dumps(source.config.to_dict(), sort_keys=True)


def _require(failures: list[str], parity: StyleParity) -> None:
    if failures:
        raise MismatchError(failures, style_lines(parity))

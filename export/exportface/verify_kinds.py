"""`exportface verify`: the proof of whatever exportface made, by what that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from exportface.verified import Kind, Verified
from exportface.verify import verify
from exportface.verify_mixer import verify_mixer
from exportface.verify_style import verify_style
from genface.errors import UserError
from genface.metadata import PREFIX
from genface.mixer_card import CARD_NAME
from genface.model_file import read_model
from genface.style_card import KEY as STYLE_KEY


def verify_any(
    model: Path,
    checkpoint: Path,
    *,
    embedder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Verified[Any, Any]:
    """Compare what exportface made with the checkpoint that it names: a generator's file, a mixer's folder, a style.

    `embedder` is for a mixer alone; see `verify_mixer`. `say` gets a line per stage. Raises UserError for what is of
    none of these kinds, for a checkpoint of another kind or another run, and as the proof of its kind does.
    """
    kind = _kind_of(model)
    if kind == "mixer":
        return verify_mixer(model, checkpoint, embedder=embedder, say=say)
    if embedder is not None:
        raise UserError(f"--embedder {embedder}: {model} is no mixer; leave the option out")
    return (verify_style if kind == "style" else verify)(model, checkpoint, say)


def _kind_of(model: Path) -> Kind:
    """By the record that a folder or a file holds. Raises UserError where there is none to be found."""
    if model.is_dir():
        if (model / CARD_NAME).is_file():
            return "mixer"
        raise UserError(
            f"{model}: is a folder without {CARD_NAME}; give an .onnx file, or the whole folder that exportface mixer"
            " has written"
        )
    keys = _metadata_keys(read_model(model))
    if STYLE_KEY in keys:
        return "style"
    if (model.parent / CARD_NAME).is_file() and PREFIX + "format_version" not in keys:
        raise UserError(f"{model}: is a part of a mixer; give its folder, {model.parent}")
    return "generator"


def _metadata_keys(graph: bytes) -> set[str]:
    """Of a damaged file there are none: what is wrong with it, the proof of a generator says."""
    try:
        return {prop.key for prop in onnx.load_model_from_string(graph).metadata_props}
    except Exception:
        # protobuf raises classes of its own, by the implementation that is installed.
        return set()

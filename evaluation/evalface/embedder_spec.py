"""How faces reach an embedder: what its file says in its metadata and by its graph, and what a person adds to that."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from genface.contract import Port, known, listed
from genface.errors import UserError
from genface.strict_json import parse_json

if TYPE_CHECKING:
    import onnx

METADATA_KEY = "genface.embedder"
"""Entry of an ONNX file's `metadata_props`: a JSON record with any of size, range or mean and std, layout, title."""

Layout = Literal["NCHW", "NHWC"]
Triple = tuple[float, float, float]

_DEFAULT_RANGE = "-1:1"
_MAX_SIDE = 1024
_KNOWN = {"size", "range", "mean", "std", "layout", "title"}
_CHANNELS_AT: Mapping[Layout, int] = {"NCHW": 1, "NHWC": 3}
_SIDES_AT: Mapping[Layout, tuple[int, int]] = {"NCHW": (2, 3), "NHWC": (1, 2)}


@dataclass(frozen=True, kw_only=True)
class EmbedderSpec:
    """What an embedder takes and gives. Its input is (level - mean) / std of RGB levels, 0 to 255, by channel."""

    input_name: str
    output_name: str
    layout: Layout
    size: int
    """Side of the picture that it takes, in pixels."""
    mean: Triple
    std: Triple
    batch: int | None
    """Pictures that it takes at a time; None where any number goes."""
    title: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides what it is shown, in plain JSON types."""
        return {"size": self.size, "layout": self.layout, "mean": list(self.mean), "std": list(self.std)}


def read_spec(
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    metadata: Mapping[str, str],
    *,
    size: int | None = None,
    value_range: str | None = None,
) -> EmbedderSpec:
    """Read what an embedder takes from its graph, its metadata and a person's answers, in this order of trust.

    Args:
        inputs: of the graph: one, float32 [N, 3, H, W] or [N, H, W, 3] with H = W.
        outputs: of the graph: one, float32 [N, D] or [N, D, 1, 1].
        metadata: of the file; `METADATA_KEY` is read.
        size: side of its input, where the graph leaves it open and the metadata do not say.
        value_range: `LOW:HIGH`, what levels 0 and 255 are to it, where the metadata do not say; -1:1 unless given.

    Raises:
        UserError: for other inputs or outputs, damaged metadata, what is missing, and answers that contradict the file.
    """
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise UserError(
            f"takes {listed(inputs)}; an embedder takes one picture input, float32 [N, 3, H, W] or [N, H, W, 3]"
        )
    if len(outputs) != 1 or outputs[0].type != "tensor(float)" or len(outputs[0].shape) not in (0, 2, 4):
        raise UserError(f"gives {listed(outputs)}; an embedder gives one float32 [N, D] or [N, D, 1, 1]")
    record = _record(metadata)
    shape = [known(side) for side in inputs[0].shape]
    layout = _layout(inputs, shape, record.get("layout"))
    mean, std = _normalisation(record, value_range)
    return EmbedderSpec(
        input_name=inputs[0].name,
        output_name=outputs[0].name,
        layout=layout,
        size=_size([shape[at] for at in _SIDES_AT[layout]], record.get("size"), size),
        mean=mean,
        std=std,
        batch=shape[0],
        title=record.get("title"),
    )


def spec_of(metadata_text: str) -> dict[str, Any]:
    """The record that stands in a file's metadata under `METADATA_KEY`. Raises UserError where it is damaged."""
    try:
        record = parse_json(metadata_text)
    except ValueError as error:
        raise UserError(f"its metadata {METADATA_KEY!r} are not valid JSON ({error})") from None
    if not isinstance(record, dict) or not set(record) <= _KNOWN:
        raise UserError(
            f"its metadata {METADATA_KEY!r} must be a record of {', '.join(sorted(_KNOWN))}; not {record!r}"
        )
    if "range" in record and {"mean", "std"} & set(record):
        raise UserError(f"its metadata {METADATA_KEY!r} give a range as well as mean or std: one of them")
    if ("mean" in record) != ("std" in record):
        raise UserError(f"its metadata {METADATA_KEY!r} give one of mean and std: give both")
    if not isinstance(record.get("title", ""), str):
        raise UserError(f"its metadata {METADATA_KEY!r} give a title that is no text: {record['title']!r}")
    return record


def embedder_file(model: onnx.ModelProto, record: Mapping[str, Any], **entries: str) -> bytes:
    """The bytes of a graph that says of itself what an embedder's must: `record`, as `METADATA_KEY` tells it."""
    from onnx import helper

    text = json.dumps(dict(record))
    spec_of(text)
    helper.set_model_props(model, {METADATA_KEY: text, **entries})
    data: bytes = model.SerializeToString()
    return data


def _record(metadata: Mapping[str, str]) -> dict[str, Any]:
    return spec_of(metadata[METADATA_KEY]) if METADATA_KEY in metadata else {}


def _layout(inputs: Sequence[Port], shape: Sequence[int | None], said: object) -> Layout:
    """What the metadata say, where the graph leaves it possible; else where the graph has its three channels."""
    if said is not None and said not in _CHANNELS_AT:
        raise UserError(f"its metadata {METADATA_KEY!r} give the layout {said!r}; there are: {', '.join(_CHANNELS_AT)}")
    for layout, at in _CHANNELS_AT.items():
        if (said is None and shape[at] == 3) or (said == layout and shape[at] in (3, None)):
            return layout
    told = "" if said is None else f", which its metadata call {said}"
    raise UserError(f"takes {listed(inputs)}{told}; pictures are [N, 3, H, W] or [N, H, W, 3]")


def _size(sides: Sequence[int | None], said: object, asked: int | None) -> int:
    fixed = {side for side in sides if side is not None}
    if len(fixed) > 1:
        raise UserError(f"takes pictures of {sides[1]}x{sides[0]}; faces are square")
    if said is not None and (isinstance(said, bool) or not isinstance(said, int)):
        raise UserError(f"its metadata {METADATA_KEY!r} give the size {said!r}, which is no whole number")
    answers = [*fixed, *(answer for answer in (said, asked) if isinstance(answer, int))]
    if not answers:
        raise UserError("leaves the size of its pictures open: say it by --embedder-size")
    if len(set(answers)) > 1:
        raise UserError(f"takes pictures of {answers[0]} px, not of {answers[-1]} px: leave --embedder-size out")
    if not 8 <= answers[0] <= _MAX_SIDE:
        raise UserError(f"its pictures must have from 8 to {_MAX_SIDE:,} px, not {answers[0]}")
    return answers[0]


def _normalisation(record: Mapping[str, Any], asked: str | None) -> tuple[Triple, Triple]:
    """Mean and deviation in levels."""
    if "mean" in record:
        mean, std = _triple(record["mean"], "mean"), _triple(record["std"], "std")
        if min(std) <= 0:
            raise UserError(f"its metadata {METADATA_KEY!r} give the std {list(std)}; deviations are above 0")
        if asked is not None:
            raise UserError(f"--embedder-range {asked} contradicts its metadata, which give mean and std: leave it out")
        return mean, std
    said = record.get("range")
    low, high = parse_range(_DEFAULT_RANGE if said is None and asked is None else asked if said is None else said)
    if said is not None and asked is not None and parse_range(asked) != (low, high):
        raise UserError(f"--embedder-range {asked} contradicts its metadata, which say {said}: leave it out")
    step = 255 / (high - low)
    return (0 - low * step,) * 3, (step,) * 3


def parse_range(text: object) -> tuple[float, float]:
    """`LOW:HIGH` as two numbers, the first one below the second. Raises UserError for anything else."""
    parts = text.split(":") if isinstance(text, str) else []
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"a range of values is LOW:HIGH, like -1:1, 0:1 or 0:255; not {text!r}")
    return low, high


def _triple(values: Any, name: str) -> Triple:
    fits = isinstance(values, list) and len(values) == 3
    if not fits or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise UserError(f"its metadata {METADATA_KEY!r} give the {name} {values!r}; it is three numbers, in levels")
    red, green, blue = (float(value) for value in values)
    return red, green, blue

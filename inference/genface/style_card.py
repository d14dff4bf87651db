"""What style.onnx says about itself: the keys of its `metadata_props`, written by exportface, read by genface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from genface.errors import UserError
from genface.json_fields import field, positive
from genface.strict_json import parse_json

KEY = "genface.style"
"""The one metadata property that holds the record, as JSON."""
FORMAT_VERSION = 1

_MAX_PIXELS = 4096


@dataclass(frozen=True, kw_only=True)
class StyleCard:
    """The record inside style.onnx."""

    styles: tuple[str, ...]
    """Names of the styles 1 to K; style 0 is the photo itself."""
    margin: int
    """Pixels around a pixel that can reach it through the network (the radius of its receptive field): what tiles of a
    large photo overlap by on each side."""
    stride: int
    """Product of the strides: places of tiles are multiples of it, so that their coarse grids lie on one another."""
    training_size: int
    """Side of the training pictures in pixels; strokes are of a size that fits such pictures."""
    dataset: str
    licence: str
    """Of the weights, and of the data set and the paintings where it binds."""
    images_seen: int
    """Photos shown in training (`cur_nimg`)."""
    features: str
    """The network whose features measured content and style, e.g. `vgg19`."""
    checkpoint_sha256: str
    parity: dict[str, Any]
    """How far the graph is from the checkpoint's network, as measured at export."""

    def to_props(self) -> dict[str, str]:
        """The record as ONNX metadata."""
        record = {"format_version": FORMAT_VERSION} | asdict(self)
        return {KEY: json.dumps(record, sort_keys=True, allow_nan=False)}

    @classmethod
    def from_props(cls, props: Mapping[str, str]) -> StyleCard:
        """Read the record. Raises UserError when there is none, or it is of a newer version, incomplete or damaged.

        Unknown keys are left alone.
        """
        if KEY not in props:
            raise UserError("is no style file: its metadata has no genface.style; exportface style makes one")
        try:
            record = parse_json(props[KEY])
        except ValueError as error:
            raise UserError(f"its metadata is damaged: {KEY} is no JSON ({error})") from None
        if not isinstance(record, dict):
            raise UserError(f"its metadata is damaged: {KEY} is no record")
        try:
            return cls._from_record(record)
        except UserError as error:
            raise UserError(f"its metadata {KEY} {error}") from error

    @classmethod
    def _from_record(cls, record: Mapping[str, Any]) -> StyleCard:
        version = field(record, "format_version", int)
        if version > FORMAT_VERSION:
            raise UserError(f"has format version {version}, newer than {FORMAT_VERSION}: update genface")
        styles = field(record, "styles", list)
        if not styles or not all(isinstance(name, str) and name for name in styles) or len(set(styles)) < len(styles):
            raise UserError(f"is damaged: its 'styles' are {styles!r}, not names that differ")
        return cls(
            styles=tuple(styles),
            margin=positive(record, "margin", _MAX_PIXELS),
            stride=positive(record, "stride", _MAX_PIXELS),
            training_size=positive(record, "training_size", _MAX_PIXELS),
            dataset=field(record, "dataset", str),
            licence=field(record, "licence", str),
            images_seen=field(record, "images_seen", int),
            features=field(record, "features", str),
            checkpoint_sha256=field(record, "checkpoint_sha256", str),
            parity=field(record, "parity", dict),
        )

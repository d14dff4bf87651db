"""What gen.onnx says about itself: the keys of its `metadata_props`, written by exportface, read by genface."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from genface.errors import UserError
from genface.photos import Preparation
from genface.strict_json import parse_json

PREFIX = "genface."
FORMAT_VERSION = 1

_UNIT_SLACK = 1e-3
"""In the length of a direction, whose numbers are rounded to six decimals."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The record inside gen.onnx, one metadata property per field, each key with the prefix `genface.`."""

    format_version: int = FORMAT_VERSION
    """Version of this record; a reader refuses a newer one."""
    architecture: str
    """Name of the generator's network, e.g. `dcgan`."""
    resolution: int
    """Side of a generated picture in pixels."""
    z_dim: int
    """Length of a latent vector."""
    preparation: Preparation
    """How the photos were prepared that the generator learned from."""
    dataset: str
    """Name of the data set."""
    images_seen: int
    """Real images shown in training (`cur_nimg`)."""
    licence: str
    """Licence of the weights, and of the data set where it binds."""
    checkpoint_sha256: str
    """SHA-256 of the checkpoint that was exported, in hexadecimal."""
    parity: dict[str, Any]
    """How far the exported graph is from the checkpoint's network, as measured at export."""
    directions: tuple[tuple[float, ...], ...] = ()
    """Unit vectors of z_dim numbers along which pictures change most, the most important first; older files have none.
    """

    def to_props(self) -> dict[str, str]:
        """The record as ONNX metadata: text as it is, numbers in decimal, records as JSON; without what is empty."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"preparation": self.preparation.to_dict()}
        if not self.directions:
            del values["directions"]
        return {PREFIX + name: value if isinstance(value, str) else _to_json(value) for name, value in values.items()}

    @classmethod
    def from_props(cls, props: Mapping[str, str]) -> ModelCard | None:
        """Read the record; None for a generator that this project did not export.

        Raises UserError when the record is of a newer version, incomplete or damaged. Unknown keys are left alone.
        """
        if PREFIX + "format_version" not in props:
            return None
        version = _whole_number(props, "format_version")
        if version > FORMAT_VERSION:
            raise UserError(f"its metadata has format version {version}, newer than {FORMAT_VERSION}: update genface")
        z_dim = _whole_number(props, "z_dim")
        return cls(
            format_version=version,
            architecture=_text(props, "architecture"),
            resolution=_whole_number(props, "resolution"),
            z_dim=z_dim,
            preparation=Preparation.from_dict(_record(props, "preparation")),
            dataset=_text(props, "dataset"),
            images_seen=_whole_number(props, "images_seen"),
            licence=_text(props, "licence"),
            checkpoint_sha256=_text(props, "checkpoint_sha256"),
            parity=_record(props, "parity"),
            directions=_directions(props, z_dim),
        )


def _to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _text(props: Mapping[str, str], name: str) -> str:
    try:
        return props[PREFIX + name]
    except KeyError:
        raise UserError(f"its metadata lacks {PREFIX}{name}: export it again") from None


def _whole_number(props: Mapping[str, str], name: str) -> int:
    text = _text(props, name)
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"its metadata is damaged: {PREFIX}{name} is {text!r}, not a whole number")
    return int(text)


def _record(props: Mapping[str, str], name: str) -> dict[str, Any]:
    text = _text(props, name)
    try:
        record = parse_json(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise UserError(f"its metadata is damaged: {PREFIX}{name} is {text!r}, not a JSON object")
    return record


def _directions(props: Mapping[str, str], z_dim: int) -> tuple[tuple[float, ...], ...]:
    name = PREFIX + "directions"
    try:
        directions = parse_json(props.get(name, "[]"))
    except ValueError:
        directions = None
    if not (isinstance(directions, list) and all(_is_unit_vector(one, z_dim) for one in directions)):
        raise UserError(
            f"its metadata is damaged: {name} is no list of unit vectors of {z_dim} numbers; export it again"
        )
    return tuple(tuple(direction) for direction in directions)


def _is_unit_vector(value: object, length: int) -> bool:
    if not (isinstance(value, list) and len(value) == length and all(isinstance(number, float) for number in value)):
        return False
    return abs(math.hypot(*value) - 1.0) <= _UNIT_SLACK

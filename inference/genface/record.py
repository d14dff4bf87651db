"""What the manifest of a drawn archive says of its pictures; read with suspicion, since it may come from a stranger."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from genface.archive import FORMAT_VERSION, KIND, PictureNames, shard_indices
from genface.encode import PictureFormat
from genface.errors import UserError
from genface.latents import MAX_INDEX, MAX_SEED
from genface.provenance import origin
from genface.sources import MANIFEST

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class DrawingRecord:
    """Everything that is needed to draw an archive's pictures again."""

    model_sha256: str
    seed: int | None
    """None where the latents were given (`latents_sha256`)."""
    truncation: float | None
    latents_sha256: str | None = None
    inputs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """A foreign graph's further inputs."""
    answers: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    """What else was said of a foreign graph: arguments of `Generator` by their names."""
    n: int
    shard: tuple[int, int] | None = None
    """(k, K): part k of K, counted from 1; None for the whole."""
    picture_format: PictureFormat
    height: int
    width: int
    marked: bool
    provider: str
    precision: str
    versions: Mapping[str, str]

    @property
    def indices(self) -> range:
        """The pictures that the archive holds."""
        return shard_indices(self.n, *(self.shard or (1, 1)))

    @property
    def names(self) -> PictureNames:
        """Their names, in this order."""
        return PictureNames(self.indices, self.picture_format.ending)

    def origin(self, index: int) -> dict[str, str]:
        """The texts that picture `index` carries; none when the archive is unmarked."""
        if not self.marked:
            return {}
        return origin(
            model_sha256=self.model_sha256,
            seed=self.seed,
            index=index,
            truncation=self.truncation,
            latents_sha256=self.latents_sha256,
            inputs=self.inputs,
        )


def read_record(manifest: Mapping[str, Any] | None, path: Path) -> DrawingRecord:
    """Read the manifest of the archive `path`.

    The fields that archives of genface 0.1.0 do not have (`latents_sha256`, `inputs`, `shard`, `image_options`) may be
    missing. Raises UserError, naming the archive and the field, when there is no manifest, when it is another kind's or
    a newer version's, and when a field is missing or holds what it cannot.
    """
    if manifest is None:
        raise UserError(f"{path}: has no {MANIFEST} of genface; only what genface has drawn can be drawn again")
    if manifest.get("kind") != KIND:
        raise UserError(f"{path}: its {MANIFEST} says {_shown(manifest.get('kind'))}, not {KIND!r}")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: its {MANIFEST} is of format {_shown(manifest.get('format_version'))}, this genface reads"
            f" {FORMAT_VERSION}"
        )
    complete = {**_LATER_FIELDS, **manifest}
    for name, (is_valid, what) in _FIELDS.items():
        if name not in complete:
            raise UserError(f"{path}: its {MANIFEST} lacks {name}")
        if not is_valid(complete[name]):
            raise UserError(f"{path}: {name} in its {MANIFEST} must be {what}, not {_shown(complete[name])}")
    values = {name: complete[name] for name in _FIELDS if name not in ("shard", "image_format", "image_options")}
    try:
        picture_format = PictureFormat.from_manifest(complete["image_format"], complete["image_options"])
    except UserError as error:
        raise UserError(f"{path}: image_format or image_options in its {MANIFEST}: {error}") from error
    if values["seed"] is None and values["latents_sha256"] is None:
        raise UserError(f"{path}: its {MANIFEST} gives neither a seed nor a latents_sha256")
    shard = complete["shard"]
    if shard is not None and shard[1] > values["n"]:
        raise UserError(f"{path}: shard in its {MANIFEST} cuts {values['n']} pictures into {shard[1]} parts")
    return DrawingRecord(**values, shard=tuple(shard) if shard else None, picture_format=picture_format)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_truncation(value: Any) -> bool:
    return value is None or (_is_number(value) and not isinstance(value, bool) and value > 0)


def _is_shard(value: Any) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, list)
        and len(value) == 2
        and _is_int(value[1], 1, MAX_INDEX)
        and _is_int(value[0], 1, value[1])
    )


def _is_table(value: Any, is_entry: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(_is_name(key) and is_entry(entry) for key, entry in value.items())


def _are_answers(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_int(answer, 1, MAX_INDEX) if name == "z_dim" else name in _NAMED_ANSWERS and _is_name(answer)
        for name, answer in value.items()
    )


_NAMED_ANSWERS = {"latent", "output", "value_range"}
_LATER_FIELDS: dict[str, Any] = {
    "latents_sha256": None,
    "inputs": {},
    "answers": {},
    "shard": None,
    "image_options": {},
}

# Each field with what it may hold, in a test and in words.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model_sha256": (_is_hash, "64 hexadecimal digits"),
    "seed": (lambda value: value is None or _is_int(value, 0, MAX_SEED), "a whole number from 0 to 2^64 - 1"),
    "truncation": (_is_truncation, "a number above 0 or null"),
    "latents_sha256": (lambda value: value is None or _is_hash(value), "64 hexadecimal digits or null"),
    "inputs": (lambda value: _is_table(value, _is_number), "an object of numbers"),
    "answers": (_are_answers, "an object of latent, z_dim, output and value_range"),
    "n": (lambda value: _is_int(value, 1, MAX_INDEX), "a whole number from 1 to 2^63 - 1"),
    "shard": (_is_shard, "[k, K] with 1 <= k <= K, or null"),
    "image_format": (lambda value: isinstance(value, str), "a name"),
    "image_options": (lambda value: isinstance(value, dict), "an object"),
    "height": (lambda value: _is_int(value, 1, 1 << 16), "a number of pixels"),
    "width": (lambda value: _is_int(value, 1, 1 << 16), "a number of pixels"),
    "marked": (lambda value: isinstance(value, bool), "true or false"),
    "provider": (_is_name, "a name"),
    "precision": (_is_name, "a name"),
    "versions": (lambda value: _is_table(value, _is_name), "an object of names"),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""What mixer.json says of a mixer: written by exportface beside encoder.onnx and decoder.onnx, read by genface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from genface.errors import UserError
from genface.json_fields import field, one_of, positive
from genface.mixing import Mixing
from genface.photos import Preparation

KIND = "genface-mixer"
FORMAT_VERSION = 1
CARD_NAME = "mixer.json"

Method = Literal["autoencoder", "embedding", "gan"]
"""Where codes come from: an encoder that was trained with the decoder, a face recogniser, or an encoder into the latent
space of a generator."""

_MAX_CODE_DIM = 1 << 16
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class GraphFile:
    """One ONNX file of the folder."""

    file: str
    """Its plain name."""
    sha256: str
    """SHA-256 of its bytes, in hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class MixerCard:
    """The record of a mixer folder."""

    method: Method
    mixing: Mixing
    """The rule by which codes are mixed."""
    size: int
    """Side of a photo and of a picture, in pixels."""
    code_dim: int
    """Numbers in a code."""
    preparation: Preparation
    """How the training photos were cut, and so how a photo must be."""
    dataset: str
    licence: str
    """Of the weights, and of the data set where it binds."""
    images_seen: int
    """Real photos shown in training (`cur_nimg`)."""
    checkpoint_sha256: str
    encoder: GraphFile
    """Takes `photos`, uint8 [N, size, size, 3]; gives `codes`, float32 [N, code_dim]."""
    decoder: GraphFile
    """Takes `codes`, float32 [N, code_dim]; gives `images`, uint8 [N, size, size, 3]."""
    parity: dict[str, Any]
    """How far the graphs are from the checkpoint's networks, as measured at export."""
    held_out: dict[str, Any] | None = None
    """Identities that were kept out of training: `rule` and `identities`."""
    embedder: dict[str, Any] | None = None
    """Of the method `embedding`: SHA-256 and title of the recogniser."""

    def to_dict(self) -> dict[str, Any]:
        """The record as mixer.json holds it."""
        record = {"kind": KIND, "format_version": FORMAT_VERSION} | asdict(self)
        return record | {"preparation": self.preparation.to_dict()}

    @classmethod
    def from_dict(cls, record: object) -> MixerCard:
        """Read the record. Raises UserError when it is of another kind or a newer version, incomplete or damaged.

        Unknown keys are left alone.
        """
        if not isinstance(record, dict) or record.get("kind") != KIND:
            raise UserError(f"is no record of a mixer (its kind is not {KIND!r})")
        version = field(record, "format_version", int)
        if version > FORMAT_VERSION:
            raise UserError(f"has format version {version}, newer than {FORMAT_VERSION}: update genface")
        size = positive(record, "size", 1024)
        preparation = Preparation.from_dict(field(record, "preparation", dict))
        if preparation.size != size:
            raise UserError(f"is damaged: it says {size} px, and photos prepared at {preparation.size} px")
        return cls(
            method=one_of(record, "method", get_args(Method)),  # type: ignore[arg-type]  # judged against the literals
            mixing=one_of(record, "mixing", get_args(Mixing)),  # type: ignore[arg-type]
            size=size,
            code_dim=positive(record, "code_dim", _MAX_CODE_DIM),
            preparation=preparation,
            dataset=field(record, "dataset", str),
            licence=field(record, "licence", str),
            images_seen=field(record, "images_seen", int),
            checkpoint_sha256=field(record, "checkpoint_sha256", str),
            encoder=_graph_file(record, "encoder"),
            decoder=_graph_file(record, "decoder"),
            parity=field(record, "parity", dict),
            held_out=_optional(record, "held_out"),
            embedder=_optional(record, "embedder"),
        )


def _graph_file(record: Mapping[str, Any], name: str) -> GraphFile:
    entry = field(record, name, dict)
    file, sha256 = field(entry, "file", str), field(entry, "sha256", str)
    # A record from elsewhere must not lead out of its folder.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", file):
        raise UserError(f"is damaged: its {name!r} is called {file!r}, which is no plain file name")
    if not _SHA256.fullmatch(sha256):
        raise UserError(f"is damaged: the SHA-256 of its {name!r} is {sha256!r}, not 64 hexadecimal digits")
    return GraphFile(file, sha256)


def _optional(record: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return None if record.get(name) is None else field(record, name, dict)

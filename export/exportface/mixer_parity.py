"""What both graphs of a mixer are held against, at export and at any time later, and how far they are from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from evalface.embedder import Embedder
from exportface.code_parity import CodeParity, Encode, measure_codes
from exportface.export import versions
from exportface.figures import Floats, Levels
from exportface.given_embedder import open_given
from exportface.mixer_graphs import PhotosToCodes
from exportface.mixer_source import MixerSource
from exportface.parity import SEED, Form, Parity
from exportface.to_onnx import CODES, PHOTOS
from genface.errors import UserError
from genface.latents import latents
from genface.mixer import Mixer
from genface.providers import find_provider, open_session
from trainface.mixer.networks import Encoder

FORM = "ONNX, cpu fp32"
"""Name, in the record of parity, of what is held against PyTorch: genface's default provider."""
OPENING = 8
"""Photos that genface itself encodes and decodes."""


@dataclass(frozen=True, kw_only=True)
class MixerParity:
    """How far both graphs are from the networks that they were made of."""

    encoder: CodeParity | None
    """None where it holds an embedder whose own file is not at hand."""
    encoder_reference: str
    """What gave the codes that the encoder's are held against."""
    decoder: Parity

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""
        encoder = [] if self.encoder is None else self.encoder.failures
        return [*encoder, *(f"decoder, {failure}" for failure in self.decoder.failures)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        encoder = {} if self.encoder is None else self.encoder.to_dict()
        reference = {"reference": self.encoder_reference}
        return {"encoder": encoder | reference, "decoder": self.decoder.to_dict(), **versions()}


@dataclass(frozen=True, kw_only=True)
class CodeReference:
    """What gives the right codes."""

    encode: Encode
    called: str
    """For the record."""


def given_embedder(source: MixerSource, path: Path | None, checkpoint: Path) -> Embedder | None:
    """The embedder of the run, where its file is given. Raises UserError for another one, and where none is needed."""
    if path is None:
        return None
    if source.embedder is None:
        raise UserError(f"--embedder {path}: {checkpoint} has an encoder of its own; leave the option out")
    return open_given(path, source.embedder)


def code_reference(source: MixerSource, embedder: Embedder | None) -> CodeReference | None:
    """What the codes are held against: the run's encoder, else its embedder's own file, else nothing."""
    if source.encoder is not None:
        return CodeReference(encode=_by_torch(source.encoder), called=versions()["reference"])
    if embedder is not None:
        return CodeReference(encode=embedder.embed, called="the embedder's own file, fed as in training")
    return None


def codes_like(codes: Floats) -> Callable[[range], Floats]:
    """Codes to try a decoder on: Gaussian, with the means and deviations of those of photos, float32 [N, D]."""
    mean, std = codes.mean(axis=0), codes.std(axis=0)
    return lambda indices: (mean + std * latents(SEED, indices, codes.shape[1])).astype(np.float32)


def by_onnx(model: onnx.ModelProto, output: str = CODES) -> Encode:
    """An encoder's graph, through the session that genface opens; of `output`, [N, ...], one row per photo is given."""
    session = open_session(model.SerializeToString(), find_provider("cpu"))

    def encode(photos: Levels) -> Floats:
        codes: Floats = session.run([output], {PHOTOS: photos})[0]
        if len(codes) != len(photos):
            raise UserError(f"gives {len(codes)} codes for {len(photos)} photos: it was altered")
        return codes.reshape(len(photos), -1)

    return encode


def batches(model: onnx.ModelProto) -> Sequence[int]:
    """Batch sizes to try: one photo is what genface gives, several are what the graph allows where it says so."""
    return (1, 16) if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else (1,)


def seen_by_a_user(mixer: Mixer, photos: Levels, codes: Floats, decoder: Form) -> list[str]:
    """Encode and decode by the class that mixes, from the very folder that ships; what is wrong, in words.

    `codes` are those of the photos, `decoder` is the network's.
    """
    found = measure_codes(codes, mixer.encode, photos, batches=(len(photos),)).failures
    _, expected = decoder.run(codes)
    if (levels := int(np.abs(mixer.decode(codes).astype(np.int16) - expected).max())) > 1:
        found.append(f"genface decodes pictures from the folder that differ by {levels} levels")
    return found


def _by_torch(encoder: Encoder) -> Encode:
    network = PhotosToCodes(encoder)

    def encode(photos: Levels) -> Floats:
        with torch.inference_mode():
            codes: Floats = network(torch.from_numpy(photos)).numpy()
        return codes

    return encode

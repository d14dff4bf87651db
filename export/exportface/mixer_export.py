"""From the checkpoint of a mixer to the folder for `genface mix`: rebuild, export, prove, and only then appear."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from evalface.embedder import Embedder
from evalface.files import sha256_of
from exportface.code_parity import CodeParity, Encode, measure_codes, sample_photos
from exportface.embedder_graph import with_preparation
from exportface.export import Say, versions
from exportface.figures import Floats, Levels
from exportface.forms import eager_form, one_thread, onnx_form
from exportface.given_embedder import open_given
from exportface.mismatch import MismatchError
from exportface.mixer_graphs import PhotosToCodes, SignedDecoder, as_shipped, decoder_graph, encoder_graph
from exportface.mixer_source import MixerSource, read_mixer
from exportface.new_folder import FolderKind, check_folder, new_folder
from exportface.parity import NUM_LATENTS, SEED, Form, Parity, measure
from exportface.source import utf8
from exportface.system_report import mixer_lines
from exportface.to_onnx import CODES, PHOTOS
from genface.errors import UserError
from genface.latents import latents
from genface.mixer import Mixer
from genface.mixer_card import CARD_NAME, KIND, GraphFile, MixerCard
from genface.providers import find_provider, open_session
from trainface import atomic
from trainface.mixer.networks import Encoder

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
FORM = "ONNX, cpu fp32"
"""Name, in the record of parity, of what is held against PyTorch: genface's default provider."""
_OPENING = 8

_MIXER = FolderKind(
    what="mixer",
    record=CARD_NAME,
    kind=KIND,
    files=lambda record: {CARD_NAME, record["encoder"]["file"], record["decoder"]["file"]},
)


@dataclass(frozen=True, kw_only=True)
class MixerParity:
    """How far both graphs are from the networks that they were made of."""

    encoder: CodeParity
    encoder_reference: str
    """What gave the codes that the encoder's are held against."""
    decoder: Parity

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""
        return [*self.encoder.failures, *(f"decoder, {failure}" for failure in self.decoder.failures)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        encoder = self.encoder.to_dict() | {"reference": self.encoder_reference}
        return {"encoder": encoder, "decoder": self.decoder.to_dict(), **versions()}


@dataclass(frozen=True, kw_only=True)
class ExportedMixer:
    """What was written."""

    card: MixerCard
    parity: MixerParity
    bytes: Mapping[str, int]
    """Size of each file."""


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    """The graph of an encoder, and what it is held against."""

    model: onnx.ModelProto
    reference: Encode
    called: str
    """The reference, for the record."""


def export_mixer(
    checkpoint: Path,
    out: Path,
    *,
    embedder: Path | None = None,
    licence: str,
    force: bool = False,
    say: Say = lambda line: None,
) -> ExportedMixer:
    """Fill the folder `out` with encoder.onnx, decoder.onnx and mixer.json, of the averaged networks of `checkpoint`.

    The folder appears complete or not at all; `force` replaces an earlier mixer, never anything else. `embedder` is the
    file that a mixer of the method `embedding` was trained with, and of no other. `say` gets a line per stage.

    Raises UserError for what is given wrongly, MismatchError when a graph differs from its network; in both cases
    nothing is left behind.
    """
    if not licence.strip():
        raise UserError("the licence is empty: name one, or say that it is unknown")
    check_folder(out, _MIXER, force=force)
    source = read_mixer(checkpoint)
    size, code_dim = source.config.size, source.config.code_size
    given = _given(source, embedder, checkpoint)
    with new_folder(out, _MIXER, force=force) as folder, one_thread():
        say("exporting encoder and decoder")
        encoding = _of_network(source.encoder, size) if given is None else _of_embedder(given, size)
        network = SignedDecoder(source.decoder)
        decoder = decoder_graph(network, code_dim)

        photos = sample_photos(size)
        say(f"comparing them with the networks on {len(photos)} photos and {NUM_LATENTS} codes")
        codes = encoding.reference(photos)
        reference = eager_form(network)
        parity = MixerParity(
            encoder=measure_codes(codes, _runner(encoding.model), photos, batches=_batches(encoding.model)),
            encoder_reference=encoding.called,
            decoder=measure(reference, {FORM: onnx_form(decoder)}, code_dim, draw=codes_like(codes)),
        )
        _require(parity.failures, parity)

        for name, model in {ENCODER: encoding.model, DECODER: as_shipped(decoder)}.items():
            atomic.write_bytes(folder / name, model.SerializeToString())
        card = _card(source, folder, utf8(licence), parity)
        atomic.write_text(folder / CARD_NAME, json.dumps(card.to_dict(), indent=1, allow_nan=False) + "\n")
        _require(_seen_by_a_user(folder, card, photos[:_OPENING], codes[:_OPENING], reference), parity)
        sizes = {name: (folder / name).stat().st_size for name in (ENCODER, DECODER)}
    return ExportedMixer(card=card, parity=parity, bytes=sizes)


def _require(failures: list[str], parity: MixerParity) -> None:
    if failures:
        raise MismatchError(failures, mixer_lines(parity.encoder, parity.decoder))


def codes_like(codes: Floats) -> Callable[[range], Floats]:
    """Codes to try a decoder on: Gaussian, with the means and deviations of those of photos, float32 [N, D]."""
    mean, std = codes.mean(axis=0), codes.std(axis=0)
    return lambda indices: (mean + std * latents(SEED, indices, codes.shape[1])).astype(np.float32)


def _given(source: MixerSource, path: Path | None, checkpoint: Path) -> Embedder | None:
    """The embedder of the run. Raises UserError where it is missing, or another one, or none is needed."""
    if source.embedder is None:
        if path is not None:
            raise UserError(f"--embedder {path}: {checkpoint} has an encoder of its own; leave the option out")
        return None
    if path is None:
        raise UserError(
            f"{checkpoint}: decodes the vectors of an embedder, {source.embedder['title']}; give its file by --embedder"
        )
    return open_given(path, source.embedder)


def _of_network(encoder: Encoder | None, size: int) -> _Encoding:
    assert encoder is not None, "without an embedder there is an encoder"
    network = PhotosToCodes(encoder)

    def reference(photos: Levels) -> Floats:
        with torch.inference_mode():
            codes: Floats = network(torch.from_numpy(photos)).numpy()
        return codes

    return _Encoding(model=encoder_graph(network, size), reference=reference, called=versions()["reference"])


def _of_embedder(embedder: Embedder, size: int) -> _Encoding:
    """The embedder's own file is what its graph is held against, fed as in training."""
    try:
        model = with_preparation(onnx.load(embedder.path), embedder.spec, dim=embedder.dim, size=size)
    except UserError as error:
        raise UserError(f"{embedder.path}: {error}") from error
    return _Encoding(model=model, reference=embedder.embed, called="the embedder's own file, fed as in training")


def _runner(model: onnx.ModelProto) -> Encode:
    session = open_session(model.SerializeToString(), find_provider("cpu"))

    def encode(photos: Levels) -> Floats:
        codes: Floats = session.run([CODES], {PHOTOS: photos})[0]
        return codes

    return encode


def _batches(model: onnx.ModelProto) -> Sequence[int]:
    """Batch sizes to try: one photo is what genface gives, several are what the graph allows where it says so."""
    return (1, 16) if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else (1,)


def _card(source: MixerSource, folder: Path, licence: str, parity: MixerParity) -> MixerCard:
    return MixerCard(
        method=source.config.method,
        mixing=source.mixing,
        size=source.config.size,
        code_dim=source.config.code_size,
        preparation=source.preparation,
        dataset=source.dataset,
        licence=licence,
        images_seen=source.images_seen,
        checkpoint_sha256=source.sha256,
        encoder=GraphFile(ENCODER, sha256_of(folder / ENCODER)),
        decoder=GraphFile(DECODER, sha256_of(folder / DECODER)),
        parity=parity.to_dict(),
        held_out=source.held_out,
        embedder=source.embedder,
    )


def _seen_by_a_user(folder: Path, card: MixerCard, photos: Levels, codes: Floats, reference: Form) -> list[str]:
    """Encode and decode by the class that mixes, from the very folder that appears; what is wrong, in words."""
    mixer = Mixer(folder)
    assert mixer.card == card, "the record is read as it was written"
    found = measure_codes(codes, mixer.encode, photos, batches=(len(photos),)).failures
    _, expected = reference.run(codes)
    if (levels := int(np.abs(mixer.decode(codes).astype(np.int16) - expected).max())) > 1:
        found.append(f"genface decodes pictures from the folder that differ by {levels} levels")
    return found

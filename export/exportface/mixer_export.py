"""From the checkpoint of a mixer to the folder for `genface mix`: rebuild, export, prove, and only then appear."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from evalface.embedder import Embedder
from evalface.files import sha256_of
from exportface.code_parity import measure_codes, sample_photos
from exportface.embedder_graph import with_preparation
from exportface.export import Say
from exportface.forms import eager_form, one_thread, onnx_form
from exportface.mismatch import MismatchError
from exportface.mixer_graphs import PhotosToCodes, SignedDecoder, as_shipped, decoder_graph, encoder_graph
from exportface.mixer_parity import (
    FORM,
    OPENING,
    MixerParity,
    batches,
    by_onnx,
    code_reference,
    codes_like,
    given_embedder,
    seen_by_a_user,
)
from exportface.mixer_source import MixerSource, read_mixer
from exportface.new_folder import FolderKind, check_folder, new_folder
from exportface.parity import NUM_LATENTS, measure
from exportface.source import utf8
from exportface.system_report import mixer_lines
from genface.errors import UserError
from genface.mixer import Mixer
from genface.mixer_card import CARD_NAME, KIND, GraphFile, MixerCard
from trainface import atomic

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"

_MIXER = FolderKind(
    what="mixer",
    record=CARD_NAME,
    kind=KIND,
    files=lambda record: {CARD_NAME, record["encoder"]["file"], record["decoder"]["file"]},
)


@dataclass(frozen=True, kw_only=True)
class ExportedMixer:
    """What was written."""

    card: MixerCard
    parity: MixerParity
    bytes: Mapping[str, int]
    """Size of each file."""


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
    given = given_embedder(source, embedder, checkpoint)
    known = code_reference(source, given)
    if known is None:
        assert source.embedder is not None, "without an encoder there is an embedder"
        raise UserError(
            f"{checkpoint}: decodes the vectors of an embedder, {source.embedder['title']}; give its file by --embedder"
        )
    with new_folder(out, _MIXER, force=force) as folder, one_thread():
        say("exporting encoder and decoder")
        encoder = _encoder(source, given)
        network = SignedDecoder(source.decoder)
        decoder = decoder_graph(network, code_dim)

        photos = sample_photos(size)
        say(f"comparing them with the networks on {len(photos)} photos and {NUM_LATENTS} codes")
        codes = known.encode(photos)
        reference = eager_form(network)
        parity = MixerParity(
            encoder=measure_codes(codes, by_onnx(encoder), photos, batches=batches(encoder)),
            encoder_reference=known.called,
            decoder=measure(reference, {FORM: onnx_form(decoder)}, code_dim, draw=codes_like(codes)),
        )
        _require(parity.failures, parity)

        for name, model in {ENCODER: encoder, DECODER: as_shipped(decoder)}.items():
            atomic.write_bytes(folder / name, model.SerializeToString())
        graphs = [GraphFile(name, sha256_of(folder / name)) for name in (ENCODER, DECODER)]
        card = card_of(source, *graphs, licence=utf8(licence), parity=parity.to_dict())
        atomic.write_text(folder / CARD_NAME, json.dumps(card.to_dict(), indent=1, allow_nan=False) + "\n")
        mixer = Mixer(folder)
        assert mixer.card == card, "the record is read as it was written"
        _require(seen_by_a_user(mixer, photos[:OPENING], codes[:OPENING], reference), parity)
        sizes = {name: (folder / name).stat().st_size for name in (ENCODER, DECODER)}
    return ExportedMixer(card=card, parity=parity, bytes=sizes)


def card_of(
    source: MixerSource, encoder: GraphFile, decoder: GraphFile, *, licence: str, parity: dict[str, Any]
) -> MixerCard:
    """The record of a folder that holds the graphs of a checkpoint."""
    return MixerCard(
        method=source.config.method,
        mixing=source.config.mixing,
        size=source.config.size,
        code_dim=source.config.code_size,
        preparation=source.preparation,
        dataset=source.dataset,
        licence=licence,
        images_seen=source.images_seen,
        checkpoint_sha256=source.sha256,
        encoder=encoder,
        decoder=decoder,
        parity=parity,
        held_out=source.held_out,
        embedder=source.embedder,
    )


def _require(failures: list[str], parity: MixerParity) -> None:
    if failures:
        raise MismatchError(failures, mixer_lines(parity.encoder, parity.decoder))


def _encoder(source: MixerSource, embedder: Embedder | None) -> onnx.ModelProto:
    """Photos to codes: the run's own encoder, or its embedder behind the preparation of photos."""
    size = source.config.size
    if source.encoder is not None:
        return encoder_graph(PhotosToCodes(source.encoder), size)
    assert embedder is not None, "without an encoder there is an embedder"
    try:
        return with_preparation(onnx.load(embedder.path), embedder.spec, dim=embedder.dim, size=size)
    except UserError as error:
        raise UserError(f"{embedder.path}: {error}") from error

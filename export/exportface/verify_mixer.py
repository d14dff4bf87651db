"""The proof of a mixer's folder, repeated: its files, codes, pictures, record and figures against its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from evalface.files import sha256_of
from exportface.claims import NOISE, false_facts, false_figures, load_graph, require_same_checkpoint
from exportface.code_parity import ALLOWED, CodeParity, measure_codes, sample_photos
from exportface.figures import Floats, Levels
from exportface.forms import eager_form, one_thread, onnx_form
from exportface.graph_names import rename_tensors
from exportface.mixer_export import card_of
from exportface.mixer_graphs import SignedDecoder
from exportface.mixer_parity import (
    FORM,
    OPENING,
    CodeReference,
    MixerParity,
    batches,
    by_onnx,
    code_reference,
    codes_like,
    given_embedder,
    seen_by_a_user,
)
from exportface.mixer_source import MixerSource, read_mixer
from exportface.parity import NUM_LATENTS, measure
from exportface.preparation_parity import measure_preparation
from exportface.system_report import mixer_lines
from exportface.to_onnx import CODES, LATENT
from exportface.verified import Verified
from genface.errors import UserError
from genface.mixer import Mixer, read_mixer_card
from genface.mixer_card import CARD_NAME, MixerCard

_NONE = "none: the embedder's own file was not given"


def verify_mixer(
    folder: Path,
    checkpoint: Path,
    *,
    embedder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Verified[MixerCard, MixerParity]:
    """Compare a mixer's folder with the checkpoint that it names, on the photos and codes of its export.

    Files that are not those that mixer.json names are told, and compared no further; neither are graphs whose sizes
    mixer.json states otherwise than the checkpoint. `embedder` is the file that a mixer of the method `embedding` was
    trained with. The checkpoint holds no weights of it; without the file, what the encoder shows its embedder is
    compared, and the size of its codes.

    `say` gets a line per stage. Raises UserError when a file is missing or cannot be read, when the folder is no mixer
    or was made of another checkpoint, when `embedder` is another one or is not asked for, and when a graph was rebuilt
    so that there is nothing to compare.
    """
    card, sha256 = read_mixer_card(folder)
    source = read_mixer(checkpoint)
    require_same_checkpoint(folder, card, checkpoint, source)
    given = given_embedder(source, embedder, checkpoint)
    reference = code_reference(source, given)
    true = card_of(source, card.encoder, card.decoder, licence=card.licence, parity=card.parity)
    wrong_files = tuple(_false_digests(folder, card))
    measured: MixerParity | None = None
    wrong_figures: tuple[str, ...] = ()
    if not wrong_files and (card.size, card.code_dim) == (true.size, true.code_dim):
        mixer = Mixer(folder)
        say(f"comparing {folder} with the networks on photos and {NUM_LATENTS} codes")
        with one_thread():
            measured, wrong_figures = _measure(mixer, source, reference)
    return Verified(
        kind="mixer",
        card=card,
        model_sha256=sha256,
        measured=measured,
        figures=() if measured is None else tuple(mixer_lines(measured.encoder, measured.decoder)),
        contradictions=(*wrong_files, *false_facts(card, true, where=CARD_NAME), *wrong_figures),
        not_compared=() if reference else (_missing_embedder(folder / card.encoder.file, source),),
    )


def _measure(mixer: Mixer, source: MixerSource, reference: CodeReference | None) -> tuple[MixerParity, tuple[str, ...]]:
    """Both graphs against the networks, and what was stored otherwise than it is measured, in words."""
    card, network = mixer.card, SignedDecoder(source.decoder)
    places = [mixer.folder / entry.file for entry in (card.encoder, card.decoder)]
    encoder, decoder = load_graph(places[0], card.encoder.sha256), load_graph(places[1], card.decoder.sha256)
    rename_tensors(decoder.graph, {CODES: LATENT})
    photos = sample_photos(card.size)
    codes = mixer.encode(photos) if reference is None else reference.encode(photos)
    with _naming(places[0]):
        coded = None
        if reference is not None:
            coded = measure_codes(codes, by_onnx(encoder), photos, batches=batches(encoder))
        shown = [] if reference is not None else [*_false_preparation(encoder, source, photos)]
    with _naming(places[1]):
        drawn = measure(
            expected := eager_form(network), {FORM: onnx_form(decoder)}, card.code_dim, draw=codes_like(codes)
        )
    parity = MixerParity(encoder=coded, encoder_reference=reference.called if reference else _NONE, decoder=drawn)
    return parity, (
        *shown,
        *_false_code_figures(card.parity.get("encoder"), codes, coded),
        *false_figures(card.parity.get("decoder"), drawn, where=CARD_NAME),
        *seen_by_a_user(mixer, photos[:OPENING], codes[:OPENING], expected),
    )


def _false_digests(folder: Path, card: MixerCard) -> Iterator[str]:
    """Which files are not those that the card names. Raises UserError for one that is missing."""
    for entry in (card.encoder, card.decoder):
        path = folder / entry.file
        if not path.is_file():
            raise UserError(f"{path}: is missing, and {CARD_NAME} names it: copy the whole folder")
        if (found := sha256_of(path)) != entry.sha256:
            yield f"{CARD_NAME}: {entry.file} has the SHA-256 {entry.sha256[:12]}..., the file's is {found[:12]}..."


def _false_preparation(encoder: onnx.ModelProto, source: MixerSource, photos: Levels) -> Iterator[str]:
    assert source.embedder is not None, "without an encoder there is an embedder"
    for row in measure_preparation(encoder, source.embedder, photos).rows:
        if not row.max_delta <= ALLOWED:
            yield f"encoder: what it shows its embedder differs by {row.max_delta:.3g} of its size, over {ALLOWED:g}"


def _false_code_figures(record: Any, codes: Floats, measured: CodeParity | None) -> Iterator[str]:
    """Where the stored figures of the codes differ from what is measured now by more than noise."""
    try:
        rms = float(record["code_rms"])
        before = {row["batch"]: (float(row["max_delta"]), float(row["mean_delta"])) for row in record["rows"]}
    except (KeyError, TypeError, ValueError) as error:
        yield f"{CARD_NAME}: its parity figures are damaged ({error}): export it again"
        return
    is_so = math.sqrt(float(np.square(codes, dtype=np.float64).mean()))
    if not abs(rms - is_so) <= ALLOWED * is_so:
        yield f"stored code_rms is {rms:.4g}, measured {is_so:.4g}"
    for row in () if measured is None else measured.rows:
        if row.batch not in before:
            yield f"{CARD_NAME}: the stored parity figures have none of codes, batch {row.batch}"
            continue
        for name, said, found in zip(
            ("max_delta", "mean_delta"), before[row.batch], (row.max_delta, row.mean_delta), strict=True
        ):
            if not abs(said - found) <= NOISE * ALLOWED:
                yield f"stored {name} of codes, batch {row.batch}, is {said:.4g}, measured {found:.4g}"


def _missing_embedder(encoder: Path, source: MixerSource) -> str:
    assert source.embedder is not None, "without an encoder there is an embedder"
    return (
        f"{encoder}: holds an embedder, {source.embedder['title']}, whose weights no checkpoint has; give its file by"
        " --embedder to compare the codes too, beyond their size and the preparation of photos"
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error

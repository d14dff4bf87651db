"""A mixer folder: photos to codes by one ONNX file, codes to pictures by another, and the rule by which codes mix."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genface.contract import Port
from genface.errors import UserError
from genface.graph import Graph, Signature, side_by_side
from genface.mixer_card import CARD_NAME, GraphFile, MixerCard
from genface.mixing import Codes, Weights, mix
from genface.model_file import read_model
from genface.parallel import ordered_map
from genface.sources import MAX_FILE_BYTES
from genface.strict_json import parse_json

Pictures = NDArray[np.uint8]


class Mixer:
    """A mixer that is ready.

    A photo's code does not depend on the photos beside it, nor a code's picture on other codes: photos are encoded one
    at a time, codes decoded in blocks of one size.

        mixer = Mixer("mixer")
        codes = mixer.encode(photos)                      # uint8 [P, S, S, 3] -> float32 [P, code_dim]
        child = mixer.decode(mixer.mix(codes, weights))   # float64 [N, P] -> uint8 [N, S, S, 3]
    """

    folder: Path
    card: MixerCard
    sha256: str
    """SHA-256 of mixer.json, which names both graphs by theirs."""
    passed_over: tuple[str, ...]
    """What `auto` would have preferred, is installed, and does not run one of the graphs here: `NAME: reason`."""

    def __init__(self, folder: str | os.PathLike[str], *, provider: str = "cpu", threads: int | None = None) -> None:
        """Open a folder that `exportface mixer` has written, and run both graphs once as a trial.

        Args:
            folder: holds mixer.json and the two graphs that it names.
            provider: what runs them, by `genface.providers.find_provider`'s names, or `auto`.
            threads: how many run side by side; one per usable core unless given.

        Raises:
            UserError: naming the file, when the folder or one of its files is missing, damaged, of a newer version, not
                the one that mixer.json names, or takes or gives something else.
        """
        self.folder = Path(folder)
        self.card, self.sha256 = read_mixer_card(self.folder)
        encoder, decoder = _signatures(self.card.size, self.card.code_dim)
        graphs = [
            Graph(self.folder / entry.file, _read_graph(self.folder, entry), signature, provider)
            for entry, signature in ((self.card.encoder, encoder), (self.card.decoder, decoder))
        ]
        self._encoder, self._decoder = graphs
        self._encoding, self._decoding = (side_by_side(graph.provider, threads) for graph in graphs)
        self.passed_over = tuple(dict.fromkeys(reason for graph in graphs for reason in graph.passed_over))

    @property
    def provider(self) -> str:
        """What runs the graphs, by short names: one, or `cpu and openvino` where they differ."""
        return " and ".join(dict.fromkeys(graph.provider.name for graph in (self._encoder, self._decoder)))

    def encode(self, photos: Pictures) -> Codes:
        """Codes of prepared photos, uint8 [N, size, size, 3] -> float32 [N, code_dim].

        Raises UserError for photos of another shape, and where a code is not finite.
        """
        size = self.card.size
        if photos.ndim != 4 or photos.shape[1:] != (size, size, 3) or photos.dtype != np.uint8:
            raise UserError(
                f"{self.folder} takes photos uint8 [N, {size}, {size}, 3], not {photos.dtype} {list(photos.shape)}"
            )

        def one(photo: Pictures) -> Codes:
            (code,) = self._encoder.run({"photos": photo[None]}, "codes")
            return np.asarray(code[0], dtype=np.float32)

        codes = np.empty((len(photos), self.card.code_dim), dtype=np.float32)
        for at, code in enumerate(ordered_map(one, photos, self._encoding, "encode")):
            codes[at] = code
        if not np.isfinite(codes).all():
            bad = int(np.argmin(np.isfinite(codes).all(axis=1)))
            raise UserError(f"{self._encoder.path}: gives a code that is not finite for photo {bad} (the first is 0)")
        return codes

    def mix(self, codes: Codes, weights: Weights) -> Codes:
        """Codes [P, code_dim] mixed by each row of weights [N, P], by this mixer's rule; see `genface.mixing.mix`."""
        return mix(codes, weights, self.card.mixing)

    def decode(self, codes: Codes) -> Pictures:
        """Pictures of codes, float32 [N, code_dim] -> uint8 [N, size, size, 3].

        Raises UserError for codes of another shape.
        """
        if codes.ndim != 2 or codes.shape[1] != self.card.code_dim:
            raise UserError(f"{self.folder} takes codes [N, {self.card.code_dim}], not {list(codes.shape)}")
        block = self._decoder.provider.block

        def draw(start: int) -> Pictures:
            part = codes[start : start + block].astype(np.float32, copy=False)
            padded = np.concatenate([part, np.repeat(part[-1:], block - len(part), axis=0)])
            (images,) = self._decoder.run({"codes": padded}, "images")
            return np.asarray(images[: len(part)], dtype=np.uint8)

        parts = ordered_map(draw, range(0, len(codes), block), self._decoding, "decode")
        return np.concatenate([np.empty((0, self.card.size, self.card.size, 3), dtype=np.uint8), *parts])


def mixer_marks(mixer: Mixer, photos_sha256: Sequence[str], **settings: str) -> dict[str, str]:
    """The texts of a picture that a mixer has made (see `genface.provenance`): photos by their digests, never names."""
    texts = {"model_sha256": mixer.sha256, "decoder_sha256": mixer.card.decoder.sha256}
    texts |= {"photos_sha256": ",".join(photos_sha256), "mixing": mixer.card.mixing} | settings
    return {f"genface:{name}": text for name, text in texts.items()}


def read_mixer_card(folder: Path) -> tuple[MixerCard, str]:
    """The record of a mixer's folder, and the SHA-256 of its file in hexadecimal.

    Raises UserError for a folder without one, and for a record that cannot be read.
    """
    file = folder / CARD_NAME
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {why}; give a folder that exportface mixer has written")
    if not file.is_file():
        raise UserError(f"{folder}: holds no {CARD_NAME}; give a folder that exportface mixer has written")
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{file}: is over {MAX_FILE_BYTES >> 20} MiB")
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from error
    try:
        return MixerCard.from_dict(parse_json(data)), hashlib.sha256(data).hexdigest()
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except ValueError as error:
        raise UserError(f"{file}: is not valid JSON ({error})") from None


def _read_graph(folder: Path, entry: GraphFile) -> bytes:
    path = folder / entry.file
    if not path.exists():
        raise UserError(f"{path}: is missing, and {CARD_NAME} names it: copy the whole folder")
    graph = read_model(path)
    found = hashlib.sha256(graph).hexdigest()
    if found != entry.sha256:
        raise UserError(
            f"{path}: is not the file that {CARD_NAME} names (SHA-256 {found[:12]}..., not {entry.sha256[:12]}...):"
            " copy the whole folder again"
        )
    return graph


def _signatures(size: int, code_dim: int) -> tuple[Signature, Signature]:
    """Of the encoder, fed one photo at a time, and of the decoder."""
    photos, images = (size, size, 3), ("block", size, size, 3)
    encoder = Signature(
        what="the encoder of this mixer",
        takes=(Port(name="photos", type="tensor(uint8)", shape=(1, *photos)),),
        gives=(Port(name="codes", type="tensor(float)", shape=(1, code_dim)),),
        trial={},
    )
    decoder = Signature(
        what="the decoder of this mixer",
        takes=(Port(name="codes", type="tensor(float)", shape=("block", code_dim)),),
        gives=(Port(name="images", type="tensor(uint8)", shape=images),),
        trial={},
    )
    return encoder, decoder

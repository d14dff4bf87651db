"""Mixer folders that cannot be used, and what a mixer does not take."""

from __future__ import annotations

import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface.errors import UserError
from genface.mixer import Mixer

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixer.py"))))
CODES, SIZE = mixers.CODES, mixers.SIZE
decoder, drawn, encoder = mixers.decoder, mixers.drawn, mixers.encoder


def test_what_does_not_fit_is_refused(mixer_folder: Path) -> None:
    mixer = Mixer(mixer_folder)
    with pytest.raises(UserError, match=r"takes photos uint8 \[N, 8, 8, 3\], not uint8 \[1, 9, 8, 3\]"):
        mixer.encode(np.zeros((1, 9, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"takes codes \[N, 5\], not \[1, 4\]"):
        mixer.decode(np.zeros((1, 4), np.float32))
    with pytest.raises(UserError, match="threads must be from 1"):
        Mixer(mixer_folder, threads=0)


def test_a_code_that_is_no_number(save_mixer: Callable[..., Path]) -> None:
    mixer = Mixer(save_mixer(encoder(broken=True)))
    black = np.stack([drawn(CODES[0]), np.zeros((SIZE, SIZE, 3), np.uint8)])
    with pytest.raises(UserError, match=r"encoder\.onnx: gives a code that is not finite for photo 1"):
        mixer.encode(black)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"kind": "genface-archive"}, "is no record of a mixer"),
        ({"format_version": 2}, "format version 2, newer than 1: update genface"),
        ({"method": "magic"}, "its 'method' is 'magic'; this version knows autoencoder, embedding, gan"),
        ({"mixing": "cubic"}, "its 'mixing' is 'cubic'"),
        ({"size": 9}, "it says 9 px, and photos prepared at 8 px"),
        ({"size": True}, "its 'size' is True, not a whole number"),
        ({"code_dim": 0}, "its 'code_dim' is 0, not from 1 to"),
        ({"licence": None}, "lacks 'licence': export it again"),
        ({"preparation": {"size": 8, "crop": "face", "finder": "other"}}, "the faces were found by 'other'"),
        ({"encoder": {"file": "../encoder.onnx", "sha256": "0" * 64}}, "no plain file name"),
        ({"encoder": {"file": "encoder.onnx", "sha256": "x"}}, "not 64 hexadecimal digits"),
        ({"decoder": {"file": "encoder.onnx"}}, "lacks 'sha256'"),
    ],
)
def test_records_that_cannot_be_used(save_mixer: Callable[..., Path], entries: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"mixer\.json: .*{message}"):
        Mixer(save_mixer(**entries))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not valid JSON"),
        (b"[1]", "is no record of a mixer"),
        (b'{"kind": NaN}', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
    ],
)
def test_a_damaged_record(mixer_folder: Path, data: bytes, message: str) -> None:
    (mixer_folder / "mixer.json").write_bytes(data)
    with pytest.raises(UserError, match=message):
        Mixer(mixer_folder)


def test_folders_that_are_not_whole(mixer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder; give a folder that exportface mixer has written"):
        Mixer(tmp_path / "none")
    with pytest.raises(UserError, match=r"decoder\.onnx: is a file; give a folder"):
        Mixer(mixer_folder / "decoder.onnx")
    (mixer_folder / "decoder.onnx").rename(tmp_path / "away.onnx")
    with pytest.raises(UserError, match=r"decoder\.onnx: is missing, and mixer\.json names it"):
        Mixer(mixer_folder)
    (mixer_folder / "decoder.onnx").write_bytes((mixer_folder / "encoder.onnx").read_bytes())
    with pytest.raises(UserError, match=r"decoder\.onnx: is not the file that mixer\.json names \(SHA-256 "):
        Mixer(mixer_folder)
    (mixer_folder / "mixer.json").unlink()
    with pytest.raises(UserError, match=r"holds no mixer\.json"):
        Mixer(mixer_folder)


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (
            {"encoder_bytes": encoder(name="image")},
            r"encoder\.onnx: takes image: uint8 .*; the encoder of this mixer takes",
        ),
        ({"encoder_bytes": encoder(dim=4)}, r"encoder\.onnx: gives codes: float \[N, 4\]; .* codes: float \[1, 5\]"),
        ({"encoder_bytes": encoder(batch=2)}, r"encoder\.onnx: takes photos: uint8 \[2, 8, 8, 3\]"),
        ({"decoder_bytes": decoder(output="faces")}, r"decoder\.onnx: gives faces"),
        ({"decoder_bytes": decoder(batch=1)}, r"decoder\.onnx: takes codes: float \[1, 5\]"),
        ({"decoder_bytes": encoder()}, r"decoder\.onnx: takes photos"),
        ({"decoder_bytes": b"nonsense"}, r"decoder\.onnx: ONNX Runtime cannot load it"),
        ({"decoder_bytes": b"PK\x03\x04"}, r"decoder\.onnx: is a \.zip or a torch checkpoint"),
    ],
)
def test_graphs_that_are_others(save_mixer: Callable[..., Path], graphs: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mixer(save_mixer(**graphs))

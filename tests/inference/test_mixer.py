"""Mixer folders: photos to codes, and codes to pictures."""

from __future__ import annotations

import hashlib
import runpy
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genface.mixer import Mixer

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixer.py"))))
CODES, DIM, SIZE = mixers.CODES, mixers.DIM, mixers.SIZE
drawn, encoder = mixers.drawn, mixers.encoder


def test_codes_and_pictures_do_not_depend_on_their_neighbours(mixer_folder: Path) -> None:
    mixer = Mixer(mixer_folder, threads=2)
    assert (mixer.card.method, mixer.provider) == ("autoencoder", "cpu")
    assert mixer.sha256 == hashlib.sha256((mixer_folder / "mixer.json").read_bytes()).hexdigest()
    faces = np.stack([drawn(code) for code in CODES])
    codes = mixer.encode(faces)
    np.testing.assert_allclose(codes, CODES, atol=1)
    np.testing.assert_array_equal(mixer.encode(faces[1:]), codes[1:])
    many = np.repeat(codes, 7, axis=0)  # more than a block
    np.testing.assert_array_equal(mixer.decode(many), np.repeat(mixer.decode(codes), 7, axis=0))
    assert mixer.decode(codes[:0]).shape == (0, SIZE, SIZE, 3)


def test_an_encoder_of_one_photo_at_a_time_will_do(save_mixer: Callable[..., Path]) -> None:
    mixer = Mixer(save_mixer(encoder(batch=1)))
    assert mixer.encode(np.zeros((3, SIZE, SIZE, 3), np.uint8)).shape == (3, DIM)

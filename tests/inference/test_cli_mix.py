"""The command `genface mix`: faces between photos, and options that cannot be."""

from __future__ import annotations

import hashlib
import runpy
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from genface.provenance import is_marked, read_origin

Run = Callable[..., tuple[int, str, str]]

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixer.py"))))
BASIS, SIZE = mixers.BASIS, mixers.SIZE
decoder, drawn, encoder = mixers.decoder, mixers.drawn, mixers.encoder
photo_files = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("photo_files.py"))))
pixels = photo_files.pixels


def close(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """The photos were rounded to levels before they were encoded, and so is what comes out."""
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_two_photos(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    code, stdout, stderr = mix(*parents[:2], "--model", mixer_folder, "--out", out)
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"{out}: a face of 2 photos by 0.5,0.5, 8x8 px (")
    close(pixels(out), drawn([150, 150, 0, 50, -50]))
    assert is_marked(out.read_bytes())
    digests = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in parents[:2]]
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": hashlib.sha256((mixer_folder / "mixer.json").read_bytes()).hexdigest(),
        "genface:decoder_sha256": hashlib.sha256((mixer_folder / "decoder.onnx").read_bytes()).hexdigest(),
        "genface:photos_sha256": ",".join(digests),
        "genface:mixing": "linear",
        "genface:weights": "0.5,0.5",
    }
    assert b"ann" not in out.read_bytes()


def test_three_photos_by_weights(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.webp"
    assert mix(*parents, "--model", mixer_folder, "--weights", "0.5,0.3,0.2", "--out", out)[0] == 0
    close(pixels(out), drawn([150, 90, 50, 60, -20]))
    assert read_origin(out.read_bytes())["genface:weights"] == "0.5,0.3,0.2"


def test_a_strip_between_its_parents(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "strip.png"
    options = ["--model", mixer_folder, "--strip", 5, "--parents", "--gap", 0, "--out", out]
    code, stdout, _ = mix(*parents[:2], *options)
    assert code == 0
    assert "5 faces between 2 photos, 56x8 px" in stdout
    found = pixels(out).reshape(SIZE, 7, SIZE, 3).swapaxes(0, 1)
    np.testing.assert_array_equal(found[[0, -1]], [pixels(photo) for photo in parents[:2]])
    close(found[[1, -2]], found[[0, -1]])  # the ends are the photos' reconstructions, which this mixer does exactly
    close(found[2], drawn([225, 75, 0, 75, -25]))
    assert is_marked(out.read_bytes(), "composite")  # photos beside drawn faces
    assert read_origin(out.read_bytes())["genface:strip"] == "5"
    backwards = tmp_path / "back.png"
    assert mix(parents[1], parents[0], *options[:-1], backwards)[0] == 0
    close(pixels(backwards).reshape(SIZE, 7, SIZE, 3).swapaxes(0, 1)[::-1], found)


def test_parents_stand_around_their_child(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "family.png"
    assert mix(*parents, "--model", mixer_folder, "--parents", "--gap", 0, "--scale", 2, "--out", out)[0] == 0
    found = pixels(out)[::2, ::2].reshape(SIZE, 4, SIZE, 3).swapaxes(0, 1)
    np.testing.assert_array_equal(found[[0, 2, 3]], [pixels(photo) for photo in parents])


def test_the_sphere_and_the_latent_rule_reach_the_picture(
    mix: Run, save_mixer: Callable[..., Path], parents: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "c.png"
    for rule, length in (("latent", np.hypot(300, 100)), ("sphere", 1)):
        assert mix(*parents[:2], "--model", save_mixer(mixing=rule), "--out", out, "--force")[0] == 0
        direction = np.array([150, 150, 0, 50, -50]) / np.linalg.norm([150, 150, 0, 50, -50])
        close(pixels(out), drawn(list(direction * length)))


def test_refining_fits_what_the_encoder_missed(
    mix: Run, save_mixer: Callable[..., Path], parents: list[Path], tmp_path: Path
) -> None:
    """A generator whose encoder sees four of five numbers; the prior has its own opinion, so the fit is not exact."""
    scale = 150.0  # latents are about as long as Gaussian ones
    blind = onnx.load_from_string(encoder())
    basis = next(tensor for tensor in blind.graph.initializer if tensor.name == "basis")
    seen = BASIS / np.float32(scale)
    seen[:, 0] = 0
    basis.CopyFrom(numpy_helper.from_array(seen, "basis"))
    model = save_mixer(blind.SerializeToString(), decoder(scale=scale), method="gan", mixing="latent")
    out = tmp_path / "c.png"
    options = [parents[0], parents[0], "--model", model, "--out", out, "--force"]
    assert mix(*options)[0] == 0
    before = np.abs(pixels(out).astype(int) - pixels(parents[0])).mean()
    code, _, stderr = mix(*options, "--refine", 5)
    assert code == 0
    assert stderr.count(f"{parents[0]}: missed by ") == 2
    assert read_origin(out.read_bytes())["genface:refine"] == "5"
    assert before > 10
    assert np.abs(pixels(out).astype(int) - pixels(parents[0])).mean() < 0.2 * before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "0.5,0.6"], "weights must sum to 1, and 0.5,0.6 sum to 1.1"),
        (["--weights", "0.5"], "1 weights (0.5) for 2 photos"),
        (["--weights", "2,-1"], "not negative"),
        (["--weights", "half"], "--weights takes numbers with commas"),
        (["--strip", 1], "a strip has at least 2 steps"),
        (["--strip", 3, "--weights", "0.5,0.5"], "give two photos, and no --weights"),
        (["--strip", 10**7], "few programs"),
        (["--scale", 0], "scale must be at least 1"),
        (["--refine", 0], "--refine must be from 1"),
        (["--refine", 3], "--refine fits the latents of a generator, and this mixer's method is autoencoder"),
        (["--threads", 0], "threads must be from 1"),
        (["--provider", "abacus"], "no provider 'abacus'"),
        (["--out", "c.gif"], "pictures are written as"),
        (["--out", "none/c.png"], "the folder none does not exist"),
    ],
)
def test_options_that_cannot_be(
    mix: Run,
    mixer_folder: Path,
    parents: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, stdout, stderr = mix(*parents[:2], "--model", mixer_folder, *options)
    assert (code, stdout) == (2, "")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_one_photo_is_too_few_and_a_strip_takes_two(mix: Run, mixer_folder: Path, parents: list[Path]) -> None:
    assert "at least two photos" in mix(parents[0], "--model", mixer_folder)[2]
    assert "give two photos" in mix(*parents, "--model", mixer_folder, "--strip", 3)[2]


def test_nothing_is_replaced_unasked(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    out.write_bytes(b"dear to me")
    assert "exists already" in mix(*parents, "--model", mixer_folder, "--out", out)[2]
    assert out.read_bytes() == b"dear to me"

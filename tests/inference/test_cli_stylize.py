"""The command `genface stylize`: photos of every kind, and options that cannot be."""

from __future__ import annotations

import hashlib
import runpy
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from genface.provenance import is_marked, read_origin
from genface.stylizer import THUMBNAIL, Stylizer

Run = Callable[..., tuple[int, str, str]]

tiny_style = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_style.py"))))
photo_of = tiny_style.photo_of
photo_files = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("photo_files.py"))))
UNREADABLE, pixels, save_turned = photo_files.UNREADABLE, photo_files.pixels, photo_files.save_turned


def test_a_photo_in_a_style(stylize: Run, stylizer: Stylizer, style_file: Path, tmp_path: Path) -> None:
    photo, out = tmp_path / "ann.png", tmp_path / "p.png"
    Image.fromarray(photo_of(24, 36)).save(photo)
    code, stdout, stderr = stylize(photo, "--model", style_file, "--style", "waves", "--strength", 0.8, "--out", out)
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"{out}: 36x24 px, style 0 0.2, waves 0.8 (")
    expected = stylizer.stylize(photo_of(24, 36), stylizer.weights(["1"], 0.8))
    np.testing.assert_array_equal(pixels(out), expected)
    assert is_marked(out.read_bytes(), "edited")
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": hashlib.sha256(style_file.read_bytes()).hexdigest(),
        "genface:photos_sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
        "genface:styles": '{"0": "0.2", "waves": "0.8"}',
    }


@pytest.mark.parametrize("ending", ["png", "webp", "jpg", "JPEG"])
def test_the_ending_chooses_the_format(stylize: Run, style_file: Path, tmp_path: Path, ending: str) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / f"p.{ending}"
    Image.fromarray(photo_of(24, 36)).save(photo)
    styles = ["--style", "1:0.5", "--style", "ash:0.5"]
    assert stylize(photo, "--model", style_file, *styles, "--out", out)[0] == 0
    with Image.open(out) as opened:
        assert (opened.format, opened.size) == ({"png": "PNG", "webp": "WEBP"}.get(ending, "JPEG"), (36, 24))
    assert is_marked(out.read_bytes(), "edited")


GOOD: dict[str, tuple[Callable[[Path], None], NDArray[np.uint8]]] = {
    "gray.png": (
        lambda path: Image.fromarray(photo_of(24, 36)[..., 0]).save(path),
        photo_of(24, 36)[..., :1].repeat(3, axis=2),
    ),
    "cmyk.tif": (
        lambda path: Image.new("CMYK", (36, 24), (0, 0, 0, 178)).save(path),
        np.full((24, 36, 3), 77, np.uint8),
    ),
    "alpha.png": (
        lambda path: Image.new("RGBA", (36, 24), (9, 9, 9, 0)).save(path),
        np.full((24, 36, 3), 255, np.uint8),
    ),
    "turned.png": (lambda path: save_turned(path, photo_of(24, 36)), photo_of(24, 36)),
}


@pytest.mark.parametrize("name", GOOD)
def test_photos_of_every_kind(stylize: Run, style_file: Path, tmp_path: Path, name: str) -> None:
    make, expected = GOOD[name]
    make(tmp_path / name)
    out = tmp_path / "p.png"
    assert stylize(tmp_path / name, "--model", style_file, "--style", 0, "--out", out)[0] == 0
    np.testing.assert_array_equal(pixels(out), expected)  # style 0 is the photo itself


@pytest.mark.parametrize("name", UNREADABLE)
def test_photos_that_are_none(stylize: Run, style_file: Path, tmp_path: Path, name: str) -> None:
    make, message = UNREADABLE[name]
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    code, stdout, stderr = stylize(tmp_path / name, "--model", style_file, "--style", 1, "--out", tmp_path / "p.png")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"genface: error: {tmp_path / name}: ")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "sand"], "no style 'sand'"),
        (["--style", 1, "--strength", 2], "strength must be from 0"),
        (["--style", 1, "--tile", 9], "a tile of 9 px has no inside"),
        (["--style", 1, "--tile", 0], "a tile of 0 px has no inside"),
        (["--style", 1, "--threads", -1], "threads must be from 1"),
        (["--style", 1, "--provider", "abacus"], "no provider 'abacus'"),
        (["--style", 1, "--out", "p.gif"], "pictures are written as"),
        ([], "--style"),
    ],
)
def test_options_that_cannot_be(
    stylize: Run, style_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo_of(16, THUMBNAIL + 8)).save("photo.png")
    before = sorted(tmp_path.iterdir())
    code, stdout, stderr = stylize("photo.png", "--model", style_file, *options)
    assert (code, stdout) == (2, "")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before

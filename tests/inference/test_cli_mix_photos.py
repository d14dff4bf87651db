"""What `genface mix` takes for a photo: every kind and size of picture, and faces cut out of them."""

from __future__ import annotations

import builtins
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genface.face_finder import VERSION

Run = Callable[..., tuple[int, str, str]]

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixer.py"))))
CODES, SIZE = mixers.CODES, mixers.SIZE
drawn = mixers.drawn
photo_files = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("photo_files.py"))))
UNREADABLE, pixels, save_turned = photo_files.UNREADABLE, photo_files.pixels, photo_files.save_turned

GOOD: dict[str, Callable[[Path], None]] = {
    "gray.png": lambda path: Image.fromarray(np.full((20, 30), 77, np.uint8)).save(path),
    "sixteen.png": lambda path: Image.fromarray(np.full((20, 30), 77 * 257, np.uint16)).save(path),
    "cmyk.jpg": lambda path: Image.new("CMYK", (40, 24), (0, 0, 0, 178)).save(path),
    "palette.gif": lambda path: Image.new("P", (40, 24), 0).save(path),
    "alpha.png": lambda path: Image.new("RGBA", (40, 24), (9, 9, 9, 0)).save(path),
    "large.jpg": lambda path: Image.new("RGB", (2000, 1500), (77, 77, 77)).save(path),
}


@pytest.mark.parametrize("name", GOOD)
def test_photos_of_every_kind_and_size(
    mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path, name: str
) -> None:
    GOOD[name](tmp_path / name)
    out = tmp_path / "c.png"
    options = ["--model", mixer_folder, "--parents", "--gap", 0, "--out", out]
    assert mix(tmp_path / name, parents[1], *options)[0] == 0
    level = {"palette.gif": 0, "alpha.png": 255}.get(name, 77)
    assert np.abs(pixels(out)[:, :SIZE].astype(int) - level).max() <= 1


def test_a_photo_is_turned_upright(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path) -> None:
    save_turned(tmp_path / "turned.png", drawn(CODES[0]))
    out = tmp_path / "c.png"
    options = ["--model", mixer_folder, "--parents", "--gap", 0, "--out", out]
    assert mix(tmp_path / "turned.png", parents[1], *options)[0] == 0
    np.testing.assert_array_equal(pixels(out)[:, :SIZE], drawn(CODES[0]))


@pytest.mark.parametrize("name", UNREADABLE)
def test_photos_that_are_none(mix: Run, mixer_folder: Path, parents: list[Path], tmp_path: Path, name: str) -> None:
    make, message = UNREADABLE[name]
    make(tmp_path / name)
    out = tmp_path / "c.png"
    code, stdout, stderr = mix(parents[0], tmp_path / name, "--model", mixer_folder, "--out", out)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"genface: error: {tmp_path / name}: ")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not out.exists()


# Faces cut out of photos


FACE = {"size": SIZE, "crop": "face", "resample": "lanczos", "finder": VERSION}


def test_no_face_says_how_a_cut_photo_is_given(
    mix: Run, save_mixer: Callable[..., Path], parents: list[Path], tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    model, out = save_mixer(preparation=FACE), tmp_path / "c.png"
    code, _, stderr = mix(*parents[:2], "--model", model, "--out", out)
    assert code == 2
    assert stderr.startswith(f"genface: error: {parents[0]}: no face found: one is found when")
    assert "--crop center" in stderr
    assert mix(*parents[:2], "--model", model, "--out", out, "--crop", "center")[0] == 0


def test_without_opencv_it_says_how_a_cut_photo_is_given(
    mix: Run,
    save_mixer: Callable[..., Path],
    parents: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from genface import face_finder

    real = builtins.__import__

    def without_opencv(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError("no cv2 here")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_opencv)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    face_finder._opencv.cache_clear()
    monkeypatch.setattr(face_finder, "_per_thread", type(face_finder._per_thread)())
    model, out = save_mixer(preparation=FACE), tmp_path / "c.png"
    code, _, stderr = mix(*parents[:2], "--model", model, "--out", out)
    assert code == 2
    assert "finding faces needs OpenCV" in stderr
    assert "a photo that is cut to the face already is taken as it is by --crop center" in stderr
    assert mix(*parents[:2], "--model", model, "--out", out, "--crop", "center")[0] == 0

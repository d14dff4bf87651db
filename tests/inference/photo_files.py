"""Files that are given for photos, and what is in a picture that was written; loaded by runpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def save_turned(path: Path, upright: NDArray[np.uint8]) -> None:
    """As a camera that was held sideways stores it: to be turned by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(path, exif=exif)


def _save_cut_off(path: Path) -> None:
    Image.new("RGB", (2000, 1500), (77, 77, 77)).save(path)
    path.write_bytes(path.read_bytes()[:-3000])


# By name: how it is made, and what is said of it.
UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.png": (lambda path: path.write_text("a face"), "not a picture that Pillow can read"),
    "empty.png": (lambda path: path.write_bytes(b""), "empty file"),
    "pixel.png": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1: sides must be 8 to"),
    "huge.png": (lambda path: Image.new("1", (10_000, 10_000)).save(path), "declares more than"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "missing.png": (lambda path: None, "no such file"),
    "cut.png": (_save_cut_off, "cannot be decoded"),
}

"""Drawn faces with eyes and a mouth, for scores whose truth is known; loaded by runpy."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_CANVAS = 64


def face(rng: np.random.Generator, size: int) -> Image.Image:
    def colour(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(level) for level in rng.integers(low, high, 3))

    image = Image.new("RGB", (_CANVAS, _CANVAS), colour(0, 256))
    draw = ImageDraw.Draw(image)
    (x, y), width, height = rng.integers(28, 36, 2), rng.integers(14, 24), rng.integers(18, 28)
    draw.ellipse((x - width, y - height, x + width, y + height), fill=colour(90, 250))
    eye, apart, up = rng.integers(2, 5), rng.integers(6, 11), rng.integers(3, 9)
    for side in (-1, 1):
        draw.ellipse((x + side * apart - eye, y - up - eye, x + side * apart + eye, y - up + eye), fill=colour(0, 120))
    mouth, down = rng.integers(4, 11), rng.integers(7, 14)
    draw.ellipse((x - mouth, y + down - 2, x + mouth, y + down + 2), fill=(150, 40, 50))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def faces(n: int, seed: int, size: int = 16) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [face(rng, size) for _ in range(n)]


def noisy(image: Image.Image, seed: int, levels: float) -> Image.Image:
    pixels = np.asarray(image).astype(float)
    noise = np.random.default_rng(seed).normal(0, levels, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def save(path: Path, pictures: Sequence[Image.Image]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for index, picture in enumerate(pictures):
            data = io.BytesIO()
            picture.save(data, "PNG")
            archive.writestr(f"{index:06d}.png", data.getvalue())
    return path

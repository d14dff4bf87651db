"""progress.gif: the same latents from the first tick to the last."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MAX_BYTES = 4_000_000
MAX_SIDE = 384
"""Of a frame in pixels, without its caption."""
_FRAMES = (40, 28, 20, 14, 10, 6, 3)
_CAPTION_PX = 20
_FRAME_MS, _LAST_MS = 180, 2500
_COLOURS, _PALETTE_FRAMES = 128, 4
T = TypeVar("T")


def grid_files(folder: Path) -> list[tuple[float, Path]]:
    """The grids of a run with their kimg, in the order of images seen; other files are left out."""
    found = [(kimg, path) for path in folder.glob("*.png") if (kimg := _kimg(path)) is not None]
    return sorted(found)


def make_film(grids: list[tuple[float, Path]], size: int, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """A GIF of the grids' upper left faces, `size` px each, captioned with their kimg; None without grids.

    As many faces as fit into `MAX_SIDE`, and as many frames, evenly chosen, first and last included, as keep the file
    within `max_bytes`; three at least.
    """
    if not grids:
        return None
    frames = [_frame(path, size, kimg) for kimg, path in _evenly(grids, _FRAMES[0])]
    # One palette for all frames: colours stay what they are, and finding one for each would take a second a frame.
    palette = _strip(_evenly(frames, _PALETTE_FRAMES)).quantize(_COLOURS)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    gif = b""
    for count in _FRAMES:
        gif = _encode(_evenly(frames, count))
        if len(gif) <= max_bytes:
            break
    return gif


def _evenly(items: list[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, the first and the last among them."""
    chosen = sorted({round(index) for index in np.linspace(0, len(items) - 1, min(count, len(items)))})
    return [items[index] for index in chosen]


def _frame(path: Path, size: int, kimg: float) -> Image.Image:
    with Image.open(path) as file:
        grid = file.convert("RGB")
    across = max(1, MAX_SIDE // size)
    corner = grid.crop((0, 0, min(across * size, grid.width), min(across * size, grid.height)))
    frame = Image.new("RGB", (corner.width, corner.height + _CAPTION_PX), "white")
    frame.paste(corner, (0, 0))
    font = ImageFont.load_default(size=12)
    ImageDraw.Draw(frame).text((4, corner.height + 2), f"{kimg:.1f} kimg", fill="black", font=font)
    return frame


def _strip(frames: list[Image.Image]) -> Image.Image:
    """Frames side by side at half their size: the colours of all in one picture."""
    width, height = frames[0].width // 2, frames[0].height // 2
    strip = Image.new("RGB", (width * len(frames), height))
    for index, frame in enumerate(frames):
        strip.paste(frame.resize((width, height), Image.Resampling.NEAREST), (index * width, 0))
    return strip


def _encode(frames: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    durations = [_FRAME_MS] * (len(frames) - 1) + [_LAST_MS]
    # Frames that are equal would be merged, and their durations with them, which is what a still film should do.
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _kimg(path: Path) -> float | None:
    """Images seen, in thousands, by a grid's name; the runs of format 1 wrote kimg with a point."""
    try:
        return float(path.stem) if "." in path.stem else int(path.stem) / 1000
    except ValueError:
        return None

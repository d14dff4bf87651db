"""One picture of an archive against the same picture drawn again: its bytes, its pixels, its marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genface.encode import PictureFormat, decode, encode
from genface.errors import BrokenImageError, UserError
from genface.provenance import is_marked, read_origin
from genface.record import DrawingRecord
from genface.sources import PictureSource

Outcome = Literal["same bytes", "same pixels", "within tolerance", "different"]

# In fp32 another machine or version moves a level by one, in about one value of 50,000. That is all the tolerance that
# a lossless picture needs.
_LOSSLESS_LEVELS = 1
# In a JPEG a level can carry a coefficient over the middle of its step, and 64 pixels move by up to dozens of levels.
# But in the middle either way is as far from the pixels that were encoded: what a block has lost of them (root mean
# square) cannot grow by more than they moved, whatever the quality. With one value in 1,000 moved by one level it grew
# by 1.7 levels at most, from quality 75 up by 0.8, with one in ten by 1.1 (600 faces and 600 blotches); a patch of 4x4
# pixels with red and blue exchanged cost 6 (median at quality 95), another face at least 51.
_JPEG_LOSS = 2.0
_JPEG_BLOCK = 8


@dataclass(frozen=True)
class Verdict:
    """What comparing one picture has shown."""

    name: str
    outcome: Outcome
    marks_right: bool
    difference: int
    reasons: tuple[str, ...]


def judge(source: PictureSource, record: DrawingRecord, index: int, pixels: NDArray[np.uint8]) -> Verdict:
    """Compare picture `index` of an archive with `pixels`, what its generator draws now: uint8 [H, W, 3]."""
    name = record.names[index - record.indices.start]
    origin = record.origin(index)
    expected = encode(pixels, origin if record.marked else None, record.picture_format)
    try:
        data = source.read(name)
        if data == expected:
            return Verdict(name, "same bytes", True, 0, ())
        found = decode(data, name)
    except BrokenImageError as error:
        return Verdict(name, "different", True, 0, (error.reason,))
    outcome, difference, reason = _compare(found, pixels, expected, record.picture_format)
    wrong = _wrong_mark(data, origin, marked=record.marked)
    return Verdict(name, outcome, not wrong, difference, tuple(text for text in (reason, wrong) if text))


def _compare(
    found: NDArray[np.uint8], pixels: NDArray[np.uint8], encoded: bytes, picture_format: PictureFormat
) -> tuple[Outcome, int, str | None]:
    """Compare what an archive holds with `pixels` and with them as `encoded`.

    Gives the outcome, the largest difference of two decoded levels, and what is wrong, if anything.
    """
    if found.shape != pixels.shape:
        (height, width), (right_height, right_width) = found.shape[:2], pixels.shape[:2]
        return "different", 0, f"has {width}x{height} pixels, not {right_width}x{right_height}"
    expected = decode(encoded)
    difference = int(np.abs(found.astype(np.int16) - expected).max())
    if difference == 0:
        return "same pixels", 0, None
    if picture_format.lossless:
        is_close = difference <= _LOSSLESS_LEVELS
    else:
        is_close = bool((_block_losses(found, pixels) - _block_losses(expected, pixels)).max() <= _JPEG_LOSS)
    return ("within tolerance", difference, None) if is_close else ("different", difference, _differs(difference))


def _block_losses(decoded: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Root mean square of what a JPEG has lost of `pixels`, in levels, for each of its blocks."""
    squares = ((decoded.astype(np.float64) - pixels) ** 2).mean(axis=-1)
    squares = np.pad(squares, [(0, -side % _JPEG_BLOCK) for side in squares.shape])
    height, width = (side // _JPEG_BLOCK for side in squares.shape)
    blocks = squares.reshape(height, _JPEG_BLOCK, width, _JPEG_BLOCK)
    return np.asarray(np.sqrt(blocks.mean(axis=(1, 3))))


def _differs(levels: int) -> str:
    return f"differs by up to {levels} level{'s' if levels > 1 else ''}"


def _wrong_mark(data: bytes, origin: dict[str, str], *, marked: bool) -> str | None:
    """What is wrong with the marks of a picture; None when nothing is."""
    try:
        if is_marked(data) != marked:
            return "is not marked as machine-made" if marked else "is marked, which its manifest denies"
        found = read_origin(data)
    except UserError as error:
        return str(error)
    for key in sorted(origin.keys() | found.keys()):
        if origin.get(key) != found.get(key):
            return f"its mark {key} is {_shown(found.get(key))}, not {_shown(origin.get(key))}"
    return None


def _shown(text: str | None) -> str:
    return "missing" if text is None else repr(text[:80])

"""What a picture's file says about it before a pixel is decoded."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from genface.photos import MAX_PIXELS

UNREADABLE = "unreadable"
"""Stands for the digest of a file that cannot be read."""

# ITU-T T.81, annex K, table K.1 (luminance), row by row.
# fmt: off
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
])
# fmt: on
_QUALITIES = np.arange(1, 101)
# libjpeg's jpeg_quality_scaling and jpeg_add_quant_table, with its baseline limit of 255.
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)
_TABLES = ((_SCALES[:, None] * _LUMINANCE + 50) // 100).clip(1, 255)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One file of a set, as its header describes it."""

    digest: str
    """SHA-256 of the file, or what stands for it where there is no file; `UNREADABLE` where it cannot be read."""
    format: str | None = None
    """Pillow's name of the format; None where no header can be read, and then all that follows is None or False."""
    mode: str | None = None
    """Pillow's name of the kind of pixels: RGB, L, P, RGBA, I;16, CMYK ..."""
    size: tuple[int, int] | None = None
    """Width and height as declared, before EXIF orientation; None where they are beyond what is decoded."""
    alpha: bool = False
    """Whether it can be transparent somewhere."""
    lossy: bool = False
    """Whether its compression loses anything: JPEG and its kin, and WebP that is not lossless."""
    jpeg_quality: int | None = None
    """About what quality it was saved with, 1 to 100, for a JPEG."""


def look(data: bytes) -> Look:
    """Hash a file and read its header. Whatever is wrong with it is left for decoding to say."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        with Image.open(io.BytesIO(data)) as header:
            kind = header.format
            tables = getattr(header, "quantization", None) or {}
            return Look(
                digest=digest,
                format=kind,
                mode=header.mode,
                size=header.size if header.width * header.height <= MAX_PIXELS else None,
                alpha=header.has_transparency_data,
                lossy=kind in _LOSSY or (kind == "WEBP" and b"VP8L" not in data[:_WEBP_HEAD]),
                jpeg_quality=about_jpeg_quality(tables[0]) if 0 in tables else None,
            )
    except Exception:  # Pillow raises whatever the damage leads to
        return Look(digest=digest)


_LOSSY = {"JPEG", "MPO", "AVIF"}
# The first chunks of an extended WebP file; a colour profile before the pixels may take some kilobytes.
_WEBP_HEAD = 1 << 16


def about_jpeg_quality(luminance: Sequence[int]) -> int:
    """The quality, 1 to 100, whose luminance table is the nearest to this one [64], row by row.

    Exact for the tables of annex K as libjpeg scales them, an estimate for those of other encoders.
    """
    distance = np.abs(_TABLES - np.asarray(luminance)).sum(axis=1)
    return int(_QUALITIES[len(distance) - 1 - np.argmin(distance[::-1])])

"""What the files of one side are, and what a sample of its faces shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.images import Side
from evalface.looks import UNREADABLE
from genface.archive import shard_indices

_SAMPLE = 64


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """Facts of one side. Headers are all read; colour and fine detail are those of up to 64 faces."""

    path: str
    n: int
    said_n: int | None
    """How many pictures the manifest tells of."""
    formats: dict[str, int]
    modes: dict[str, int]
    """Pillow's kinds of pixels: RGB, L, P, I;16 ..."""
    sizes: int
    """How many different sizes there are."""
    smallest: tuple[int, int] | None
    """Width and height of the picture with the shortest side."""
    largest: tuple[int, int] | None
    lossy: int
    """Pictures whose compression loses something."""
    jpeg_quality: tuple[int, int, int] | None
    """Lowest, median and highest of what the quantisation tables tell, about."""
    alpha: int
    """Pictures that can be transparent."""
    unreadable: int
    """Files without a readable header."""
    enlarged: int
    """Pictures that are smaller than the faces that are made of them."""
    shrunk: float
    """How many times smaller the face is than its picture, at the median."""
    repeated: int
    """Files that are byte for byte another file of the same side."""
    gray: float
    """Share of the sampled faces without any colour."""
    detail: float | None
    """Power of the finest octave (periods of 2 to 4 pixels) by that of the next, over the sampled faces; None where
    these are flat."""


def facts_of(side: Side) -> SideFacts:
    """The facts of one side."""
    looks = side.survey.looks
    sizes = [look.size for look in looks if look.size is not None]
    qualities = [look.jpeg_quality for look in looks if look.jpeg_quality is not None]
    digests = Counter(look.digest for look in looks if look.digest != UNREADABLE)
    faces = _sample(side)
    return SideFacts(
        path=str(side.source),
        n=len(looks),
        said_n=_said_n(side.source.manifest or {}),
        formats=_counted(look.format for look in looks),
        modes=_counted(look.mode for look in looks),
        sizes=len(set(sizes)),
        smallest=min(sizes, key=min, default=None),
        largest=max(sizes, key=min, default=None),
        lossy=sum(look.lossy for look in looks),
        jpeg_quality=(min(qualities), round(median(qualities)), max(qualities)) if qualities else None,
        alpha=sum(look.alpha for look in looks),
        unreadable=sum(look.format is None for look in looks),
        enlarged=sum(min(size) < side.size for size in sizes),
        shrunk=median(min(size) for size in sizes) / side.size if sizes else 1.0,
        repeated=sum(count - 1 for count in digests.values()),
        gray=float(np.mean([np.ptp(face, axis=2).max() == 0 for face in faces])) if len(faces) else 0.0,
        detail=fine_detail(faces) if len(faces) else None,
    )


def fine_detail(faces: NDArray[np.uint8]) -> float | None:
    """Mean power at 1/4 to 1/2 cycles per pixel by that at 1/8 to 1/4, of the luminance under a Hann window.

    uint8 [N, size, size, 3], N at least 1. What a smooth enlargement by two or more cannot bring back; enlargement that
    repeats pixels is not seen. None where there is no power.
    """
    size = faces.shape[1]
    y = faces.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    window = np.hanning(size)
    y = (y - y.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
    power = (np.abs(np.fft.fft2(y)) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    fine, next_octave = (float(power[(frequency > high / 2) & (frequency <= high)].sum()) for high in (0.5, 0.25))
    return fine / next_octave if next_octave > 1e-3 else None


def _sample(side: Side) -> NDArray[np.uint8]:
    n = len(side.source)
    indices = sorted({n * i // _SAMPLE for i in range(_SAMPLE)})
    faces = [face.pixels for face in side.faces(indices) if face.pixels is not None]
    return np.stack(faces) if faces else np.empty((0, side.size, side.size, 3), np.uint8)


def _said_n(manifest: dict[str, Any]) -> int | None:
    match manifest:
        case {"n": int(n), "shard": [int(number), int(count)]} if 1 <= number <= count <= n:
            return len(shard_indices(n, number, count))
        case {"n": int(n)}:
            return n
    return None


def _counted(values: Iterator[str | None]) -> dict[str, int]:
    return dict(Counter(value for value in values if value is not None).most_common())

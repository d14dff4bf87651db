"""What can be measured of the faults that generated pictures are known for; each figure stands beside the reals' own.

Pictures are uint8 [N, H, W, 3], RGB, of any N from 2 on and any one size. All distances are in levels of 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
T = TypeVar("T", np.uint8, np.float32)

NEAR_DUPLICATE = 6.0
"""Two pictures whose thumbnails differ by less than this, root mean square in levels, look alike to a person."""
_THUMBNAIL, _LAYOUT = 16, 8
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """The figures of one set of pictures."""

    n: int
    diversity: float
    """Mean distance between two pictures at 8x8 px."""
    near_duplicates: float
    """Share of pictures that have a near duplicate in the set, 0 to 1."""
    sharpness: float
    """Variance of the Laplacian (Pech-Pacheco et al. 2000)."""
    checkerboard: float
    """Power of the finest grid over that of its neighbours in the spectrum."""
    contrast: float
    """Standard deviation of all values."""
    colour: tuple[float, float, float]
    """Mean of R, G and B."""


def measure(pictures: Pictures) -> Artefacts:
    """All figures of one set; ValueError for fewer than two pictures."""
    if pictures.ndim != 4 or pictures.shape[3] != 3 or len(pictures) < 2:
        raise ValueError(f"artefacts are measured on at least two pictures [N, H, W, 3], not {pictures.shape}")
    red, green, blue = (float(value) for value in pictures.mean(axis=(0, 1, 2), dtype=np.float64))
    return Artefacts(
        n=len(pictures),
        diversity=diversity(pictures),
        near_duplicates=near_duplicates(pictures),
        sharpness=sharpness(pictures),
        checkerboard=checkerboard(pictures),
        contrast=float(pictures.std(dtype=np.float64)),
        colour=(red, green, blue),
    )


def diversity(pictures: Pictures) -> float:
    """Mean distance between two different pictures of the set at 8x8 px; 0 when all are one."""
    thumbnails = _thumbnails(pictures, _LAYOUT)
    # Every ordered pair but those of a picture with itself.
    total = sum(float(_distances(block, thumbnails).sum()) for block in _blocks(thumbnails))
    return total / (len(pictures) * (len(pictures) - 1))


def near_duplicates(pictures: Pictures, below: float = NEAR_DUPLICATE) -> float:
    """Share of pictures whose nearest other one, at 16x16 px, is nearer than `below`; 0 to 1."""
    thumbnails = _thumbnails(pictures, _THUMBNAIL)
    close = 0
    for start, block in zip(range(0, len(thumbnails), _BLOCK), _blocks(thumbnails), strict=True):
        distances = _distances(block, thumbnails)
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        close += int(np.count_nonzero(distances.min(axis=1) < below))
    return close / len(pictures)


def sharpness(pictures: Pictures) -> float:
    """Mean variance of the Laplacian of the brightness: low where pictures are blurred, high where they are grainy."""
    variances = []
    for block in _blocks(pictures):
        grey = block @ _LUMA
        centre = grey[:, 1:-1, 1:-1]
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        variances.append((around - 4 * centre).var(axis=(1, 2)))
    return float(np.concatenate(variances).mean())


def checkerboard(pictures: Pictures) -> float:
    """Mean power at the highest frequency of either axis over that of the band just below it.

    Transposed convolutions of stride 2 leave patterns of period 2 (Odena et al. 2016), which stand out as lines at the
    edge of the spectrum (Durall et al. 2020). Photos are at or below 1; 1 also where there is no power at all.
    """
    side = min(pictures.shape[1:3]) // 2 * 2
    power = np.zeros((side, side))
    for block in _blocks(pictures):
        grey = (block @ _LUMA)[:, :side, :side]
        grey = grey - grey.mean(axis=(1, 2), keepdims=True)
        # The window keeps the jump between opposite borders from filling the spectrum.
        window = np.hanning(side)
        power += (np.abs(np.fft.fft2(grey * np.outer(window, window))) ** 2).sum(axis=0)
    frequency = np.abs(np.fft.fftfreq(side))
    highest = np.maximum(frequency[:, None], frequency[None, :])
    below = power[(highest >= 0.375) & (highest < 0.5 - 1.5 / side)].mean()
    return float(power[highest == 0.5].mean() / below) if below > 0 else 1.0


def clipped_share(floats: NDArray[np.float32]) -> float:
    """Share of the generator's values that clamping to [-1, 1] moves by a level or more; 0 to 1, NaN counts."""
    return float(1.0 - np.mean(np.abs(floats) <= 1.0 + 1.0 / 127.5))


def _thumbnails(pictures: Pictures, side: int) -> NDArray[np.float32]:
    """Area-averaged to `side` px, or left as it is when smaller, each in one row; float32 [N, D]."""
    num, height, width, _ = pictures.shape
    y, x = max(1, height // side), max(1, width // side)
    cut = pictures[:, : height // y * y, : width // x * x].reshape(num, height // y, y, width // x, x, 3)
    means: NDArray[np.float32] = cut.mean(axis=(2, 4), dtype=np.float32)
    return means.reshape(num, -1)


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square difference of each row of `a` to each of `b`, float64 [n, m]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    root: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0) / a.shape[1])
    return root


def _blocks(rows: NDArray[T]) -> list[NDArray[T]]:
    """Slices of at most 256 rows, so that memory does not grow with the square."""
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]

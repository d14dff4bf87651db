"""What the paintings share: chance by counter, smooth noise, colours along a ramp, a canvas twice as large.

Lengths are shares of the canvas's side, x to the right and y downwards, so that a painting is the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genface.latents import philox4x32

Plane: TypeAlias = NDArray[np.floating[Any]]
"""One number for each of some places: [h, w] or [N]."""
Colours: TypeAlias = NDArray[np.floating[Any]]
"""sRGB from 0 to 255 for each of some places: [h, w, 3] or [N, 3]."""

OVERSAMPLING = 2

# Philox's fourth counter word: latents have 0 there and cartoons 1.
_STREAM = 2


class Dice:
    """Uniform numbers that are a function of a seed and of what was thrown before, on any machine."""

    def __init__(self, seed: int) -> None:
        self._seed, self._throws = seed, 0

    def throw(self, n: int, low: float = 0.0, high: float = 1.0) -> Plane:
        """`n` numbers between `low` and `high`: float64 [n]."""
        block = np.arange(-(-n // 4), dtype=np.uint64)
        rest = [np.full_like(block, word) for word in (self._throws, 0, _STREAM)]
        self._throws += 1
        words = np.stack(philox4x32((block, *rest), (self._seed, 0)), axis=-1).reshape(-1)[:n]
        uniform: Plane = low + (high - low) * (words.astype(np.float64) + 0.5) / 2.0**32
        return uniform

    def bells(self, n: int) -> Plane:
        """`n` numbers about 0 with a standard deviation of about 1 and none beyond 3: sums of three uniforms."""
        return 2.0 * (self.throw(n) + self.throw(n) + self.throw(n) - 1.5)

    def noise(self, side: int, cells: int, octaves: int = 1) -> Plane:
        """Smooth noise [side, side], about -1 to 1: `cells` hills along a side, twice as many in each octave more."""
        total = np.zeros((side, side))
        for octave in range(octaves):
            count = cells << octave
            lattice = Image.fromarray(self.throw(count * count, -1, 1).reshape(count, count).astype(np.float32))
            total += np.asarray(lattice.resize((side, side), Image.Resampling.BICUBIC)) * 0.5**octave
        return total


def grid(side: int) -> tuple[Plane, Plane]:
    """x and y of the pixels' centres, 0 to 1: [side, side] each."""
    centres = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(centres, centres)
    return x, y


def ramp(t: Plane, stops: Sequence[tuple[float, str]]) -> Colours:
    """Colours along a ramp of (place, "#rrggbb"), places rising: [...] -> [..., 3]."""
    places = [place for place, _ in stops]
    colours = np.array([colour(text) for _, text in stops])
    return np.stack([np.interp(t, places, channel) for channel in colours.T], axis=-1)


def colour(text: str) -> Colours:
    """`#rrggbb` -> [3]."""
    return np.array([int(text[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)


def over(below: Colours, above: Colours, amount: Plane) -> Colours:
    """Lay colours over others, opaque where `amount` is 1."""
    laid: Colours = below + amount[..., None] * (above - below)
    return laid


def smoothstep(low: float, high: float, t: Plane) -> Plane:
    """0 below `low`, 1 above `high`, cubic between; `low` may exceed `high`."""
    u = np.clip((t - low) / (high - low), 0.0, 1.0)
    eased: Plane = u * u * (3.0 - 2.0 * u)
    return eased


def sample(picture: Colours, x: Plane, y: Plane) -> Colours:
    """Colours of a picture [h, w, 3] at places [N], the nearest pixel; beyond the border the border's."""
    rows = np.clip((y * picture.shape[0]).astype(np.int64), 0, picture.shape[0] - 1)
    columns = np.clip((x * picture.shape[1]).astype(np.int64), 0, picture.shape[1] - 1)
    chosen: Colours = picture[rows, columns]
    return chosen


def to_image(picture: Colours) -> Image.Image:
    """[h, w, 3] -> RGB."""
    return Image.fromarray(np.rint(picture.clip(0, 255)).astype(np.uint8))


def finished(canvas: Image.Image, side: int) -> Image.Image:
    """The canvas averaged down to the painting's side."""
    return canvas.resize((side, side), Image.Resampling.BOX)

"""Paintings that the project draws itself, to try styles with: free of anyone's rights, and the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from PIL import Image

from genface.errors import UserError
from trainface.style.paintings.dots import draw_dots
from trainface.style.paintings.glass import draw_glass
from trainface.style.paintings.wind import draw_wind
from trainface.style.paintings.woodcut import draw_woodcut

PAINTINGS: Mapping[str, Callable[[int], Image.Image]] = MappingProxyType(
    {"dots": draw_dots, "glass": draw_glass, "wind": draw_wind, "woodcut": draw_woodcut}
)
"""Each by its name: from a side in pixels to the picture."""

MIN_SIDE, MAX_SIDE = 64, 2048


def draw(name: str, side: int) -> Image.Image:
    """Draw a painting as a square of `side` pixels; it is the same picture at every size, but for what a pixel holds.

    Raises UserError for an unknown name and a side out of range.
    """
    if name not in PAINTINGS:
        raise UserError(f"unknown painting {name!r}; known: {', '.join(PAINTINGS)}")
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise UserError(f"a painting of {side} px: must be {MIN_SIDE} to {MAX_SIDE}")
    return PAINTINGS[name](side)

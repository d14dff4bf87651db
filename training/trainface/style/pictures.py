"""Photos and paintings as the style networks take them, and back."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from genface.errors import UserError
from trainface.pixels import to_floats, to_levels
from trainface.style.sides import MAX_SIDE, MIN_SIDE


def scaled(picture: Image.Image, longer_side: int, name: str, option: str = "--size") -> Image.Image:
    """The picture with its longer side of this many pixels (Lanczos), its proportions kept.

    Raises UserError, naming the picture by `name` and the `option` that chose its longer side, where its shorter side
    would be too short for the features.
    """
    if not MIN_SIDE <= longer_side <= MAX_SIDE:
        raise UserError(f"a side of {longer_side} px: must be {MIN_SIDE} to {MAX_SIDE}")
    scale = longer_side / max(picture.size)
    width, height = (max(round(side * scale), 1) for side in picture.size)
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{name}: {picture.width}x{picture.height} px becomes {width}x{height}, and the shorter side must have"
            f" {MIN_SIDE}; give a larger {option}, or a picture that is less narrow"
        )
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def to_tensor(picture: Image.Image) -> Tensor:
    """RGB -> float32 [1, 3, H, W] in [-1, 1]."""
    return to_floats(torch.from_numpy(np.array(picture, dtype=np.uint8))[None]).contiguous()


def to_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    """float32 [N, 3, H, W], about [-1, 1] -> uint8 [N, H, W, 3]."""
    pixels: NDArray[np.uint8] = to_levels(pictures.detach()).cpu().numpy()
    return pixels

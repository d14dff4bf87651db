"""Between the pictures that people see and the numbers that networks take: the one place for either direction."""

from __future__ import annotations

import torch
from torch import Tensor


def to_levels(images: Tensor) -> Tensor:
    """RGB float32 [N, 3, H, W], about [-1, 1] -> uint8 [N, H, W, 3]; half to even, what is out of range is clamped.

    The clamp stands before the cast: ONNX's Cast wraps or saturates by provider.
    """
    levels = (images * 127.5 + 127.5).round().clamp(0.0, 255.0)
    return levels.permute(0, 2, 3, 1).to(torch.uint8)


def to_floats(pixels: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> RGB float32 [N, 3, H, W] in [-1, 1], in channels_last memory without a copy for it."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1

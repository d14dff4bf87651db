"""Changing the size of pictures and feature maps by two, the same way everywhere."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def upsample(x: Tensor, times: int = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, times H, times W], bilinear; pixels are areas, and the border is held."""
    return functional.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2] by the antialiasing kernel [1, 3, 3, 1] / 8 in each direction; border held.

    Two averages of neighbours and one of disjoint pairs make that kernel. They can be differentiated twice on every
    device and in bf16, which torch's antialiased interpolation cannot, and cost less than a depthwise convolution.
    """
    # Leaving the padding out of the averages is what holds the border.
    x = functional.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)
    return functional.avg_pool2d(functional.avg_pool2d(x, 2, stride=1), 2)

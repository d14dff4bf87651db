"""What the norm-free networks share: where a generator starts, where a discriminator ends, how weights begin."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LEAK = 0.2
"""Slope of every LeakyReLU below zero."""
RECTIFIER_GAIN = math.sqrt(2.0 / (1.0 + LEAK**2))
"""What keeps the variance through a convolution and a LeakyReLU (He et al. 2015)."""


class Start(nn.Module):
    """z float32 [N, z_dim] -> [N, width, 4, 4]: a learned basis, each channel scaled by a projection of z."""

    def __init__(self, *, z_dim: int, width: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(width, 4, 4))
        self.style = nn.Linear(z_dim, width, bias=False)
        nn.init.normal_(self.style.weight, 0.0, 1.0 / math.sqrt(z_dim))

    def forward(self, z: Tensor) -> Tensor:
        style: Tensor = self.style(z)
        return style[:, :, None, None] * self.basis


class Head(nn.Module):
    """[N, width, 4, 4] -> logits float32 [N, 1]: a weighted sum of each channel's pixels, then of the channels."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.collect = nn.Conv2d(width, width, 4, groups=width, bias=False)
        self.score = nn.Linear(width, 1)
        # Linear, so there is no rectifier to make up for.
        nn.init.normal_(self.collect.weight, 0.0, 0.25)
        nn.init.normal_(self.score.weight, 0.0, 1.0 / math.sqrt(width))
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.score(self.collect(x).flatten(1))
        return logits.to(torch.float32)


def init_normal(convolution: nn.Conv2d | nn.ConvTranspose2d, gain: float = 1.0) -> None:
    """Weights N(0, gain^2 / fan_in), biases 0."""
    side = convolution.kernel_size[0]
    if isinstance(convolution, nn.ConvTranspose2d):
        # Each output pixel reads as many input pixels as strides fit into the kernel: 2x2 for 4x4 with stride 2.
        fan_in = convolution.in_channels * (side // convolution.stride[0]) ** 2
    else:
        fan_in = convolution.in_channels // convolution.groups * side**2
    nn.init.normal_(convolution.weight, 0.0, gain / math.sqrt(fan_in))
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)

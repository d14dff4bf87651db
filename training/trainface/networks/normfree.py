"""Norm-free convolutional networks for the relativistic loss with R1 + R2, small enough to train on a CPU.

The plan follows R3GAN (Huang et al. 2024) where it is cheap: a learned 4x4 basis scaled by z, no normalisation, no
tanh, variance-preserving weights, a depthwise 4x4 head. Strided 4x4 convolutions take the place of its residual blocks:
on a CPU a transposed convolution costs less than half of an upsampling followed by a convolution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainface.networks.parts import LEAK, RECTIFIER_GAIN, init_normal


class Generator(nn.Module):
    """z float32 [N, z_dim], standard normal -> RGB float32 [N, 3, size, size], about [-1, 1], not clamped."""

    def __init__(self, *, z_dim: int, widths: Sequence[int]) -> None:
        """`widths` are the channels at 4, 8, 16 ... px; the last entry is half the output size."""
        super().__init__()
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.style = nn.Linear(z_dim, widths[0], bias=False)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        self.layers = nn.Sequential(*layers)
        self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1)
        self.apply(_init)
        nn.init.normal_(self.style.weight, 0.0, 1.0 / math.sqrt(z_dim))
        with torch.no_grad():
            self.to_rgb.weight.mul_(0.5)

    def forward(self, z: Tensor) -> Tensor:
        # [N, z_dim] -> [N, C, 1, 1] * [C, 4, 4] -> [N, 3, size, size]
        start = self.style(z)[:, :, None, None] * self.basis
        images: Tensor = self.to_rgb(self.layers(start))
        return images


class Discriminator(nn.Module):
    """RGB float32 [N, 3, size, size] -> logits float32 [N, 1]."""

    def __init__(self, *, widths: Sequence[int]) -> None:
        """`widths` are the channels at size/2, size/4 ... 4 px."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip([3, *widths], widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        self.layers = nn.Sequential(*layers)
        self.collect = nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        self.score = nn.Linear(widths[-1], 1)
        self.apply(_init)
        # The head is linear: no rectifier to make up for.
        nn.init.normal_(self.collect.weight, 0.0, 0.25)
        nn.init.normal_(self.score.weight, 0.0, 1.0 / math.sqrt(widths[-1]))

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, C, 4, 4] -> [N, C] -> [N, 1]
        features = self.collect(self.layers(images)).flatten(1)
        logits: Tensor = self.score(features)
        return logits.to(torch.float32)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        init_normal(module, RECTIFIER_GAIN)

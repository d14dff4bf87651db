"""R3GAN's networks (Huang et al. 2024): residual blocks without normalisation, zero at their end when they begin.

Where the paper has groups of 16 channels and twice the width inside a block, these have groups of 64 and the plain
width: about the same arithmetic for the whole network, and matrix units of CPUs and GPUs are filled by groups of 64.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from trainface.networks.parts import LEAK, RECTIFIER_GAIN, Head, Start, init_normal
from trainface.networks.resample import downsample, upsample

GROUP = 64
"""Channels in a group of the 3x3 convolutions; a width that it doesn't divide is one group."""


class Block(nn.Module):
    """x + C3(lrelu(C2(lrelu(C1 x)))) on [N, width, H, W]: 1x1, 3x3 grouped, 1x1; C3 begins at zero.

    `gain` is that of C1 and C2.
    """

    def __init__(self, width: int, gain: float) -> None:
        super().__init__()
        groups = width // GROUP if width % GROUP == 0 else 1
        self.enter = nn.Conv2d(width, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.leave = nn.Conv2d(width, width, 1, bias=False)
        init_normal(self.enter, gain)
        init_normal(self.mix, gain)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.enter(x), LEAK)
        change: Tensor = self.leave(functional.leaky_relu(self.mix(inner), LEAK))
        return x + change


class Generator(nn.Module):
    """z float32 [N, z_dim], standard normal -> RGB float32 [N, 3, size, size], about [-1, 1], not clamped."""

    def __init__(self, *, z_dim: int, widths: Sequence[int], blocks: int) -> None:
        """`widths` are the channels at 4, 8 ... size px, `blocks` the residual blocks at each."""
        super().__init__()
        self.start = Start(z_dim=z_dim, width=widths[0])
        self.stages = _stages(widths, blocks)
        self.changes = nn.ModuleList(_change(low, high) for low, high in itertools.pairwise(widths))
        self.to_rgb = _linear(widths[-1], 3)

    def forward(self, z: Tensor) -> Tensor:
        # [N, z_dim] -> [N, C, 4, 4] -> [N, 3, size, size]; widths change at the lower resolution, where it is cheap.
        x = self.stages[0](self.start(z))
        for change, stage in zip(self.changes, self.stages[1:], strict=True):
            x = stage(upsample(change(x)))
        images: Tensor = self.to_rgb(x)
        return images


class Discriminator(nn.Module):
    """RGB float32 [N, 3, size, size] -> logits float32 [N, 1]."""

    def __init__(self, *, widths: Sequence[int], blocks: int) -> None:
        """`widths` are the channels at size, size/2 ... 4 px, `blocks` the residual blocks at each.

        Inside, stages are counted from 4 px up, so that they keep their names when the network grows.
        """
        super().__init__()
        upwards = widths[::-1]
        self.from_rgb = _linear(3, upwards[-1])
        self.stages = _stages(upwards, blocks)
        self.changes = nn.ModuleList(_change(high, low) for low, high in itertools.pairwise(upwards))
        self.head = Head(width=upwards[0])

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, C, 4, 4] -> [N, 1]
        x = self.from_rgb(images)
        for change, stage in zip(reversed(self.changes), reversed(self.stages[1:]), strict=True):
            x = change(downsample(stage(x)))
        logits: Tensor = self.head(self.stages[0](x))
        return logits


def _stages(widths: Sequence[int], blocks: int) -> nn.ModuleList:
    # Fix-up (Zhang et al. 2019): a block of m = 3 layers begins with L^(-1 / (2m - 2)) for L blocks in all.
    gain = RECTIFIER_GAIN * (len(widths) * blocks) ** -0.25
    return nn.ModuleList(nn.Sequential(*(Block(width, gain) for _ in range(blocks))) for width in widths)


def _change(before: int, after: int) -> nn.Module:
    return nn.Identity() if before == after else _linear(before, after)


def _linear(before: int, after: int) -> nn.Conv2d:
    convolution = nn.Conv2d(before, after, 1, bias=False)
    init_normal(convolution)
    return convolution

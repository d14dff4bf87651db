"""One pair of networks with a picture at every scale, for two ways to learn from 4 px up to 256.

Multi-scale gradients (msg; Karnewar & Wang 2020): G emits all scales at once and D reads them all. Progressive growing
(Karras et al. 2018): one scale at a time, each faded in over the one below. The trunks are those of `normfree`, since
strided 4x4 convolutions are what a CPU does cheapest; scales are counted from 0 for 4 px.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainface.networks.parts import LEAK, RECTIFIER_GAIN, Head, Start, init_normal
from trainface.networks.resample import downsample, upsample

Scales = tuple[Tensor, ...]


class Growing(nn.Module):
    """How far a progressive pyramid has grown: fully, until `set_progress` says otherwise."""

    fade: Tensor
    """float32 scalar: weight of the highest scale against the one below, upsampled."""

    def __init__(self, *, scales: int, progressive: bool, grow_over: float) -> None:
        super().__init__()
        self.scales, self.progressive, self._grow_over = scales, progressive, grow_over
        self.scale = scales - 1
        """The highest scale in use: a number of Python's, so a compiled step is compiled once for each."""
        self._settled = True
        self.register_buffer("fade", torch.ones(()), persistent=False)

    @torch.no_grad()
    def set_progress(self, at: float) -> None:
        """Take scale and fade from the schedule's progress `at` in [0, 1]; the device is not waited for."""
        if self.progressive:
            self.scale, fade = growth(at / self._grow_over, self.scales)
            self._settled = fade == 1.0
            # A tensor, so that a compiled step is not compiled anew for every value.
            self.fade.fill_(fade)

    @property
    def blends(self) -> bool:
        """Whether the scale below takes part; in training always, so that one graph serves the whole stage."""
        return self.progressive and self.scale > 0 and (self.training or not self._settled)


class Generator(Growing):
    """z float32 [N, z_dim], standard normal -> RGB float32 [N, 3, size, size], about [-1, 1], not clamped."""

    def __init__(self, *, z_dim: int, widths: Sequence[int], progressive: bool, grow_over: float) -> None:
        """`widths` are the channels at 4, 8 ... size px."""
        super().__init__(scales=len(widths), progressive=progressive, grow_over=grow_over)
        self.start = Start(z_dim=z_dim, width=widths[0])
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(low, high, 4, stride=2, padding=1) for low, high in itertools.pairwise(widths)
        )
        self.to_rgb = nn.ModuleList(nn.Conv2d(width, 3, 1) for width in widths)
        for up in self.ups:
            assert isinstance(up, nn.ConvTranspose2d)
            init_normal(up, RECTIFIER_GAIN)
        for to_rgb in self.to_rgb:
            assert isinstance(to_rgb, nn.Conv2d)
            init_normal(to_rgb, 0.5)

    def emit(self, z: Tensor) -> Scales:
        """What D reads in training: every scale (msg), or the highest in use (progressive)."""
        features = self._features(z)
        if self.progressive:
            return (self._highest(features),)
        return tuple(to_rgb(x) for to_rgb, x in zip(self.to_rgb, features, strict=True))

    def forward(self, z: Tensor) -> Tensor:
        # [N, z_dim] -> [N, 3, 4 << scale, 4 << scale] -> [N, 3, size, size]
        images = self._highest(self._features(z))
        return upsample(images, 2 ** (self.scales - 1 - self.scale)) if self.scale < self.scales - 1 else images

    def _features(self, z: Tensor) -> list[Tensor]:
        """Feature maps of the scales in use, the lowest first."""
        features = [self.start(z)]
        for scale in range(self.scale):
            features.append(functional.leaky_relu(self.ups[scale](features[-1]), LEAK))
        return features

    def _highest(self, features: list[Tensor]) -> Tensor:
        images: Tensor = self.to_rgb[self.scale](features[-1])
        if self.blends:
            below = upsample(self.to_rgb[self.scale - 1](features[-2]))
            images = self.fade * images + (1.0 - self.fade) * below
        return images


class Discriminator(Growing):
    """RGB float32 [N, 3, h, w] of every scale (msg) or of the highest in use (progressive) -> logits float32 [N, 1]."""

    def __init__(self, *, widths: Sequence[int], progressive: bool, grow_over: float) -> None:
        """`widths` are the channels at size, size/2 ... 4 px."""
        super().__init__(scales=len(widths), progressive=progressive, grow_over=grow_over)
        upwards = widths[::-1]
        self.from_rgb = nn.ModuleList(nn.Conv2d(3, width, 1) for width in upwards)
        self.downs = nn.ModuleList(
            nn.Conv2d(high, low, 4, stride=2, padding=1) for low, high in itertools.pairwise(upwards)
        )
        self.head = Head(width=upwards[0])
        # Below the highest scale of msg, two of these are summed in front of every rectifier.
        gain = RECTIFIER_GAIN if progressive else RECTIFIER_GAIN * math.sqrt(0.5)
        for convolution in [*self.from_rgb, *self.downs]:
            assert isinstance(convolution, nn.Conv2d)
            init_normal(convolution, gain)

    def read(self, reals: Tensor) -> Scales:
        """Reals float32 [N, 3, size, size] as G emits its images: all scales, or the one in use, faded alike."""
        if not self.progressive:
            pyramid = [reals]
            while len(pyramid) < self.scales:
                pyramid.append(downsample(pyramid[-1]))
            return tuple(reversed(pyramid))
        images = reals
        for _ in range(self.scales - 1 - self.scale):
            images = downsample(images)
        if self.blends:
            images = self.fade * images + (1.0 - self.fade) * upsample(downsample(images))
        return (images,)

    def forward(self, *images: Tensor) -> Tensor:
        x = functional.leaky_relu(self.from_rgb[self.scale](images[-1]), LEAK)
        for scale in reversed(range(self.scale)):
            x = self.downs[scale](x)
            if not self.progressive:
                x = x + self.from_rgb[scale](images[scale])
            elif self.blends and scale == self.scale - 1:
                x = self.fade * x + (1.0 - self.fade) * self.from_rgb[scale](downsample(images[-1]))
            x = functional.leaky_relu(x, LEAK)
        logits: Tensor = self.head(x)
        return logits


def growth(share: float, scales: int) -> tuple[int, float]:
    """(highest scale in use, its fade in [0, 1]) after this share of the growing, which ends with the last fade.

    All scales get the same time, half of it for their fade; the lowest has nothing to fade from, and the last stays.
    """
    stage = share * (scales - 0.5)
    scale = min(int(stage), scales - 1)
    return scale, min(2.0 * (stage - scale), 1.0) if scale > 0 else 1.0

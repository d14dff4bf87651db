"""The DCGAN of Radford et al. 2015 at any power-of-two size: transposed convolutions, BatchNorm, N(0, 0.02) weights."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    """z float32 [N, z_dim] -> RGB float32 [N, 3, size, size] in [-1, 1] (tanh)."""

    def __init__(self, *, z_dim: int, size: int, width: int = 64) -> None:
        super().__init__()
        channels = [width << stage for stage in reversed(range(num_stages(size)))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(z_dim, channels[0], 4, bias=False), *_norm_relu(channels[0])]
        for before, after in itertools.pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), *_norm_relu(after)]
        layers += [nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_init)

    def forward(self, z: Tensor) -> Tensor:
        # [N, z_dim] -> [N, z_dim, 1, 1] -> [N, 3, size, size]
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """RGB float32 [N, 3, size, size] -> logits float32 [N, 1]. BatchNorm: keep real and fake batches apart."""

    def __init__(self, *, size: int, width: int = 64) -> None:
        super().__init__()
        channels = [width << stage for stage in range(num_stages(size))]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in itertools.pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2),
            ]
        layers += [nn.Conv2d(channels[-1], 1, 4, bias=False)]
        self.layers = nn.Sequential(*layers)
        self.apply(_init)

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, 1, 1, 1] -> [N, 1]
        logits: Tensor = self.layers(images)
        return logits.flatten(1).to(torch.float32)


def num_stages(size: int) -> int:
    """Doublings from 4 px to `size`: 4 for 64 px."""
    stages = size.bit_length() - 3
    assert size == 4 << stages, "the configuration admits powers of two only"
    return stages


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)

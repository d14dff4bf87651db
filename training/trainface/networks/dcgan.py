"""The DCGAN of Radford et al. 2015 at any power-of-two size: 4x4 convolutions with stride 2, N(0, 0.02) weights.

Layers are numbered as in the plain network with BatchNorm whatever stands between them, so that checkpoints with and
without noise layers load into each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from trainface.config import DNorm
from trainface.layers import GaussianNoise
from trainface.networks.parts import LEAK


class Generator(nn.Module):
    """z float32 [N, z_dim] -> RGB float32 [N, 3, size, size] in [-1, 1] (tanh)."""

    def __init__(self, *, z_dim: int, size: int, width: int = 64, noise: bool = False) -> None:
        """`width` is the channels at size/2 px, doubled at each stage below; `noise`: before every convolution."""
        super().__init__()
        channels = [width << stage for stage in reversed(range(num_stages(size)))]
        self.layers = nn.Sequential()
        first = nn.ConvTranspose2d(z_dim, channels[0], 4, bias=False)
        _append(self.layers, first, *_norm_relu(channels[0]), noise=noise)
        for before, after in itertools.pairwise(channels):
            convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
            _append(self.layers, convolution, *_norm_relu(after), noise=noise)
        last = nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1, bias=False)
        _append(self.layers, last, nn.Tanh(), noise=noise)
        self.apply(_init)

    def forward(self, z: Tensor) -> Tensor:
        # [N, z_dim] -> [N, z_dim, 1, 1] -> [N, 3, size, size]
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """RGB float32 [N, 3, size, size] -> logits float32 [N, 1]. With BatchNorm, keep real and fake batches apart."""

    def __init__(self, *, size: int, width: int = 64, norm: DNorm = "batch", noise: bool = False) -> None:
        """`width` is the channels at size/2 px, doubled at each stage below; `noise` stands before every convolution.

        `norm` follows each convolution but the first and the last (batch, or instance with a learned scale and shift),
        or bounds the weights of all of them (spectral; Miyato et al. 2018).
        """
        super().__init__()
        channels = [width << stage for stage in range(num_stages(size))]
        # BatchNorm's network is the original one, which has no bias anywhere.
        bare = norm == "batch"
        self.layers = nn.Sequential()
        first = nn.Conv2d(3, width, 4, stride=2, padding=1, bias=not bare)
        _append(self.layers, first, nn.LeakyReLU(LEAK), noise=noise)
        for before, after in itertools.pairwise(channels):
            norms = [make(after) for make in _NORMS[norm]]
            convolution = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=not norms)
            _append(self.layers, convolution, *norms, nn.LeakyReLU(LEAK), noise=noise)
        _append(self.layers, nn.Conv2d(channels[-1], 1, 4, bias=not bare), noise=noise)
        self.apply(_init)
        if norm == "spectral":
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, 1, 1, 1] -> [N, 1]
        logits: Tensor = self.layers(images)
        return logits.flatten(1).to(torch.float32)


def num_stages(size: int) -> int:
    """Doublings from 4 px to `size`: 4 for 64 px."""
    stages = size.bit_length() - 3
    assert size == 4 << stages, "the configuration admits powers of two only"
    return stages


_NORMS: Mapping[DNorm, tuple[Callable[[int], nn.Module], ...]] = {
    "batch": (nn.BatchNorm2d,),
    "instance": (lambda channels: nn.InstanceNorm2d(channels, affine=True),),
    "spectral": (),
    "none": (),
}


def _append(chain: nn.Sequential, *layers: nn.Module, noise: bool) -> None:
    """Add layers under the next numbers; the noise before them gets a name, and so takes no number."""
    number = sum(1 for name, _ in chain.named_children() if name.isdecimal())
    if noise:
        chain.add_module(f"noise{number}", GaussianNoise())
    for offset, layer in enumerate(layers):
        chain.add_module(str(number + offset), layer)


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)

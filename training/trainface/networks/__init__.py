"""Generators and discriminators, built from a configuration, and what a training step needs to know of them.

In training, pictures travel as `Scales`: float32 [N, 3, h, w] each, the lowest scale first. Plain networks have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from trainface.config import OFF, Architecture, Config
from trainface.networks import dcgan, normfree, pyramid, r3
from trainface.networks.pyramid import Scales

__all__ = [
    "Scales",
    "build_discriminator",
    "build_generator",
    "generate_scales",
    "judges_batches",
    "reals_at_scales",
    "set_progress",
]


def build_generator(config: Config) -> nn.Module:
    """G: z float32 [N, z_dim] -> RGB float32 [N, 3, size, size], about [-1, 1]."""
    return _GENERATORS[config.architecture](config)


def build_discriminator(config: Config) -> nn.Module:
    """D: scales as `reals_at_scales` gives them, for plain networks RGB [N, 3, size, size] -> logits float32 [N, 1]."""
    return _DISCRIMINATORS[config.architecture](config)


def judges_batches(discriminator: nn.Module) -> bool:
    """Whether D mixes the images of a batch (BatchNorm), so that real and fake batches must be kept apart."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules())


def generate_scales(generator: nn.Module, z: Tensor) -> Scales:
    """What D judges in training: z float32 [N, z_dim] -> G's images at the scales that are being learned."""
    scales = generator.emit(z) if isinstance(generator, pyramid.Generator) else (generator(z),)
    return tuple(images.to(torch.float32) for images in scales)


def reals_at_scales(discriminator: nn.Module, reals: Tensor) -> Scales:
    """Reals float32 [N, 3, size, size] at the scales that D judges, downsampled without aliasing."""
    return discriminator.read(reals) if isinstance(discriminator, pyramid.Discriminator) else (reals,)


def set_progress(network: nn.Module, at: float) -> None:
    """Let a progressive pyramid stand where the schedule's progress `at` in [0, 1] wants it; others stay as they are.

    G, its averages and D must all be told. A freshly built pyramid is fully grown.
    """
    if isinstance(network, pyramid.Growing):
        network.set_progress(at)


_Build = Mapping[Architecture, Callable[[Config], nn.Module]]

_GENERATORS: _Build = {
    "dcgan": lambda config: dcgan.Generator(
        z_dim=config.z_dim, size=config.size, width=config.g_widths[0], noise=config.g_noise != OFF
    ),
    "normfree": lambda config: normfree.Generator(z_dim=config.z_dim, widths=config.g_widths),
    "r3": lambda config: r3.Generator(z_dim=config.z_dim, widths=config.g_widths, blocks=config.blocks),
    "pyramid": lambda config: pyramid.Generator(
        z_dim=config.z_dim,
        widths=config.g_widths,
        progressive=config.regime == "progressive",
        grow_over=config.grow_over,
    ),
}

_DISCRIMINATORS: _Build = {
    "dcgan": lambda config: dcgan.Discriminator(
        size=config.size, width=config.d_widths[0], norm=config.d_norm, noise=config.d_noise != OFF
    ),
    "normfree": lambda config: normfree.Discriminator(widths=config.d_widths),
    "r3": lambda config: r3.Discriminator(widths=config.d_widths, blocks=config.blocks),
    "pyramid": lambda config: pyramid.Discriminator(
        widths=config.d_widths, progressive=config.regime == "progressive", grow_over=config.grow_over
    ),
}

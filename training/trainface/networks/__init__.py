"""Generators and discriminators, built from a configuration."""

from __future__ import annotations

from torch import nn

from trainface.config import Config
from trainface.networks import dcgan, normfree


def build_generator(config: Config) -> nn.Module:
    """G: z float32 [N, z_dim] -> RGB float32 [N, 3, size, size], about [-1, 1]."""
    if config.architecture == "dcgan":
        return dcgan.Generator(z_dim=config.z_dim, size=config.size, width=config.g_widths[0])
    return normfree.Generator(z_dim=config.z_dim, widths=config.g_widths)


def build_discriminator(config: Config) -> nn.Module:
    """D: RGB float32 [N, 3, size, size] -> logits float32 [N, 1]."""
    if config.architecture == "dcgan":
        return dcgan.Discriminator(size=config.size, width=config.d_widths[0])
    return normfree.Discriminator(widths=config.d_widths)


def judges_batches(discriminator: nn.Module) -> bool:
    """Whether D mixes the images of a batch (BatchNorm), so that real and fake batches must be kept apart."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules())

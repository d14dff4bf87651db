"""The network that ships: the averaged generator with BatchNorm folded, and pictures that are ready to encode."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trainface.pixels import to_levels


class Deployable(nn.Module):
    """z float32 [N, z_dim] -> images uint8 [N, H, W, 3], RGB."""

    def __init__(self, generator: nn.Module) -> None:
        """`generator`: z -> RGB float32 [N, 3, H, W], about [-1, 1], in eval mode; it is copied, not changed."""
        super().__init__()
        self.generator = fold_batch_norm(generator).float().to(memory_format=torch.contiguous_format)
        self.requires_grad_(False).eval()

    def forward(self, z: Tensor) -> Tensor:
        return to_levels(self.generator(z))


class WithFloats(nn.Module):
    """The same network, which also yields the last float tensor: z -> (images, float32 [N, 3, H, W])."""

    def __init__(self, deployable: Deployable) -> None:
        super().__init__()
        self.generator = deployable.generator
        self.eval()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        floats = self.generator(z)
        return to_levels(floats), floats


def fold_batch_norm(generator: nn.Module) -> nn.Module:
    """A copy whose BatchNorm layers are folded into the (transposed) convolutions before them, by running statistics.

    W' = W gamma / sqrt(var + eps) per output channel, b' = (b - mean) gamma / sqrt(var + eps) + beta. Folds within
    `nn.Sequential`; a BatchNorm anywhere else is an error of the network's author.
    """
    folded = copy.deepcopy(generator).eval()
    for chain in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for index, (before, norm) in enumerate(itertools.pairwise(list(chain))):
            if isinstance(before, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                chain[index] = fuse_conv_bn_eval(before, norm, transpose=isinstance(before, nn.ConvTranspose2d))
                chain[index + 1] = nn.Identity()
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folded.modules())
    return folded

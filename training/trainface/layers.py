"""Layers that act in training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """x -> x + std * n, [N, C, H, W] with n standard normal, in training mode; x itself in eval mode.

    The standard deviation starts at 0 and is set by `set_noise`. It is a buffer, so that a compiled network is not
    compiled anew for every value, and it stays out of the state dict: the schedule knows it.
    """

    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("std", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        # fp32 in the order of channels-last memory: strided or bf16 numbers take a CPU seven times as long to draw.
        n, c, h, w = x.shape
        noise = torch.randn(n, h, w, c, device=x.device).permute(0, 3, 1, 2)
        return x + (self.std * noise).to(x.dtype)


@torch.no_grad()
def set_noise(network: nn.Module, std: float) -> None:
    """Give every noise layer of `network` this standard deviation; the device is not waited for."""
    for module in network.modules():
        if isinstance(module, GaussianNoise):
            module.std.fill_(std)

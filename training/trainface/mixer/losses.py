"""What a mixer learns for, as pure functions: no networks, no logging, no device. All return float32 scalars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from trainface.mixer.config import PixelLoss

_TINY = 1e-8
"""Under a squared norm; the squares of real feature maps lie far above."""


def l1(raw: Tensor, reals: Tensor) -> Tensor:
    """Mean |x - y| of pictures [N, 3, H, W], both in about [-1, 1]; blurs less than squares (Zhao et al. 2017)."""
    return (raw - reals).abs().mean()


def mse(raw: Tensor, reals: Tensor) -> Tensor:
    """Mean (s(x) - y)^2, s the logistic function: logits against reals [N, 3, H, W] in [-1, 1], taken to [0, 1]."""
    return (raw.sigmoid() - to_unit(reals)).square().mean()


def bce(raw: Tensor, reals: Tensor) -> Tensor:
    """Mean -y log s(x) - (1 - y) log(1 - s(x)), s the logistic function: logits against reals taken to [0, 1].

    Pixels are read as chances (Hinton & Salakhutdinov 2006); the least that can be reached is their entropy, not 0.
    """
    return F.binary_cross_entropy_with_logits(raw, to_unit(reals))


PIXEL_LOSSES: dict[PixelLoss, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "mse": mse, "bce": bce}


def to_unit(images: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]."""
    return images * 0.5 + 0.5


def perceptual(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Distance of two batches of pictures in the feature maps of a network: lists of [N, C, H, W].

    Each place's features are made a unit vector; squared distances of these are averaged over places and layers (Zhang
    et al. 2018, equation 1 with all weights 1). Between 0 and 4; maps that are never negative keep it below 2.
    """
    pairs = zip(maps, targets, strict=True)
    return torch.stack([(_unit(x) - _unit(y)).square().sum(dim=1).mean() for x, y in pairs]).mean()


def kl_from_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_var)) from N(0, 1), per number of the code: both [N, D].

    Kingma & Welling 2014, appendix B, averaged instead of summed.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).mean()


def latent_error(codes: Tensor, z: Tensor) -> Tensor:
    """Mean squared error of codes against the latents that their pictures were drawn from: both [N, D].

    1 is what answering 0 to everything scores, where latents are standard normal.
    """
    return (codes - z).square().mean()


def sphere_pull(codes: Tensor) -> Tensor:
    """Mean ((|z| / sqrt(D)) - 1)^2 of codes [N, D].

    A standard normal latent in many dimensions lies close to the sphere of radius sqrt(D), and nowhere else does a
    generator know what to draw (White 2016; the pull in place of a projection, so that the encoder stays smooth).
    """
    length = (codes.square().sum(dim=1) + _TINY).sqrt()
    return (length / math.sqrt(codes.shape[1]) - 1.0).square().mean()


def _unit(maps: Tensor) -> Tensor:
    maps = maps.to(torch.float32)
    return maps * (maps.square().sum(dim=1, keepdim=True) + _TINY).rsqrt()

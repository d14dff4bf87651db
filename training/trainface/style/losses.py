"""What a painted picture is judged by: content, style and smoothness, as pure functions.

Gatys, Ecker and Bethge 2016, "Image style transfer using convolutional neural networks", with one change. Their sums of
squares depend on how large a network's activations are and on the size of the picture. Here every sum is divided by
that of its target, so that a loss of 1 means "as far away as nothing at all", whatever network the maps come from, and
one set of weights serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TINY = 1e-12
"""Under a target that is zero everywhere; float32's squares of real activations lie far above."""


def gram(maps: Tensor) -> Tensor:
    """Gram matrices of feature maps, averaged over places: [N, C, H, W] -> [N, C, C].

    G_ij = 1 / (H W) sum_k F_ik F_jk (Gatys et al., equation 3, by the number of places M = H W, so that pictures of
    two sizes can be compared). Where a feature lies in the picture does not matter.
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative_error(values: Tensor, targets: Tensor) -> Tensor:
    """Sum of squared differences by the targets' own sum of squares: [N, ...] twice -> [N]; 0 where they are equal.

    `targets` may also be one row, [1, ...], for all of them.
    """
    difference = (values - targets).flatten(1).square().sum(1)
    return difference / targets.flatten(1).square().sum(1).clamp_min(_TINY)


def content_loss(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """How far feature maps are from the photo's, averaged over layers: lists of [N, C, H, W] -> [N].

    Gatys et al., equation 1, divided as the head of this module says.
    """
    return torch.stack([relative_error(*pair) for pair in zip(maps, targets, strict=True)]).mean(0)


def style_loss(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """How far Gram matrices are from the painting's, averaged over layers: lists of [N, C, C] -> [N].

    Gatys et al., equations 4 and 5 with equal weights of the layers, divided as the head of this module says.
    """
    return torch.stack([relative_error(*pair) for pair in zip(grams, targets, strict=True)]).mean(0)


def total_variation(pictures: Tensor) -> Tensor:
    """Mean squared difference of neighbours, down and across: [N, C, H, W] -> [N]; 0 for a picture of one colour.

    Mahendran and Vedaldi 2015, "Understanding deep image representations by inverting them", equation 5 with beta = 2.
    """
    down = (pictures[:, :, 1:] - pictures[:, :, :-1]).square().flatten(1).mean(1)
    across = (pictures[:, :, :, 1:] - pictures[:, :, :, :-1]).square().flatten(1).mean(1)
    return down + across


def out_of_range(pictures: Tensor) -> Tensor:
    """Mean square of what lies beyond [-1, 1], where a picture will be cut: [N, C, H, W] -> [N].

    In the place of a cut at every step, which would spoil what L-BFGS remembers of the curvature.
    """
    return (pictures.abs() - 1).clamp_min(0).square().flatten(1).mean(1)

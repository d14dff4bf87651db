"""Cheap numbers that tell how a game stands, taken once a tick: pure functions, no randomness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_COARSE_SIDE = 8
_LEAST_SEPARATION = 0.1
"""In standard deviations of the logits: below it D tells reals and fakes apart too little for a ratio to mean much."""


def overfit_gap(train_logits: Tensor, holdout_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """r_v = (E D(train) - E D(holdout)) / (E D(train) - E D(fake)); Karras et al. 2020, equation 1.

    0: D judges faces it never saw like those it trains on; 1: it takes them for fakes, so it has learnt its data by
    heart. A ratio of differences, so free of D's level and scale, as a relativistic loss needs. The denominator is at
    least a tenth of the logits' spread: where D can't tell fakes, or has its signs wrong, the gap tends to 0 instead of
    to infinity. On 250 faces of each kind and at a pair accuracy of 0.75 its standard error is about 0.1.

    Logits are float [N, 1] or [N], N of each kind as it comes. Returns a float32 scalar on their device.
    """
    groups = [logits.to(torch.float32) for logits in (train_logits, holdout_logits, fake_logits)]
    train, holdout, fake = (logits.mean() for logits in groups)
    spread = torch.stack([logits.var(correction=0) for logits in groups]).mean().sqrt()
    separation = torch.maximum(train - fake, _LEAST_SEPARATION * spread)
    # A D that answers one number to everything has no gap; the smallest normal number turns its 0 / 0 into 0.
    return (train - holdout) / separation.clamp_min(torch.finfo(torch.float32).tiny)


def diversity(fakes: NDArray[np.uint8], reals: NDArray[np.uint8]) -> float:
    """Mean distance between two fakes over that between two reals, pictures uint8 [N, H, W, 3], N at least 2.

    Euclidean distances at 8x8 pixels, where pose, colour and light show and sharpness does not. 1 is healthy, 0 is
    one picture over and over. 1 where the reals are all alike, as nothing can be less diverse.
    """
    among_fakes, among_reals = (_mean_distance(coarse(images, _COARSE_SIDE)) for images in (fakes, reals))
    return among_fakes / among_reals if among_reals > 0 else 1.0


def coarse(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """uint8 [N, H, W, 3] -> float32 [N, side * side * 3] in [-1, 1]: means over squares; H and W multiples of side."""
    num, height, width, channels = images.shape
    assert height % side == 0, "height is a multiple of the side"
    assert width % side == 0, "width is a multiple of the side"
    squares = images.reshape(num, side, height // side, side, width // side, channels)
    means: NDArray[np.float32] = squares.mean(axis=(2, 4), dtype=np.float32)
    return (means / np.float32(127.5) - 1).reshape(num, -1)


def out_of_range(images: Tensor) -> Tensor:
    """Share of a generator's float values that lie outside [-1, 1] and are clipped; NaN counts as outside.

    Returns a float32 scalar on the device of `images`.
    """
    return 1 - (images.abs() <= 1).to(torch.float32).mean()


def at_the_ends(images: NDArray[np.uint8]) -> float:
    """Share of the values of uint8 pictures that are 0 or 255: what `out_of_range` can be of a perfect generator."""
    return float(((images == 0) | (images == 255)).mean())


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together, before any step; a scalar on their device, without a wait.

    Parameters without a gradient are left out; 0 where none has one.
    """
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def _mean_distance(points: NDArray[np.float32]) -> float:
    if len(points) < 2:
        raise ValueError(f"a distance needs at least 2 pictures, not {len(points)}")
    return float(torch.pdist(torch.from_numpy(points)).mean())

"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020; Karras et al. 2020).

Drawing and applying are apart: `draw` takes the random numbers, `apply` is a deterministic, differentiable function of
the images, so a gradient penalty can be taken through it and a compiled step never recompiles. A draw knows no pixels,
so that every scale of a pyramid is augmented alike. Geometry is one matrix product per axis (a row of
linear-interpolation weights per output pixel), whose backward is a matrix product as well; the backward of per-sample
indexing on a CPU costs more than the whole network.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import get_args

import torch
from torch import Tensor

from trainface.config import MAX_AUGMENT, AugmentKind

MAX_SHIFT = 1 / 8  # of the side, both directions
MAX_ZOOM = 0.1  # relative
MAX_BRIGHTNESS = 0.3  # of the range [-1, 1]'s half
MAX_SATURATION = 0.5
MAX_CONTRAST = 0.3
CUTOUT_SIDE = 0.5  # of the side
ADAPT_OVER = 500_000
"""Images in which an adaptive strength moves by 1 (Karras et al. 2020)."""

_KINDS: tuple[str, ...] = get_args(AugmentKind)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One random augmentation for each of N images; the identity for those that were spared."""

    shift: Tensor
    """float32 [N, 2], down and right, as a share of the side."""
    zoom: Tensor
    """float32 [N], factor on the size of what is seen."""
    brightness: Tensor
    """float32 [N, 1, 1, 1], added."""
    saturation: Tensor
    """float32 [N, 1, 1, 1], factor on the distance from gray."""
    contrast: Tensor
    """float32 [N, 1, 1, 1], factor on the distance from the image's mean."""
    cutout_centre: Tensor
    """float32 [N, 2], row and column of the square's centre, as a share of the side."""
    cutout_side: Tensor
    """float32 [N], side of the square that is filled with gray, as a share of the image's; 0 for none."""

    def halves(self) -> tuple[Draw, Draw]:
        """The draws of the first N / 2 images, and of the others."""
        names = [field.name for field in fields(self)]
        first, second = zip(*(getattr(self, name).chunk(2) for name in names), strict=True)
        return Draw(**dict(zip(names, first, strict=True))), Draw(**dict(zip(names, second, strict=True)))


def draw(
    num: int, size: int, strength: float | Tensor, kinds: tuple[str, ...], rng: torch.Generator, device: torch.device
) -> Draw:
    """Draw augmentations for `num` images; each of the kinds befalls an image with probability `strength`.

    Shifts and the edges of the cutout fall between the pixels of an image of `size` px. How many random numbers are
    drawn depends on `num` alone.
    """
    noise = (2 * torch.rand(num, 8, generator=rng, device=rng.device) - 1).to(device)
    befallen = (torch.rand(num, len(_KINDS), generator=rng, device=rng.device).to(device) < strength).to(torch.float32)

    def amount(kind: str, limit: float, first: int, last: int) -> Tensor:
        """Uniform in [-limit, limit] float32 [N, last - first], 0 where the image is spared."""
        if kind not in kinds:
            return torch.zeros_like(noise[:, first:last])
        index = _KINDS.index(kind)
        return limit * befallen[:, index : index + 1] * noise[:, first:last]

    colour = amount("colour", 1.0, 4, 6).view(num, 2, 1, 1, 1)
    return Draw(
        shift=(amount("shift", MAX_SHIFT, 0, 2) * size).round() / size,
        zoom=amount("zoom", MAX_ZOOM, 2, 3)[:, 0].exp(),
        brightness=amount("brightness", MAX_BRIGHTNESS, 3, 4).view(num, 1, 1, 1),
        saturation=1 + MAX_SATURATION * colour[:, 0],
        contrast=1 + MAX_CONTRAST * colour[:, 1],
        cutout_centre=((noise[:, 6:8] + 1) / 2 * size).round() / size,
        cutout_side=CUTOUT_SIDE * befallen[:, _KINDS.index("cutout")] * float("cutout" in kinds),
    )


def apply(images: Tensor, drawn: Draw) -> Tensor:
    """Augment float32 [N, 3, H, W] images of any resolution: colour first, then geometry, then cutout."""
    height, width = images.shape[-2:]
    images = _recolour(images, drawn)
    images = torch.einsum("nij,ncjk->ncik", interpolation(height, drawn.shift[:, 0], drawn.zoom), images)
    images = torch.einsum("ncik,nlk->ncil", images, interpolation(width, drawn.shift[:, 1], drawn.zoom))
    return images * _cutout_mask(height, width, drawn)


def interpolation(size: int, shift: Tensor, zoom: Tensor) -> Tensor:
    """Linear-interpolation matrices for moving an axis by `shift` of its length and zooming it about its centre.

    shift, zoom: float32 [N]. Returns float32 [N, size, size]; each row sums to 1. Beyond the edge the axis is mirrored,
    so that no dark border tells augmented pictures from others.
    """
    pixels = torch.arange(size, device=shift.device, dtype=torch.float32)
    centre = (size - 1) / 2
    source = (pixels - centre - size * shift[:, None]) / zoom[:, None] + centre  # [N, size]
    # The mirrors stand at the outer borders of the edge pixels, half a pixel beyond their centres: that is the same
    # place at every resolution. Between a mirror and the first centre lies nothing but the edge pixel.
    source = (size - 0.5) - ((source + 0.5).abs() - size).abs()
    source = source.clamp(0, size - 1)
    return (1 - (source[:, :, None] - pixels).abs()).clamp(min=0)


def adapt(strength: float, gap: float, target: float, images: int) -> float:
    """The strength after `images` more images: up while the held-out gap is above its target, down while below.

    Karras et al. 2020, with the overfitting measure r_v in place of the sign of D's logits, since a relativistic D has
    no level. Stays in [0, MAX_AUGMENT]; a gap that is not a number moves nothing.
    """
    direction = (gap > target) - (gap < target)
    return min(max(strength + direction * images / ADAPT_OVER, 0.0), MAX_AUGMENT)


def _recolour(images: Tensor, drawn: Draw) -> Tensor:
    """Saturation about gray, contrast about the image's mean, then brightness, gathered into one factor and one offset.

    Saturation leaves the mean alone, so contrast(saturation(x)) = c s x + c (1 - s) gray + (1 - c) mean.
    """
    gray = images.mean(dim=1, keepdim=True)
    mean = gray.mean(dim=(2, 3), keepdim=True)
    offset = drawn.contrast * (1 - drawn.saturation) * gray + (1 - drawn.contrast) * mean + drawn.brightness
    return drawn.contrast * drawn.saturation * images + offset


def _cutout_mask(height: int, width: int, drawn: Draw) -> Tensor:
    """float32 [N, 1, H, W]: 0 inside the square, 1 elsewhere."""

    def inside(size: int, centre: Tensor) -> Tensor:
        places = (torch.arange(size, device=centre.device, dtype=torch.float32) + 0.5) / size
        return ((places - centre[:, None]).abs() < drawn.cutout_side[:, None] / 2).to(torch.float32)

    rows, columns = inside(height, drawn.cutout_centre[:, 0]), inside(width, drawn.cutout_centre[:, 1])
    return 1 - rows[:, None, :, None] * columns[:, None, None, :]

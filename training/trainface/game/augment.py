"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020; Karras et al. 2020).

Drawing and applying are apart: `draw` takes the random numbers, `apply` is a deterministic, differentiable function of
the images, so a gradient penalty can be taken through it and a compiled step never recompiles. Geometry is one matrix
product per axis (a row of linear-interpolation weights per output pixel), whose backward is a matrix product as well;
the backward of per-sample indexing on a CPU costs more than the whole network.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

MAX_SHIFT = 1 / 8  # of the side, both directions
MAX_ZOOM = 0.1  # relative
MAX_BRIGHTNESS = 0.3  # of the range [-1, 1]'s half
MAX_SATURATION = 0.5
MAX_CONTRAST = 0.3
MAX_STRENGTH = 0.8
"""Above this share of augmented pictures the augmentation begins to show in the generated ones (Karras et al. 2020)."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One random augmentation for each of N images; the identity for those that were spared."""

    rows: Tensor
    """float32 [N, H, H]: output row i as a weighted sum of input rows."""
    columns: Tensor
    """float32 [N, W, W]: output column j as a weighted sum of input columns."""
    brightness: Tensor
    """float32 [N, 1, 1, 1], added."""
    saturation: Tensor
    """float32 [N, 1, 1, 1], factor on the distance from gray."""
    contrast: Tensor
    """float32 [N, 1, 1, 1], factor on the distance from the image's mean."""

    def halves(self) -> tuple[Draw, Draw]:
        """The draws of the first N / 2 images, and of the others."""
        first, second = zip(*(getattr(self, field.name).chunk(2) for field in fields(self)), strict=True)
        return Draw(**_named(first)), Draw(**_named(second))


def _named(tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {field.name: tensor for field, tensor in zip(fields(Draw), tensors, strict=True)}


def draw(num: int, size: int, strength: float, rng: torch.Generator, device: torch.device) -> Draw:
    """Draw augmentations for `num` images of `size` px; each kind befalls an image with probability `strength`."""
    noise = torch.rand(6, num, generator=rng, device=rng.device).mul_(2).sub_(1).to(device)
    spared = (torch.rand(4, num, generator=rng, device=rng.device) >= strength).to(device)
    # Shift, zoom, brightness, and saturation with contrast come or stay away one by one.
    shift_y, shift_x = (noise[:2] * MAX_SHIFT * size).round().masked_fill(spared[0], 0.0)
    zoom = torch.exp(noise[2] * MAX_ZOOM).masked_fill(spared[1], 1.0)
    tall = (num, 1, 1, 1)
    return Draw(
        rows=interpolation(size, shift_y, zoom),
        columns=interpolation(size, shift_x, zoom),
        brightness=(noise[3] * MAX_BRIGHTNESS).masked_fill(spared[2], 0.0).view(tall),
        saturation=(1 + noise[4] * MAX_SATURATION).masked_fill(spared[3], 1.0).view(tall),
        contrast=(1 + noise[5] * MAX_CONTRAST).masked_fill(spared[3], 1.0).view(tall),
    )


def interpolation(size: int, shift: Tensor, zoom: Tensor) -> Tensor:
    """Linear-interpolation matrices for moving an axis by `shift` pixels and zooming it about its centre.

    shift, zoom: float32 [N]. Returns float32 [N, size, size]; each row sums to 1. Beyond the edge the axis is mirrored,
    so that no dark border tells augmented pictures from others.
    """
    pixels = torch.arange(size, device=shift.device, dtype=torch.float32)
    centre = (size - 1) / 2
    source = (pixels - centre - shift[:, None]) / zoom[:, None] + centre  # [N, size]
    source = (size - 1) - (source.abs() - (size - 1)).abs()
    return (1 - (source[:, :, None] - pixels).abs()).clamp_(min=0)


def apply(images: Tensor, drawn: Draw) -> Tensor:
    """Augment float32 [N, 3, H, W] images; colour first, then geometry."""
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * drawn.saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * drawn.contrast + drawn.brightness
    images = torch.einsum("nij,ncjk->ncik", drawn.rows, images)
    return torch.einsum("ncik,nlk->ncil", images, drawn.columns)

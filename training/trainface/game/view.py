"""How the discriminator sees a batch: augmented and under instance noise, the same way at every scale.

Drawing is apart from seeing, so that the penalty can look again through the very same view, and a compiled step holds
no random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainface.game import augment
from trainface.networks import Scales


@dataclass(frozen=True, kw_only=True)
class View:
    """The random part of looking at N images."""

    augmentation: augment.Draw | None
    noise: Scales | None
    """float32 [N, 3, h, w] at each scale, added last (Sønderby et al. 2017)."""

    def halves(self) -> tuple[View, View]:
        """The views of the first N / 2 images, and of the others."""
        drawn = self.augmentation.halves() if self.augmentation is not None else (None, None)
        noise = tuple(zip(*(level.chunk(2) for level in self.noise), strict=True)) if self.noise else (None, None)
        first, second = (View(augmentation=a, noise=n) for a, n in zip(drawn, noise, strict=True))
        return first, second


def draw(
    shapes: list[torch.Size], *, strength: float, kinds: tuple[str, ...], noise_std: float, rng: torch.Generator
) -> View:
    """Draw a view of images with these shapes [N, 3, h, w], lowest scale first; what is off stays None."""
    num, _, _, size = shapes[-1]
    return View(
        augmentation=augment.draw(num, size, strength, kinds, rng, rng.device) if strength > 0 else None,
        noise=tuple(torch.randn(shape, generator=rng, device=rng.device) * noise_std for shape in shapes)
        if noise_std > 0
        else None,
    )


def see(images: Scales, view: View) -> Scales:
    """What reaches D of float32 [N, 3, h, w] images at each scale."""
    if view.augmentation is not None:
        images = tuple(augment.apply(level, view.augmentation) for level in images)
    if view.noise is not None:
        images = tuple(level + noise for level, noise in zip(images, view.noise, strict=True))
    return images

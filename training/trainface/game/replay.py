"""A buffer of images generated before, so that D doesn't forget what G used to draw (Shrivastava et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor


class Replay:
    """Up to `capacity` generated images on the device; which of them leaves for a newer one is chance.

    They are kept in float16: half the memory, and at most a sixteenth of an 8-bit level off inside [-1, 1].
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        assert capacity > 0, "the configuration admits no empty buffer"
        self._capacity, self._device = capacity, device
        self._images = torch.empty(0, dtype=torch.float16, device=device)  # [filled, 3, H, W] from the first batch on

    def __len__(self) -> int:
        return len(self._images)

    @torch.no_grad()
    def mix(self, fakes: Tensor, share: float, rng: torch.Generator) -> Tensor:
        """Replace a share of float32 [N, 3, H, W] fakes by older ones, then keep the given ones.

        Returns detached images in the given order, dtype and memory layout; the very first batch as it is. Until the
        buffer is full it takes batches as they come; then each image takes a random place.
        """
        fakes = fakes.detach()
        mixed = self._replace(fakes, share, rng) if len(self) else fakes
        self._keep(fakes.to(self._images.dtype), rng)
        return mixed

    def state_dict(self) -> dict[str, Tensor]:
        """The images themselves, not a copy, as modules hand out their weights."""
        return {"images": self._images}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over a copy of stored images, as many as the capacity at most."""
        images = state["images"]
        assert len(images) <= self._capacity, "the stored buffer belongs to another configuration"
        self._images = images.to(self._device, torch.float16, copy=True)

    def _replace(self, fakes: Tensor, share: float, rng: torch.Generator) -> Tensor:
        kept = torch.rand(len(fakes), 1, 1, 1, generator=rng, device=rng.device) >= share
        picks = torch.randint(len(self), (len(fakes),), generator=rng, device=rng.device)
        return torch.where(kept, fakes, self._images[picks].to(fakes.dtype))

    def _keep(self, images: Tensor, rng: torch.Generator) -> None:
        room = self._capacity - len(self)
        if room > 0:
            self._images = torch.cat([self._images, images[:room]]) if len(self) else images[:room].clone()
            return
        places = torch.randperm(self._capacity, generator=rng, device=rng.device)[: len(images)]
        self._images[places] = images[: self._capacity]

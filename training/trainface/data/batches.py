"""From a prepared set to batches on the device, in an order that a resumed run finds again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainface.pixels import to_floats


class BatchSettings(Protocol):
    """What decides which images a batch has; part of every configuration."""

    @property
    def batch(self) -> int: ...

    @property
    def seed(self) -> int: ...

    @property
    def x_flip(self) -> bool: ...


@dataclass(frozen=True)
class Batch:
    """Images, and where they came from."""

    images: Tensor
    """float32 [N, 3, H, W] in [-1, 1], channels last."""
    indices: Tensor
    """int64 [N], where each stands in the set."""
    flipped: Tensor
    """bool [N], whether it is mirrored."""


class Batches:
    """Batches of real images in a fresh order every epoch; the order is a function of seed and epoch alone."""

    def __init__(
        self, images: NDArray[np.uint8], indices: NDArray[np.int64], config: BatchSettings, device: torch.device
    ) -> None:
        self._images, self._indices, self._config, self._device = images, indices, config, device
        # On a GPU the whole set goes to the device when it takes less than a quarter of what is free there.
        self._resident: Tensor | None = None
        if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            self._resident = torch.from_numpy(np.array(images)).to(device)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def batch(self, cur_nimg: int, rng: torch.Generator) -> Tensor:
        """The images that follow `cur_nimg` images -> float32 [N, 3, H, W] in [-1, 1], channels last."""
        return self.draw(cur_nimg, rng).images

    def draw(self, cur_nimg: int, rng: torch.Generator) -> Batch:
        """The same with their places in the set."""
        num = self._config.batch
        chosen = torch.cat(list(self.stretches(cur_nimg, num)))
        if self._resident is not None:
            pixels = self._resident[chosen]
        else:
            pixels = torch.from_numpy(self._images[chosen.numpy()])
            if self._device.type == "cuda":
                pixels = pixels.pin_memory().to(self._device, non_blocking=True)
        reals = to_floats(pixels)
        flipped = torch.zeros(num, dtype=torch.bool, device=self._device)
        if self._config.x_flip:
            flipped = torch.rand(num, 1, 1, 1, generator=rng, device=self._device).flatten() < 0.5
            reals = torch.where(flipped[:, None, None, None], reals.flip(3), reals)
        return Batch(reals, chosen, flipped)

    def stretches(self, position: int, num: int) -> Iterator[Tensor]:
        """`num` indices from the endless stream of shuffled epochs, from `position` on; where the images are."""
        while num > 0:
            epoch, offset = divmod(position, len(self._indices))
            if epoch != self._epoch:
                seed = np.random.SeedSequence((self._config.seed, epoch))
                order = torch.from_numpy(np.random.default_rng(seed).permutation(self._indices))
                # One copy an epoch, so that no step waits for the device.
                self._order = (
                    order.pin_memory().to(self._device, non_blocking=True) if self._resident is not None else order
                )
                self._epoch = epoch
            stretch = self._order[offset : offset + num]
            yield stretch
            position, num = position + len(stretch), num - len(stretch)

"""Raw pixels as features: what the eye of a nearest neighbour sees without any network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from evalface.extractors.base import Extractor

MAX_SIDE = 64


class Pixels(Extractor):
    """uint8 pixels in a row; faces over 64 px are averaged down to 64 first, since distances cost size squared."""

    name = "pixels"
    title = "raw pixels"
    distance_name = "Frechet distance (raw pixels)"
    version = 1
    protocol = f"uint8 RGB, area mean to {MAX_SIDE} px where larger"
    weights_sha256 = None
    dtype = np.uint8
    cached = False

    def features(self, block: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if max(block.shape[1:3]) > MAX_SIDE:
            x = torch.from_numpy(np.ascontiguousarray(block)).permute(0, 3, 1, 2).float()
            block = F.interpolate(x, size=(MAX_SIDE, MAX_SIDE), mode="area").round().byte().permute(0, 2, 3, 1).numpy()
        return block.reshape(len(block), -1)

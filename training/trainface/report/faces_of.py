"""Draw from a generator on the CPU, for reports."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainface.pixels import to_levels
from trainface.report.artefacts import clipped_share

_BATCH = 50


@torch.inference_mode()
def draw(generator: nn.Module, z: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """z float32 [N, z_dim] -> uint8 [N, H, W, 3], and the share of values that clamping moved, 0 to 1."""
    pictures, clipped = [], 0.0
    for part in torch.split(torch.from_numpy(z), _BATCH):
        floats = generator(part).float()
        clipped += clipped_share(floats.numpy()) * len(part)
        pictures.append(to_levels(floats).numpy())
    return np.concatenate(pictures), clipped / len(z)

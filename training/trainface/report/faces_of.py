"""Draw from a checkpoint's averaged generator, on the CPU, for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainface.config import Config
from trainface.networks import build_generator, set_progress
from trainface.report.artefacts import out_of_range

_BATCH = 50


def averaged_generator(state: dict[str, Any]) -> tuple[nn.Module, Config]:
    """The averaged generator that scored best, in eval mode, and its configuration, of what `checkpoint.load` gave."""
    config = Config.from_dict(state["config"])
    generator = build_generator(config)
    set_progress(generator, config.progress(int(state["cur_nimg"])))
    generator.load_state_dict(state["ema"][state["best_ema"]])
    return generator.eval().requires_grad_(False), config


@torch.inference_mode()
def draw(generator: nn.Module, z: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """z float32 [N, z_dim] -> uint8 [N, H, W, 3], and the share of values that clamping moved, 0 to 1."""
    pictures, clipped = [], 0.0
    for part in torch.split(torch.from_numpy(z), _BATCH):
        floats = generator(part).float()
        clipped += out_of_range(floats.numpy()) * len(part)
        levels = (floats * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        pictures.append(levels.permute(0, 2, 3, 1).numpy())
    return np.concatenate(pictures), clipped / len(z)

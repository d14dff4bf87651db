"""The averaged generator: the one that is looked at, scored and shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def decay(batch: int, cur_nimg: int, halflife_kimg: float) -> float:
    """Share of the old average that a step of `batch` images keeps.

    The half-life grows with the run to a tenth of the images seen, so that the first pictures are not of the
    untrained generator (Karras et al. 2020, there 5 %).
    """
    halflife = min(halflife_kimg * 1000, cur_nimg * 0.1)
    return float(0.5 ** (batch / halflife)) if halflife > 0 else 0.0


@torch.no_grad()
def update(average: nn.Module, model: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * model, weights and floating-point buffers; counters are copied.

    BatchNorm's running statistics are averaged like weights: they belong to the averaged network only nearly.
    """
    pairs: list[tuple[Tensor, Tensor]] = list(zip(average.parameters(), model.parameters(), strict=True))
    for into, buffer in zip(average.buffers(), model.buffers(), strict=True):
        if buffer.is_floating_point():
            pairs.append((into, buffer))
        else:
            into.copy_(buffer)
    torch._foreach_lerp_([into for into, _ in pairs], [new for _, new in pairs], 1.0 - keep)

"""Adam as every run here uses it: rates set from outside before each step, and no step on what is not finite."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainface.step import Stats
from trainface.watch.measures import gradient_norm


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
    """Kingma & Ba 2015, fused; the learning rate is 0 until `set_rates`."""
    return torch.optim.Adam(parameters, lr=0.0, betas=(0.0, 0.9), eps=1e-8, fused=True)


def set_rates(optimizer: torch.optim.Adam, *, lr: float, beta1: float, beta2: float) -> None:
    """What holds from the next step on."""
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = lr, (beta1, beta2)


def apply_gradients(
    optimizer: torch.optim.Adam, parameters: Iterable[nn.Parameter], who: str, hold_back: Tensor | None = None
) -> Stats:
    """Apply the gradients, unless they are not finite or `hold_back` is true; decided on the device, without a wait."""
    norm = gradient_norm(parameters)
    dropped = ~norm.isfinite()
    skipped = dropped if hold_back is None else dropped | hold_back
    # The fused Adam leaves weights and moments alone where found_inf is 1, as torch's GradScaler has it.
    vars(optimizer)["found_inf"] = skipped.to(torch.float32)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    stats = {f"{who}_grad_norm": norm, f"{who}_dropped": dropped.to(torch.float32)}
    return stats if hold_back is None else stats | {f"{who}_skipped": skipped.to(torch.float32)}

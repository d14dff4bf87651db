"""The precision of a network's arithmetic: which this machine has, and what a reduced one does to the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from genface.errors import UserError
from genface.providers import Precision

if TYPE_CHECKING:
    from evalface.extractors.base import NetworkExtractor

_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


@dataclass(frozen=True, kw_only=True)
class PrecisionEffect:
    """How far the features of the same pictures lie apart in two precisions."""

    n: int
    """Pictures that it was measured on."""
    of_length: float
    """Norm of all differences by the norm of all features."""
    of_spread: float
    """Norm of all differences by the norm of the features' deviations from their mean, which is what distances between
    sets are made of; infinite where all features are equal."""


def has_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 by itself; emulated, it would only be slower and less exact."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in _CPU_INSTRUCTIONS)


def require(precision: Precision, device: str) -> None:
    """Raise UserError for an unknown precision, and for bf16 on a device that would emulate it."""
    if precision not in get_args(Precision):
        raise UserError(f"unknown precision {precision!r}; known: {', '.join(get_args(Precision))}")
    if precision == "bf16" and not has_bf16(device):
        what = "GPU" if device == "cuda" else f"processor (none of {', '.join(_CPU_INSTRUCTIONS)})"
        raise UserError(f"precision bf16: this machine's {what} does not compute in it; take --precision fp32")


def precision_effect(reduced: NetworkExtractor, block: NDArray[np.uint8]) -> PrecisionEffect:
    """Run uint8 [N, H, W, 3] through `reduced` and through the same extractor in fp32. N of 32 tells enough."""
    exact = reduced.in_fp32().features(block).astype(np.float64)
    difference = np.linalg.norm(reduced.features(block) - exact)
    spread = np.linalg.norm(exact - exact.mean(axis=0))
    return PrecisionEffect(
        n=len(block),
        of_length=float(difference / np.linalg.norm(exact)),
        of_spread=float(difference / spread) if spread > 0 else float("inf"),
    )

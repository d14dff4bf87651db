"""Where and in what precision a run computes."""

from __future__ import annotations

import torch

from genface.errors import UserError
from trainface.config import Precision


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda[:N]`; a GPU that was asked for and is absent is an error."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device {name!r}; known: auto, cpu, cuda") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise UserError(f"unknown device {name!r}; known: auto, cpu, cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {name}: this torch finds no CUDA GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name}: this machine has {torch.cuda.device_count()} GPU(s), counted from cuda:0")
    return device


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to run under bf16 autocast. Emulated bf16 is slower than fp32, so `auto` asks for the instructions."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def tune(device: torch.device) -> None:
    """Set what training wants of this process: no denormals, and on a GPU fast kernels but no TF32.

    TF32 would round what fp32 runs and penalties add up (Huang et al. 2024 turn it off, too).
    """
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False

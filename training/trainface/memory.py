"""How much memory a run takes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")


def memory_gb() -> float:
    """Gigabytes (10^9 bytes): on a GPU the peak that torch had allocated, else the process's resident set.

    The resident set counts the mapped pages of the data set too, which the system takes back when it needs them. Where
    there is no /proc it is the peak.
    """
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated() / 1e9
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize() / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9

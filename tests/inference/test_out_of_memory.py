"""Memory that runs out is recognised by what runtimes say, and told as a person's error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genface.errors import UserError
from genface.model import Generator
from genface.runtime_errors import is_out_of_memory

Pose = Callable[..., Any]


def test_memory_that_runs_out_while_loading(tiny: Path, pose: Pose, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("bad allocation")

    monkeypatch.setattr(pose(), "InferenceSession", fail, raising=False)
    with pytest.raises(UserError, match=r"out of memory while loading it on cpu \(bad allocation\)"):
        Generator(tiny)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("x.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 9"), True),
        (RuntimeError("std::bad_alloc"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA failure 2: out of memory ; GPU=0"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error cudaErrorMemoryAllocation"), True),
        (RuntimeError("Got invalid dimensions for input: z"), False),
    ],
)
def test_what_out_of_memory_looks_like(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected

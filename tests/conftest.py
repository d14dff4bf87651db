"""What every room's tests leave behind as they found it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def subnormals_are_numbers_again() -> Iterator[None]:
    """Training lets the processor take subnormal numbers for zero; hypothesis refuses to draw floats after that."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)

"""What ONNX Runtime and its providers throw, made short."""

from __future__ import annotations

import re

_OUT_OF_MEMORY = re.compile(r"failed to allocate memory|bad.?alloc|out.of.memory|alloc_?failed|MemoryAllocation", re.I)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory ran out, on the machine or on its GPU."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def first_line(error: Exception) -> str:
    """The reason inside an exception, without ONNX Runtime's code and stack trace."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # OpenVINO begins with the places in its source that the exception went through.
    line = next((line for line in lines if "Exception from src/" not in line), lines[0])
    return line.rsplit("] : ", 1)[-1][:300]

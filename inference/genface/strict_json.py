"""JSON that comes from outside: what the standard forbids, and what would break the reader, is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def parse_json(text: bytes | str) -> Any:
    """Parse a JSON document.

    Raises ValueError for what is no JSON: broken syntax, bytes that are no text, NaN and Infinity (which Python's
    parser would accept) also as a number too large for a float64, and nesting that is too deep to follow.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value

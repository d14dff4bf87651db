"""Typed fields of a JSON record that comes from outside; what is missing or of another type is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from genface.errors import UserError

Value = TypeVar("Value")

_NAMES: dict[type, str] = {str: "text", int: "a whole number", dict: "a record", list: "a list"}


def field(record: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """`record[name]`, a `kind` of str, int, dict or list. Raises UserError where it is missing or something else."""
    if name not in record:
        raise UserError(f"lacks {name!r}: export it again")
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(f"is damaged: its {name!r} is {value!r}, not {_NAMES[kind]}")
    return value


def positive(record: Mapping[str, Any], name: str, most: int) -> int:
    """A whole number from 1 to `most`. Raises UserError where it is missing or something else."""
    value = field(record, name, int)
    if not 1 <= value <= most:
        raise UserError(f"is damaged: its {name!r} is {value}, not from 1 to {most:,}")
    return value


def one_of(record: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """One of the texts `choices`. Raises UserError where it is missing or another one."""
    value = field(record, name, str)
    if value not in choices:
        raise UserError(f"its {name!r} is {value!r}; this version knows {', '.join(choices)}: update genface")
    return value

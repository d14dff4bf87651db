"""A configuration as a frozen dataclass that is written by hand, typed in at the command line, or read from a file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from genface.errors import UserError
from trainface.schedules import Cosine

_KINDS = {
    "int": "a whole number",
    "int | None": "a whole number, or none",
    "float": "a number",
    "float | None": "a number, or none",
    "bool": "true or false",
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every configuration can do; its fields are numbers, texts, switches, `Cosine` schedules, tuples of these."""

    preset: str
    """The row of the table of presets that this started from."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for a checkpoint or JSON."""
        record = {name: _plain(value) for name, value in vars(self).items()}
        assert set(record) == set(asdict(self))
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a stored record; raises UserError for keys of another version."""
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(record) - set(known))
        missing = sorted(set(known) - set(record))
        if unknown or missing:
            raise UserError(f"configuration of another version (unknown: {unknown}, missing: {missing})")
        return cls(**{name: _typed(value, str(known[name].type), name) for name, value in record.items()})

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """A copy with `key=value` texts of the command line applied; raises UserError for what is unknown."""
        known = {field.name: str(field.type) for field in fields(self)}
        for key in settings:
            if key not in known or key == "preset":
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean {close[0]}?" if close and close[0] != "preset" else ""
                raise UserError(f"unknown setting {key!r}{hint}; known: {', '.join(sorted(set(known) - {'preset'}))}")
        return replace(self, **{key: _typed(text, known[key], key) for key, text in settings.items()})


def require(holds: bool, name: str, value: object, allowed: object) -> None:
    """Raise UserError that says what `name` may be, unless it `holds`; a tuple is a list of choices."""
    if not holds:
        choices = ", ".join(map(str, allowed)) if isinstance(allowed, tuple) else allowed
        raise UserError(f"{name}={value}: must be {choices}")


def require_range(name: str, value: float | Cosine, low: float, high: float) -> None:
    """Raise UserError for a number, or an end of a schedule, outside [low, high]."""
    values = (value.start, value.end) if isinstance(value, Cosine) else (value,)
    require(all(low <= number <= high for number in values), name, value, f"{low:g} to {high:g}")


def _plain(value: object) -> object:
    if isinstance(value, Cosine):
        return str(value)
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _typed(value: Any, kind: str, name: str) -> Any:
    """Read a stored or typed-in value as the field's kind."""
    try:
        if kind.startswith("tuple["):
            parts = value.split(",") if isinstance(value, str) else value
            element = kind.removeprefix("tuple[").split(",")[0]
            return tuple(_typed(part.strip() if isinstance(part, str) else part, element, name) for part in parts)
        if kind == "Cosine":
            return Cosine.parse(str(value))
        if kind == "bool":
            return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]
        if kind.endswith("| None") and value in (None, "none"):
            return None
        if kind.startswith("float"):
            return float(value)
        return int(value) if kind.startswith("int") else str(value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{name}: {error}") from error
        raise UserError(f"{name}={value}: not a value of kind {kind}; write {_KINDS.get(kind, 'a list')}") from error

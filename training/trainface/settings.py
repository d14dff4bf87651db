"""Every setting of a run as a table for people; the meanings are the docstrings of the configuration's fields."""

from __future__ import annotations

import ast
import inspect
import textwrap

from trainface.config import Config
from trainface.presets import preset
from trainface.record import Record
from trainface.report.recipe import setting_text


def meanings(kind: type[Record] = Config) -> dict[str, str]:
    """Name of each setting -> the docstring under its field, on one line; those of the bases come first."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Record):
            found |= _meanings_in(base)
    return found


def _meanings_in(kind: type) -> dict[str, str]:
    (record,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(record, ast.ClassDef)
    found: dict[str, str] = {}
    for field, doc in zip(record.body, record.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(doc, ast.Expr), f"{field.target.id} has no docstring"
            assert isinstance(doc.value, ast.Constant), f"{field.target.id} has no docstring"
            found[field.target.id] = " ".join(str(doc.value.value).split())
    return found


def table(preset_name: str) -> str:
    """A line per setting, `key=value` of the preset and what it means; raises UserError for an unknown preset."""
    return table_of(preset(preset_name))


def table_of(config: Record) -> str:
    """The same for any configuration."""
    values = config.to_dict()
    rows = [(name, setting_text(values[name]), meaning) for name, meaning in meanings(type(config)).items()]
    width = max(len(name) + len(value) + 1 for name, value, _ in rows)
    return "\n".join(f"{f'{name}={value}':<{width}}  {meaning}" for name, value, meaning in rows)

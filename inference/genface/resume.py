"""What an earlier run has left under an archive's name: whether it is of the same drawing, and how far it goes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from genface.containers import Sink
from genface.errors import UserError
from genface.sources import MANIFEST, open_source
from genface.strict_json import parse_json


class NameSequence(Protocol):
    """The names of an archive's pictures, in order; made when asked for, so that memory stays flat."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> str: ...


def is_finished(path: Path, manifest: Mapping[str, Any], names: NameSequence, *, force: bool) -> bool:
    """Whether the finished archive of this drawing is there. Its pictures are found by their names, not read.

    Raises UserError for anything else that is there, unless `force` is about to replace it.
    """
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return False
    reason = _why_not_finished(path, manifest, names)
    if reason is not None and not force:
        raise UserError(f"{path}: exists already, and {reason}; choose another --out, or replace it by --force")
    return reason is None


def take_up(
    sink: Sink, path: Path, part: Path, manifest: bytes, names: NameSequence, *, resume: bool, force: bool
) -> int:
    """How many pictures of the unfinished archive `part` stay; with none it is empty afterwards.

    They stay when it is resumed and has this `manifest`; `force` empties what cannot be resumed. Raises UserError for
    an unfinished archive that is neither to be resumed nor replaced, is of another drawing, or not this program's.
    """
    if (reason := sink.foreign()) is not None:
        raise UserError(f"{part}: is no unfinished archive of this program (it {reason}); move that away")
    there = sink.pictures()
    if there and not (resume or force):
        raise UserError(
            f"{path}: was begun already, and {part} holds {there:,} of its pictures; finish it by --resume, or start"
            " anew by --force"
        )
    if there and resume:
        stored = sink.take(MANIFEST)
        if stored == manifest:
            return _take_pictures(sink, names)
        if not force:
            raise UserError(
                f"{path}: cannot be resumed, because {part}, with {there:,} pictures, {_why_other(stored, manifest)};"
                " resume with what it was begun with, choose another --out, or start anew by --force"
            )
    sink.clear()
    return 0


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Every key by which two manifests differ, with both values: `seed 1 there, 0 wanted`; empty when none does."""
    old, new = dict(_values(there)), dict(_values(wanted))
    return ", ".join(
        f"{key} {old.get(key, 'nothing')} there, {new.get(key, 'nothing')} wanted"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _why_not_finished(path: Path, manifest: Mapping[str, Any], names: NameSequence) -> str | None:
    try:
        with open_source(path.absolute()) as source:
            stored, present = source.manifest, set(source.names)
    except UserError as error:
        return f"is no archive of this program ({error})"
    if stored is None:
        return "is no archive of this program"
    if different := differences(stored, manifest):
        return f"is of another drawing ({different})"
    missing = next((names[index] for index in range(len(names)) if names[index] not in present), None)
    return None if missing is None else f"is damaged: it lacks {missing}"


def _why_other(stored: bytes | None, manifest: bytes) -> str:
    try:
        there = parse_json(stored or b"")
    except ValueError:
        there = None
    if not isinstance(there, dict):
        return f"has a damaged {MANIFEST}"
    return f"is of another drawing ({differences(there, parse_json(manifest)) or 'written by another version'})"


def _take_pictures(sink: Sink, names: NameSequence) -> int:
    count = 0
    while count < len(names) and sink.take(names[count]) is not None:
        count += 1
    if count:
        sink.cut()
    else:
        sink.clear()
    return count


def _values(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values as they are shown, those of an inner record under `outer.inner`."""
    for key, value in record.items():
        if isinstance(value, Mapping) and not prefix:
            yield from _values(value, f"{key}.")
        else:
            yield prefix + key, json.dumps(value)

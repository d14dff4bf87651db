"""The folder of a hand-in, and the record in it by which a step that is still valid is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalface.files import sha256_of
from genface.errors import UserError
from trainface import atomic

KIND = "genface-handin"
FORMAT_VERSION = 1
RECORD = "handin.json"


class HandinFolder:
    """A folder that is filled step by step; every step is on record with what went in and what came out."""

    def __init__(self, path: Path, *, force: bool) -> None:
        """Take a new, empty or unfinished folder, or with `force` a finished hand-in; raises as `check_folder` does."""
        self.path = path
        self._record = check_folder(path, force=force)
        path.mkdir(parents=True, exist_ok=True)
        self._record |= {"kind": KIND, "format_version": FORMAT_VERSION, "complete": False}
        self._write()

    def step(self, name: str, inputs: Mapping[str, Any], files: Sequence[str], make: Callable[[], None]) -> bool:
        """Run `make`, which writes `files`, unless they are there as an earlier call with equal `inputs` left them.

        Returns whether `make` ran. `inputs` are plain JSON values: all that can change the files.
        """
        steps = self._record["steps"]
        known = steps.get(name)
        if known == {"inputs": dict(inputs), "files": self._digests(files)}:
            return False
        # A step that breaks off leaves no claim on what it had begun to replace.
        steps.pop(name, None)
        self._write()
        make()
        steps[name] = {"inputs": dict(inputs), "files": self._digests(files)}
        self._write()
        return True

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Put the hand-in on record as complete, with `facts` and the SHA-256 of every file."""
        names = sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())
        digests = self._digests([name for name in names if name != RECORD])
        self._record |= {"complete": True, **facts, "files": digests}
        self._write()

    def put(self, name: str, data: bytes) -> None:
        """Write a file, below a subfolder if need be, complete or not at all."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)

    def put_text(self, name: str, text: str) -> None:
        """Write a text as UTF-8 in the same way."""
        self.put(name, text.encode())

    def _digests(self, files: Sequence[str]) -> dict[str, str | None]:
        return {name: sha256_of(self.path / name) if (self.path / name).is_file() else None for name in files}

    def _write(self) -> None:
        atomic.write_text(self.path / RECORD, json.dumps(self._record, indent=1, ensure_ascii=False) + "\n")


def check_folder(path: Path, *, force: bool) -> dict[str, Any]:
    """The record of what is done in a folder already; leaves no trace.

    Raises UserError for a finished hand-in without `force`, and in any case for a file or a folder of something else.
    """
    fresh: dict[str, Any] = {"steps": {}}
    if not path.exists():
        return fresh
    if not path.is_dir():
        raise UserError(f"{path}: is a file; name a folder by --out")
    if not any(path.iterdir()):
        return fresh
    try:
        record = json.loads((path / RECORD).read_bytes())
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or record.get("kind") != KIND or not isinstance(record.get("steps"), dict):
        raise UserError(f"{path}: holds something else than a hand-in, which nothing here replaces; name another --out")
    if record.get("format_version") != FORMAT_VERSION:
        raise UserError(f"{path}: is a hand-in of another version of exportface; name another --out")
    if record.get("complete") and not force:
        raise UserError(
            f"{path}: is a finished hand-in; --force renews it and keeps what is still valid, or name another --out"
        )
    return {"steps": record["steps"]}

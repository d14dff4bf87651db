"""A folder that appears under its name complete or not at all, and replaces an earlier one of its kind only."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FolderKind:
    """By what a folder is known for one that a command wrote, and may write anew."""

    what: str
    """`release`, for messages."""
    record: str
    """Name of its JSON file that says what it is."""
    kind: str
    """What stands there under `kind`."""
    files: Callable[[Mapping[str, Any]], set[str]]
    """That record to the names of all files that belong to such a folder; may raise what a damaged record leads to."""


@contextmanager
def new_folder(out: Path, kind: FolderKind, *, force: bool) -> Iterator[Path]:
    """Give a hidden folder beside `out`, which takes its name when the block ends well, and is taken away if not.

    Raises UserError, before the block begins and after it, where `check_folder` does, and for what cannot be written;
    a UserError of the block that names the hidden folder comes out with the name `out`.
    """
    check_folder(out, kind, force=force)
    place, suffix = out.resolve(), secrets.token_hex(4)
    folder, old = (place.with_name(f".{place.name}.{suffix}.{end}") for end in ("part", "old"))
    try:
        with _naming(out, folder):
            folder.mkdir()
            yield folder
            check_folder(out, kind, force=force)  # somebody may have written there meanwhile
            _replace(place, folder, old)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_folder(out: Path, kind: FolderKind, *, force: bool) -> None:
    """Raise UserError unless `out` is new, empty or, with `force`, an earlier folder of this kind and nothing more."""
    if not out.exists():
        if not out.parent.is_dir():
            raise UserError(f"{out}: the folder {out.parent} does not exist; make it first")
        return
    if not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder by --out")
    present = {path.name for path in out.iterdir()}
    if not present:
        return
    known = _known_files(out, kind)
    if known is None:
        raise UserError(
            f"{out}: holds something else than a {kind.what}, which nothing here replaces; name another --out"
        )
    if added := sorted(present - known):
        raise UserError(
            f"{out}: holds {', '.join(added)}, which no {kind.what} wrote; move that elsewhere or name another --out"
        )
    if not force:
        raise UserError(f"{out}: is a {kind.what} already; --force replaces it, or name another --out")


def _known_files(out: Path, kind: FolderKind) -> set[str] | None:
    """The names that an earlier folder's record accounts for; None where there is no such record."""
    try:
        record = json.loads((out / kind.record).read_bytes())
        if record["kind"] != kind.kind:
            return None
        return kind.files(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _replace(out: Path, folder: Path, old: Path) -> None:
    """Rename `folder` to `out`. A full folder cannot be renamed over, so the earlier one steps aside first."""
    if not out.exists():
        folder.rename(out)
        return
    out.rename(old)
    try:
        folder.rename(out)
    except BaseException:
        old.rename(out)
        raise


@contextmanager
def _naming(out: Path, folder: Path) -> Iterator[None]:
    """Let an error name the folder that was asked for, not its temporary one."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror or error}); nothing was kept") from error
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(out))) from error

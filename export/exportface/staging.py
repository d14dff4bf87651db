"""Files that appear under their names together and complete, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genface.errors import UserError


@contextmanager
def staged(paths: Sequence[Path], *, force: bool) -> Iterator[list[Path]]:
    """Give a temporary file beside each of `paths`; they are renamed when the block ends well, else taken away.

    Raises UserError, before the block begins, for a path that exists (unless `force`) or cannot be written.
    """
    for path in paths:
        check_target(path, force=force)
    temporaries = [path.parent / f".{path.name}.{secrets.token_hex(4)}.part" for path in paths]
    try:
        for path, temporary in zip(paths, temporaries, strict=True):
            with _naming(path):
                temporary.touch(exist_ok=False)
        yield temporaries
        for path, temporary in zip(paths, temporaries, strict=True):
            check_target(path, force=force)  # another export may have finished under this name meanwhile
            with _naming(path):
                _sync(temporary)
        _rename_all(temporaries, paths)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def write_staged(temporary: Path, data: bytes, path: Path) -> None:
    """Fill the temporary file of `path`. Raises UserError, naming `path`, when the disk refuses."""
    with _naming(path):
        temporary.write_bytes(data)


def _rename_all(temporaries: Sequence[Path], paths: Sequence[Path]) -> None:
    """Give every file its name; where one cannot have it, all names are again what they were."""
    asides = [temporary.with_suffix(".old") for temporary in temporaries]
    try:
        with ExitStack() as undo:
            for temporary, aside, path in zip(temporaries, asides, paths, strict=True):
                with _naming(path):
                    if replacing := path.exists():
                        _set_aside(path, aside)
                        undo.callback(aside.replace, path)
                    temporary.replace(path)
                    if not replacing:
                        undo.callback(path.unlink)
            undo.pop_all()
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)


def _set_aside(path: Path, aside: Path) -> None:
    """Keep the old file by a second name; where the file system has no links, by that name alone."""
    try:
        aside.hardlink_to(path)
    except OSError:
        path.replace(aside)


def check_target(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Raise UserError for a file that is not to be written: one of `inputs`, or one that exists, unless `force`."""
    if path.resolve() in {given.resolve() for given in inputs}:
        raise UserError(f"{path}: is what is read; choose another name for what is written")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a device or a pipe, which a file would replace; give the name of a file")
    if path.exists() and not force:
        raise UserError(f"{path}: exists already; choose another name, or replace it by --force")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an OSError into a UserError that names the file, not its temporary one."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); nothing was kept") from error

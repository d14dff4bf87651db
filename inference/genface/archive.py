"""Where pictures go: a .zip, a .tar or a folder, complete under its name or not there at all.

For a .zip and a .tar that holds through a power loss too; the files of a folder are left to the system to write out,
since syncing each of them would take longer than drawing it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genface.claim import claim
from genface.containers import FolderSink, sink_type, stranger
from genface.errors import UserError
from genface.new_file import sync_folder, unwritable
from genface.resume import NameSequence, is_finished, take_up
from genface.sources import MANIFEST
from genface.strict_json import parse_json

KIND = "genface-archive"
"""The manifest's `kind` of drawn pictures."""
PREPARED_KIND = "prepared-faces"
"""The manifest's `kind` of a prepared data set."""
FORMAT_VERSION = 1

Write = Callable[[str, bytes], None]
"""Adds one picture, by its name inside the archive."""

# Endings of other containers, of pictures and of films: a folder of such a name would be a surprise.
_NO_ARCHIVES = {
    *(".7z", ".bz2", ".gz", ".rar", ".tgz", ".xz", ".zst"),
    *(".gif", ".jpeg", ".jpg", ".mp4", ".png", ".webp"),
}


@dataclass(frozen=True)
class PictureNames:
    """The names of the pictures with these indices: at least six digits, and the ending."""

    indices: range
    ending: str = "png"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> str:
        return f"{self.indices[index]:06d}.{self.ending}"


def shard_indices(n: int, number: int, count: int) -> range:
    """The indices of the shard `number` (1 to `count`) of n pictures; sizes differ by one at most."""
    return range(n * (number - 1) // count, n * number // count)


class Archive:
    """An archive that is being written; see `open_archive`."""

    recovered: int
    """How many pictures are there already, in order from the first: the next one to write is `names[recovered]`."""
    complete: bool
    """Whether the finished archive was there already, so that nothing is to be written."""

    def __init__(self, names: NameSequence, recovered: int, write: Write | None) -> None:
        self.recovered = recovered
        self.complete = write is None
        self.count = recovered
        """How many pictures are there by now."""
        self._names, self._write = names, write

    def write(self, name: str, data: bytes) -> None:
        """Add the next picture. Raises UserError when it cannot be written."""
        assert self._write is not None, "the archive was complete before"
        assert self.count < len(self._names), f"{name} is one picture too many"
        assert name == self._names[self.count], f"{name} is not the next picture"
        self._write(name, data)
        self.count += 1


@contextmanager
def open_archive(
    path: Path,
    *,
    manifest: Mapping[str, Any],
    names: NameSequence,
    force: bool = False,
    resume: bool = False,
    keep_unfinished: bool = False,
) -> Iterator[Archive]:
    """Open an archive for writing: a .zip or .tar when `path` ends so, else a folder; a link to a folder is followed.

    The manifest is written first; then the block writes the pictures `names`, all of them, in their order. They go to
    a hidden name beside `path`, which is renamed when the block ends well. When it does not, by whatever exception,
    nothing is left behind; with `keep_unfinished` the pictures so far are left at `unfinished_path(path)`, after a kill
    as well. `resume` carries on from there if the manifest is the same; whatever is damaged or incomplete is dropped,
    so that the finished archive is byte for byte what one run would have written. A finished archive that is there is
    complete for `resume` if its manifest is the same, else an error.

    `force` replaces a .zip or .tar, or a folder that holds what this program writes and nothing else: a manifest of the
    same `kind`, and pictures named by their indices. Together with `resume` it replaces only what cannot be resumed.

    Memory: under 0.5 KiB per picture for a .zip (its directory), flat for a .tar and a folder.

    Raises UserError naming `path` when it exists, is unfinished, is being written by another process, or cannot be
    written (missing folder, permissions, full disk).
    """
    kind = manifest["kind"]
    check_free(path, force=force, resume=resume, kind=kind)
    record = _to_json(manifest)
    if resume and is_finished(path, parse_json(record), names, force=force):
        yield Archive(names, len(names), None)
        return
    place = path.resolve() if path.is_dir() else path  # a folder is renamed where it is, not where a link to it is
    part = unfinished_path(path) if keep_unfinished else _hidden(place, "tmp")
    make_sink = sink_type(path)
    folder = make_sink is FolderSink
    with ExitStack() as closing:
        with _naming(path):
            closing.enter_context(claim(part, folder=folder))
            sink = make_sink(part)
            closing.callback(sink.abandon)
            # What cannot be kept is of no use to anybody after a kill.
            wanted = {"resume": resume, "force": force} if keep_unfinished else {"resume": False, "force": True}
            recovered = take_up(sink, path, part, record, names, **wanted)

        def write(name: str, data: bytes) -> None:
            with _naming(path, outcome):
                sink.write(name, data)

        archive = Archive(names, recovered, write)

        def outcome() -> str:
            if not (keep_unfinished and archive.count):
                return "nothing was kept"
            return f"what was drawn is kept in {part}, and --resume goes on from there"

        try:
            if not recovered:
                write(MANIFEST, record)
            yield archive
            assert archive.count == len(names), f"{archive.count} of {len(names)} pictures were written"
            with _naming(path, outcome):
                sink.close()
                check_free(path, force=force, kind=kind)  # another run may have finished under this name meanwhile
                replaced = _put_in_place(part, place)
        except BaseException:
            sink.abandon()
            if not (keep_unfinished and archive.count):
                _remove(part)
            raise
    if replaced is not None:
        _remove(replaced)  # the archive is in its place: what goes wrong from here on is no failure of it


def unfinished_path(path: Path) -> Path:
    """Where an archive that is to be resumed lies until it is finished: a hidden name beside its own."""
    return _hidden(path.resolve() if path.is_dir() else path, "part")


def check_free(path: Path, *, force: bool, resume: bool = False, kind: str = KIND) -> None:
    """Raise UserError unless an archive can be opened under this name; for asking before the work, not after it.

    `kind` is the manifest's kind of the folders that `force` replaces. What `resume` finds under the name is left to
    `open_archive`, which knows the manifest.
    """
    if path.suffix.lower() in _NO_ARCHIVES:
        raise UserError(f"{path}: archives are .zip or .tar files, or folders; {path.suffix} is none of them")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.path.lexists(path):  # a link to nothing is something
        return
    if path.is_dir() and sink_type(path) is FolderSink:
        if os.path.ismount(path.resolve()) or path.resolve() == Path.cwd():
            what = "a mount point" if os.path.ismount(path.resolve()) else "the folder that this runs in"
            raise UserError(f"{path}: is {what}, which cannot be replaced as a whole; choose a folder inside it")
        if not any(path.iterdir()):
            return
    if force and (reason := _why_spared(path, kind)) is not None:
        raise UserError(f"{path}: {reason}, so --force does not replace it; choose another --out")
    if not (force or resume):
        raise UserError(f"{path}: exists already; choose another --out, or replace it by --force")


def _why_spared(path: Path, kind: str) -> str | None:
    """Why `force` does not replace what is there; None when it does."""
    if sink_type(path) is not FolderSink:
        return None if path.is_file() or not path.exists() else f"is not a {path.suffix} file"
    try:
        manifest = parse_json((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        return f"is no folder of {kind} that this program has written"
    added = stranger(path)
    return None if added is None else f"holds {added}, which this program has not written"


def _put_in_place(part: Path, place: Path) -> Path | None:
    """Rename a finished archive; gives the folder that had its name, to be removed, if there was one."""
    if not part.is_dir():
        part.replace(place)
        sync_folder(place.parent)
        return None
    if not place.is_dir():
        part.rename(place)
        return None
    if not any(place.iterdir()):
        place.rmdir()
        part.rename(place)
        return None
    old = place.rename(_hidden(place, f"{secrets.token_hex(4)}.old"))  # a folder cannot be replaced in one step
    try:
        part.rename(place)
    except BaseException:
        old.rename(place)
        raise
    return old


def _hidden(place: Path, ending: str) -> Path:
    return place.parent / f".{place.name}.{ending}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # on a disk that has become read-only; what went wrong before is told instead
            path.unlink(missing_ok=True)


def _to_json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True) + "\n").encode()


@contextmanager
def _naming(path: Path, outcome: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn an OSError into a UserError that names the archive; tell what was kept."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, outcome() if outcome else "nothing was changed") from error
    except UserError as error:
        if outcome is None:
            raise
        raise UserError(f"{error}; {outcome()}") from error

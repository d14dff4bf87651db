"""A folder or .zip of photos becomes a uint8 array of prepared faces, cached on disk by content.

Layout of a cache entry, `<key>/`: `images.npy` uint8 [N, H, W, 3], memory-mapped when read, and `index.json`. The key
is the SHA-256 over the bytes of every picture, their names, the preparation and the format of the entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genface.archive import PREPARED_KIND, open_archive
from genface.encode import encode_png
from genface.errors import BrokenImageError, UserError
from genface.photos import DECODING_VERSION, OnBroken, Preparation, PreparedFace, prepare_many, settle_broken
from genface.sources import MANIFEST, PictureSource, open_source
from trainface import atomic, cartoons

BUILTIN = "builtin:cartoons"
BUILTIN_IMAGES = 4096
BUILTIN_AT_MOST = 1_000_000
BUILTIN_SEED = 0
_ENTRY_FORMAT = 1

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True, kw_only=True)
class FaceSet:
    """Prepared faces, ready to be trained on."""

    name: str
    """What the data set is called in checkpoints and cards: the last part of its path."""
    images: NDArray[np.uint8]
    """uint8 [N, H, W, 3], RGB; a memory map, so that 70,000 faces do not need the memory of 70,000 faces."""
    names: list[str]
    """Where each face came from, inside the source."""
    digests: list[str]
    """SHA-256 of each face's pixels, as hex."""
    preparation: Preparation
    key: str
    """SHA-256 over the digests and the preparation: equal for equal faces in equal order."""
    notes: list[str]
    """What a person should know of the preparation, e.g. the pictures that were skipped."""

    def __len__(self) -> int:
        return len(self.names)


def open_faces(
    src: str,
    preparation: Preparation,
    *,
    on_broken: OnBroken = "fail",
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> FaceSet:
    """Prepare `src` (a folder, a .zip, or `builtin:cartoons[:N]`), or take it from the cache.

    Raises UserError for a source without pictures, with broken ones (unless they are skipped), or one that was
    prepared in another way already.
    """
    cache_dir = cache_dir or default_cache_dir()
    if src.startswith("builtin:"):
        count = _builtin_count(src)
        # A few rendered faces stand for the renderer's version in the key.
        specimens = b"".join(cartoons.render(BUILTIN_SEED, index, 64).tobytes() for index in range(16))
        specimen = hashlib.sha256(specimens).hexdigest()
        entry = cache_dir / _key([f"{specimen} {BUILTIN} seed {BUILTIN_SEED} n {count}"], preparation)
        rendered = _render_cartoons(count, preparation.size)
        return _load(entry, BUILTIN) or _build(entry, BUILTIN, rendered, count, preparation, on_broken, progress)
    with open_source(src) as source:
        _refuse_other_preparation(source, preparation)
        entry = cache_dir / _key(_content_lines(source, cache_dir), preparation)
        name = os.fsencode(Path(src).resolve().name).decode(errors="replace")
        # An entry that was built by skipping broken pictures is no answer to a run that must not skip any.
        cached = _load(entry, name)
        if cached is not None and (on_broken == "skip" or not cached.notes):
            return cached
        faces = prepare_many(source, preparation)
        return _build(entry, name, faces, len(source), preparation, on_broken, progress)


def split_holdout(digests: list[str], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (training, hold-out): a face is held out when the first 64 bits of its digest fall below `share`.

    The choice depends on a face's pixels alone, so copies of one picture are never on both sides, and pictures added
    later move none of the others.
    """
    held = np.array([int(digest[:16], 16) < share * 2.0**64 for digest in digests], dtype=bool)
    return np.flatnonzero(~held), np.flatnonzero(held)


def write_prepared(faces: FaceSet, path: Path, *, force: bool) -> None:
    """Write a prepared set as a .zip or folder of PNGs with a manifest that states the preparation."""
    manifest = {
        "kind": PREPARED_KIND,
        "format_version": 1,
        "source": faces.name,
        "n": len(faces),
        "preparation": faces.preparation.to_dict(),
        "notes": faces.notes,
    }
    with open_archive(path, force=force, kind=PREPARED_KIND) as write:
        write(MANIFEST, json.dumps(manifest, indent=1).encode())
        for index, pixels in enumerate(faces.images):
            write(f"{index:06d}.png", encode_png(pixels, None))


def default_cache_dir() -> Path:
    """$TRAINFACE_CACHE, or the user's cache folder."""
    configured = os.environ.get("TRAINFACE_CACHE")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainface"


def _builtin_count(src: str) -> int:
    stem, _, count = src.removeprefix("builtin:").partition(":")
    if stem != "cartoons" or (count and not (count.isdecimal() and 0 < int(count) <= BUILTIN_AT_MOST)):
        raise UserError(
            f"unknown built-in data {src!r}; write {BUILTIN}, or {BUILTIN}:N for N faces, at most {BUILTIN_AT_MOST:,}"
        )
    return int(count) if count else BUILTIN_IMAGES


def _render_cartoons(count: int, size: int) -> Iterator[PreparedFace]:
    for index, pixels in enumerate(cartoons.render_many(BUILTIN_SEED, range(count), size)):
        yield PreparedFace(f"{index:06d}.png", pixels)


def _refuse_other_preparation(source: PictureSource, preparation: Preparation) -> None:
    record = (source.manifest or {}).get("preparation")
    if record is not None and Preparation.from_dict(record) != preparation:
        raise UserError(
            f"{source}: its faces were prepared as {Preparation.from_dict(record)}, this run wants {preparation};"
            " train at that size, or prepare the photos anew with `trainface data`"
        )


def _key(content_lines: list[str], preparation: Preparation) -> str:
    record = json.dumps([_ENTRY_FORMAT, DECODING_VERSION, content_lines, preparation.to_dict()], sort_keys=True)
    return hashlib.sha256(record.encode()).hexdigest()


def _content_lines(source: PictureSource, cache_dir: Path) -> list[str]:
    """One `digest name` line a picture. Digests are remembered by path, size and time, for 70,000 files at 1 MB."""
    memo_path = cache_dir / "digests" / f"{hashlib.sha256(os.fsencode(source.path.resolve())).hexdigest()}.json"
    try:
        memo: dict[str, list[Any]] = json.loads(memo_path.read_bytes())
    except (OSError, ValueError):
        memo = {}
    container = None if source.path.is_dir() else _stamp(source.path)
    fresh: dict[str, list[Any]] = {}
    unreadable: list[str] = []
    for name in source.names:
        stamp = container or _stamp(source.path / name)
        known = memo.get(name)
        if known is not None and known[0] == stamp:
            fresh[name] = known
            continue
        try:
            fresh[name] = [stamp, hashlib.sha256(source.read(name)).hexdigest()]
        except BrokenImageError:
            unreadable.append(name)  # not remembered: it may be readable next time
    if fresh != memo:
        memo_path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(memo_path, json.dumps(fresh))
    return [f"{digest} {name}" for name, (_, digest) in fresh.items()] + [f"unreadable {name}" for name in unreadable]


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _build(
    entry: Path,
    name: str,
    faces: Iterator[PreparedFace],
    total: int,
    preparation: Preparation,
    on_broken: OnBroken,
    progress: Progress | None,
) -> FaceSet:
    """Write a cache entry beside its final name, then rename it into place."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
    try:
        names: list[str] = []
        digests: list[str] = []
        broken: list[BrokenImageError] = []
        # Plain writes, not a memory map: on a full disk a map ends the process by a signal.
        with (scratch / "images.npy").open("wb") as file:
            _write_header(file, total, preparation.size)
            for done, face in enumerate(faces, 1):
                if face.pixels is None:
                    assert face.broken is not None
                    broken.append(face.broken)
                else:
                    file.write(face.pixels.tobytes())
                    names.append(face.name)
                    digests.append(hashlib.sha256(face.pixels.tobytes()).hexdigest())
                if progress is not None:
                    progress(done, total)
            notes = settle_broken(broken, on_broken, total, name)
            file.seek(0)
            _write_header(file, len(names), preparation.size)
        index = {"names": names, "digests": digests, "preparation": preparation.to_dict(), "notes": notes}
        (scratch / "index.json").write_text(json.dumps(index))
        _put_in_place(scratch, entry, name)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(entry.parent)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    built = _load(entry, name)
    assert built is not None, "an entry that was just written can be read"
    return built


def _write_header(file: BinaryIO, num: int, size: int) -> None:
    """The header of an .npy of uint8 [num, size, size, 3]; NumPy pads it, so that it can be rewritten for fewer."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (num, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, header)


def _put_in_place(scratch: Path, entry: Path, name: str) -> None:
    """Rename a finished entry, unless another process was first; equal keys mean equal contents."""
    existing = _load(entry, name)
    if existing is not None and existing.digests == json.loads((scratch / "index.json").read_bytes())["digests"]:
        return
    shutil.rmtree(entry, ignore_errors=True)
    try:
        scratch.rename(entry)
    except OSError:
        if _load(entry, name) is None:
            raise


def _load(entry: Path, name: str) -> FaceSet | None:
    """Read a cache entry; None when there is none, or it is damaged and must be built anew."""
    try:
        index = json.loads((entry / "index.json").read_bytes())
        images = np.load(entry / "images.npy", mmap_mode="r")
        if len(images) != len(index["names"]):
            return None
        return FaceSet(
            name=name,
            images=images,
            names=index["names"],
            digests=index["digests"],
            preparation=Preparation.from_dict(index["preparation"]),
            key=hashlib.sha256(json.dumps([index["digests"], index["preparation"]]).encode()).hexdigest(),
            notes=index["notes"],
        )
    except (OSError, ValueError, KeyError, EOFError):
        return None

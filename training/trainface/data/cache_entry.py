"""One entry of the cache of prepared faces: a folder that is complete under its name or not there at all.

`images.npy`, uint8 [N, H, W, 3], is written as the faces come and memory-mapped when it is read, so that 70,000 faces
never need the memory of 70,000 faces; `index.json` holds what is known of each.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genface.errors import BrokenImageError
from genface.face_finder import FoundFace
from genface.photos import OnBroken, Preparation, PreparedFace, crop_notes, is_faceless, settle_broken
from trainface.data.offline_augment import OfflineAugment, with_copies

FORMAT = 1
COPY_SIGN = "+"
"""Stands in the digest of an augmented copy between that of its photo and its number."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True)
class CacheEntry:
    """An entry as it is read."""

    images: NDArray[np.uint8]
    """uint8 [N, H, W, 3], RGB; a memory map."""
    index: dict[str, Any]
    """names, digests, preparation, augment, notes, skipped."""

    @property
    def skipped(self) -> int:
        """Broken pictures that were left out. Before faces were looked for, an entry's notes were of nothing else."""
        return int(self.index.get("skipped", len(self.index["notes"])))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How pictures become an entry."""

    preparation: Preparation
    augment: OfflineAugment | None
    on_broken: OnBroken
    progress: Progress | None


def load(entry: Path) -> CacheEntry | None:
    """Read an entry; None when there is none, or it is damaged and must be built anew."""
    try:
        index = json.loads((entry / "index.json").read_bytes())
        images = np.load(entry / "images.npy", mmap_mode="r")
        Preparation.from_dict(index["preparation"])
        whole = len(images) == len(index["names"]) == len(index["digests"]) and isinstance(index["notes"], list)
        return CacheEntry(images, index) if whole else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def build(entry: Path, faces: Iterator[PreparedFace], total: int, plan: Plan, name: str) -> CacheEntry:
    """Write a cache entry beside its final name, then rename it into place."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
    try:
        # Plain writes, not a memory map: on a full disk a map ends the process by a signal.
        with (scratch / "images.npy").open("wb") as file:
            index = _write_images(file, faces, total, plan, name)
        (scratch / "index.json").write_text(json.dumps(index))
        _put_in_place(scratch, entry)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(entry.parent)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    built = load(entry)
    assert built is not None, "an entry that was just written can be read"
    return built


def _write_images(file: BinaryIO, faces: Iterator[PreparedFace], total: int, plan: Plan, name: str) -> dict[str, Any]:
    """Write the array as the faces come; gives the entry's index."""
    names: list[str] = []
    digests: list[str] = []
    broken: list[BrokenImageError] = []
    found: list[tuple[str, FoundFace]] = []
    size, augment = plan.preparation.size, plan.augment
    _write_header(file, total * (1 + (augment.copies if augment else 0)), size)
    with_their_copies = with_copies(faces, augment) if augment else ((face, []) for face in faces)
    for done, (face, copies) in enumerate(with_their_copies, 1):
        if face.pixels is None:
            assert face.broken is not None
            broken.append(face.broken)
        else:
            digest = hashlib.sha256(face.pixels.tobytes()).hexdigest()
            for number, pixels in enumerate([face.pixels, *copies]):
                file.write(pixels.tobytes())
                names.append(f"{face.name}{COPY_SIGN}{number}" if number else face.name)
                digests.append(f"{digest}{COPY_SIGN}{number}" if number else digest)
            if face.found is not None:
                found.append((face.name, face.found))
        if plan.progress is not None:
            plan.progress(done, total)
    notes = settle_broken(broken, plan.on_broken, total, name) + crop_notes(found, size, total)
    if augment is not None:
        notes.append(augment.note(total - len(broken)))
    file.seek(0)
    _write_header(file, len(names), size)
    return {
        "names": names,
        "digests": digests,
        "preparation": plan.preparation.to_dict(),
        "augment": augment.record if augment else None,
        "notes": notes,
        "skipped": sum(not is_faceless(error) for error in broken),
    }


def _write_header(file: BinaryIO, num: int, size: int) -> None:
    """The header of an .npy of uint8 [num, size, size, 3]; padded by NumPy, so that it can be rewritten for fewer."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (num, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, header)


def _put_in_place(scratch: Path, entry: Path) -> None:
    """Rename a finished entry, unless another process was first; equal keys mean equal contents."""
    existing, finished = load(entry), load(scratch)
    assert finished is not None, "an entry that was just written can be read"
    if existing is not None and existing.index["digests"] == finished.index["digests"]:
        return
    shutil.rmtree(entry, ignore_errors=True)
    try:
        scratch.rename(entry)
    except OSError:
        if load(entry) is None:
            raise

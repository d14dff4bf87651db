"""Pictures of one side of a score: where they come from, what their files say, and the faces they are prepared to.

`Pictures` are those of one place, `PictureFiles` or `evalface.generated.DrawnPictures`; a `Side` is such pictures
together with the rule by which each becomes a face. Both name a picture by its index, 0 to N - 1.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalface.looks import UNREADABLE, Look, look
from genface.archive import KIND, PREPARED_KIND
from genface.cores import usable_cores
from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation, PreparedFace, is_faceless, prepare_many
from genface.sources import PictureSource

# Sets whose manifest tells how their pictures were prepared: drawn archives and prepared real sets.
_RECORDED_KINDS = (KIND, PREPARED_KIND)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One look at every picture of a set, before any is decoded."""

    looks: tuple[Look, ...]
    """In the order of the pictures."""

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """What tells each picture from every other: SHA-256 of its file; `unreadable` for one that cannot be read."""
        return tuple(look.digest for look in self.looks)

    @cached_property
    def sizes(self) -> frozenset[tuple[int, int]]:
        """Widths and heights that the headers declare; files without a readable header are left out."""
        return frozenset(look.size for look in self.looks if look.size is not None)

    @property
    def sha256(self) -> str:
        """One hash for the contents in their order, whatever the files are called."""
        return self.sha256_of(range(len(self.looks)))

    def sha256_of(self, indices: Sequence[int]) -> str:
        """The same for some of the pictures, in the order of `indices`."""
        return hashlib.sha256("\n".join(self.digests[index] for index in indices).encode()).hexdigest()


class Pictures(ABC):
    """The pictures of one place, in one order; a context manager that closes the place."""

    names: Sequence[str]
    manifest: dict[str, Any] | None
    """What tells how they were made, if anything does."""
    record: Preparation | None
    """How they were prepared, or the photos that their generator learned from, as far as that is recorded."""

    @property
    @abstractmethod
    def survey(self) -> Survey:
        """A look at each; files are read when this is first asked for."""

    @abstractmethod
    def faces(self, preparation: Preparation | None, indices: Sequence[int] | None = None) -> Iterator[PreparedFace]:
        """The pictures `indices` (default: all) in that order, prepared; with None each keeps its size.

        What to do about broken ones, which come with a reason in place of pixels, is the caller's.
        """

    @abstractmethod
    def __str__(self) -> str:
        """The place, as a person named it."""

    @abstractmethod
    def close(self) -> None:
        """Release the place."""

    def __len__(self) -> int:
        return len(self.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PictureFiles(Pictures):
    """Encoded pictures of a folder or an archive.

    Raises UserError for a preparation in the manifest that this version cannot use; `faces` does when a file is not
    any more what the survey has seen.
    """

    def __init__(self, source: PictureSource) -> None:
        self._source = source
        self.names, self.manifest = source.names, source.manifest
        self.record = recorded_preparation(source)

    @cached_property
    def survey(self) -> Survey:
        return survey(self._source)

    def faces(self, preparation: Preparation | None, indices: Sequence[int] | None = None) -> Iterator[PreparedFace]:
        names = None if indices is None else [self.names[index] for index in indices]
        return prepare_many(_Surveyed(self._source, self.survey), preparation, names)

    def close(self) -> None:
        self._source.close()

    def __str__(self) -> str:
        return str(self._source)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a score: its pictures, and how each becomes a face."""

    source: Pictures
    size: int
    """Side of every face in pixels."""
    preparation: Preparation | None
    """None: the pictures are faces of `size` px already and are used as they are."""

    @property
    def survey(self) -> Survey:
        """What the files say."""
        return self.source.survey

    @property
    def record(self) -> Preparation | None:
        """The rule that made the faces, applied here or before; None where nothing tells it."""
        return self.preparation or self.source.record

    def faces(self, indices: Sequence[int] | None = None) -> Iterator[PreparedFace]:
        """The faces `indices` (default: all) in that order: uint8 [size, size, 3], or why there is none.

        Raises UserError for a face used as it is that has not the side's size.
        """
        for face in self.source.faces(self.preparation, indices):
            if face.pixels is not None and face.pixels.shape != (self.size, self.size, 3):
                height, width, _ = face.pixels.shape
                raise UserError(
                    f"{self.source}: {face.name} is {width}x{height}, but the faces of this set should be"
                    f" {self.size} px square; mend the set or its manifest"
                )
            yield face


def survey(source: PictureSource) -> Survey:
    """Hash every file and read its header. Broken files are noted here and judged when they are decoded."""

    def look_at(name: str) -> Look:
        try:
            return look(source.read(name))
        except BrokenImageError:
            return Look(digest=UNREADABLE)

    with ThreadPoolExecutor(usable_cores()) as pool:
        return Survey(looks=tuple(pool.map(look_at, source.names)))


def recorded_preparation(source: PictureSource) -> Preparation | None:
    """The preparation that the manifest of a drawn archive or a prepared set carries, if there is one."""
    manifest: dict[str, Any] = source.manifest or {}
    record = manifest.get("preparation") if manifest.get("kind") in _RECORDED_KINDS else None
    if record is None:
        return None
    if not isinstance(record, dict):
        raise UserError(f"{source}: the preparation in its manifest is no record: {record!r}")
    try:
        return Preparation.from_dict(record)
    except UserError as error:
        raise UserError(
            f"{source}: the preparation in its manifest cannot be used: {error}; update genface, or make the set again"
            " with this version"
        ) from error


def blocks(
    side: Side, indices: Sequence[int], broken: dict[int, BrokenImageError], stop_at_broken: bool, length: int = 128
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """The faces `indices` in that order: at most `length` indices at a time, with uint8 [N, size, size, 3].

    Broken pictures go into `broken` by their index. With `stop_at_broken` no block comes after the first one, but the
    others are still looked at, so that `broken` names them all; a picture without a face that the crop asks for is
    among `broken` and stops nothing. Raises UserError for a face used as it is that has not the side's size.
    """
    faces: list[NDArray[np.uint8]] = []
    whole: list[int] = []
    stopped = stop_at_broken and any(not is_faceless(error) for error in broken.values())
    for index, face in zip(indices, side.faces(indices), strict=True):
        if face.pixels is None:
            assert face.broken is not None
            broken[index] = face.broken
            stopped |= stop_at_broken and not is_faceless(face.broken)
        elif not stopped:
            faces.append(face.pixels)
            whole.append(index)
            if len(faces) == length:
                yield whole, np.stack(faces)
                faces, whole = [], []
    if faces and not stopped:
        yield whole, np.stack(faces)


class _Surveyed(PictureSource):
    """A source that gives only what its survey has seen: features are kept under the hash of their picture."""

    def __init__(self, source: PictureSource, seen: Survey) -> None:
        super().__init__(source.path, source.names, source.manifest)
        self._source = source
        self._digests = dict(zip(source.names, seen.digests, strict=True))

    def read(self, name: str) -> bytes:
        try:
            data = self._source.read(name)
        except BrokenImageError:
            if self._digests[name] == UNREADABLE:
                raise
            data = b""
        if hashlib.sha256(data).hexdigest() != self._digests[name]:
            raise UserError(f"{self._source}: {name} has changed since it was first read; start again")
        return data

    def __str__(self) -> str:
        return str(self._source)

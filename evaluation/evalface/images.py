"""The two sides of a score, and the one rule by which the real side is prepared like the fake one."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genface.archive import KIND, PREPARED_KIND
from genface.cores import usable_cores
from genface.errors import BrokenImageError, UserError
from genface.photos import MAX_PIXELS, Preparation, is_faceless, prepare_many
from genface.sources import PictureSource

# Sets whose manifest tells how their pictures were prepared: drawn archives and prepared real sets.
_RECORDED_KINDS = (KIND, PREPARED_KIND)
_UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One reading of all files of a source, before any is decoded."""

    digests: tuple[str, ...]
    """SHA-256 of each file in the source's order; `unreadable` for a file that cannot be read."""
    sizes: frozenset[tuple[int, int]]
    """Widths and heights that the headers declare; files without a readable header are left out."""

    @property
    def sha256(self) -> str:
        """One hash for the contents in their order, whatever the files are called."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a score: where its pictures are, and how each is prepared."""

    source: PictureSource
    survey: Survey
    size: int
    """Side of every prepared face in pixels."""
    preparation: Preparation | None
    """None: the pictures are faces of `size` px already and are used as they are."""


def survey(source: PictureSource) -> Survey:
    """Hash every file and read its declared size. Broken files are noted here and judged when they are decoded."""

    def look(name: str) -> tuple[str, tuple[int, int] | None]:
        try:
            data = source.read(name)
        except BrokenImageError:
            return _UNREADABLE, None
        digest = hashlib.sha256(data).hexdigest()
        try:
            with Image.open(io.BytesIO(data)) as header:
                return digest, header.size if header.width * header.height <= MAX_PIXELS else None
        except Exception:  # Pillow raises whatever the damage leads to; decoding will say what it is
            return digest, None

    with ThreadPoolExecutor(usable_cores()) as pool:
        looks = list(pool.map(look, source.names))
    return Survey(
        digests=tuple(digest for digest, _ in looks), sizes=frozenset(size for _, size in looks if size is not None)
    )


def align(real: PictureSource, fake: PictureSource, size: int | None) -> tuple[Side, Side, str]:
    """Decide how both sides are prepared; returns real, fake and the sentence that tells a person.

    1. The fakes' manifest carries a preparation: reals are prepared by it, or used as they are if they carry the same.
    2. No record and all fakes are squares of one size: that size, centre crop.
    3. Otherwise both sides are centre-cropped to `size`, which must be given.

    Raises UserError for records that differ, for a `size` that contradicts a record, and where `size` is missing.
    """
    real_record, fake_record = recorded_preparation(real), recorded_preparation(fake)
    fake_survey = survey(fake)
    if fake_record is not None:
        if size not in (None, fake_record.size):
            raise UserError(f"--size {size} contradicts {fake}, whose manifest says {fake_record}; leave --size out")
        target, fake_rule = fake_record, None
        said = f"real pictures are prepared as the manifest of {fake} says ({fake_record})"
    elif size is not None:
        target = fake_rule = Preparation(size=size)
        said = f"both sides are prepared by --size ({target})"
    else:
        target, fake_rule = _common_preparation(fake, fake_survey), None
        said = f"real pictures are prepared to the size of the fakes, which carry no record ({target})"
    real_rule: Preparation | None = target
    if real_record is not None:
        # Without a record on the fakes their crop is unknown, and the reals' own is as good as any.
        fits = real_record == fake_record if fake_record is not None else real_record.size == target.size
        if not fits:
            raise UserError(
                f"{real} was prepared differently ({real_record}) from {fake} ({target}): give the original photos as"
                " the real side, or a set prepared like the fakes"
            )
        real_rule, said = None, f"{said}; {real} is prepared so already ({real_record}) and used as it is"
    real_side = Side(source=real, survey=survey(real), size=target.size, preparation=real_rule)
    fake_side = Side(source=fake, survey=fake_survey, size=target.size, preparation=fake_rule)
    return real_side, fake_side, said


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


def note_on_copies(real: Side, fake: Side) -> str | None:
    """What a person should know about generated files that are byte for byte files of the real side, if there are any.

    Pictures that cannot be read are left out.
    """
    reals, fakes = (Counter(digest for digest in side.survey.digests if digest != _UNREADABLE) for side in (real, fake))
    if fakes and reals == fakes:
        return f"{real.source} and {fake.source} hold the same files: these scores say nothing about a generator"
    copies = sum(count for digest, count in fakes.items() if digest in reals)
    if not copies:
        return None
    return f"{copies:,} of {fakes.total():,} files of {fake.source} are byte for byte files of {real.source}"


def _common_preparation(fake: PictureSource, found: Survey) -> Preparation:
    if len(found.sizes) == 1:
        (width, height), *_ = found.sizes
        if width == height:
            try:
                return Preparation(size=width)
            except UserError as error:
                raise UserError(
                    f"{fake}: carries no record of its preparation, and its pictures are {width}x{height}: {error}; say"
                    " by --size N to what size both sides are centre-cropped"
                ) from error
    shown = ", ".join(f"{width}x{height}" for width, height in sorted(found.sizes)[:4]) or "none readable"
    raise UserError(
        f"{fake}: carries no record of its preparation, and its pictures are not squares of one size ({shown}"
        f"{', ...' if len(found.sizes) > 4 else ''}); say by --size N to what size both sides are centre-cropped"
    )


def blocks(
    side: Side, broken: dict[int, BrokenImageError], stop_at_broken: bool, length: int = 128
) -> Iterator[NDArray[np.uint8]]:
    """Prepared faces in the source's order, uint8 [N, size, size, 3] with N at most `length`.

    Broken pictures go into `broken` by their place in the source. With `stop_at_broken` no block comes after the first
    one, but the others are still looked at, so that `broken` names them all; a picture without a face that the crop
    asks for is among `broken` and stops nothing. Raises UserError for a face used as it is
    that has not the side's size.
    """
    faces: list[NDArray[np.uint8]] = []
    stopped = False
    for index, face in enumerate(prepare_many(side.source, side.preparation)):
        if face.pixels is None:
            assert face.broken is not None
            broken[index] = face.broken
            stopped |= stop_at_broken and not is_faceless(face.broken)
            continue
        if face.pixels.shape != (side.size, side.size, 3):
            height, width, _ = face.pixels.shape
            raise UserError(
                f"{side.source}: {face.name} is {width}x{height}, but the faces of this set should be {side.size} px"
                " square; mend the set or its manifest"
            )
        if stopped:
            faces.clear()
            continue
        faces.append(face.pixels)
        if len(faces) == length:
            yield np.stack(faces)
            faces = []
    if faces and not stopped:
        yield np.stack(faces)

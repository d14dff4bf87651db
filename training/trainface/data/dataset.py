"""A source of photos becomes a uint8 array of prepared faces, cached on disk by content.

The key of an entry is the SHA-256 over the bytes of every picture, their names, the preparation, the offline
augmentation and the format of the entry.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.archive import PREPARED_KIND, PictureNames, open_archive
from genface.encode import encode_png
from genface.errors import BrokenImageError, UserError
from genface.photos import (
    DECODING_VERSION,
    OnBroken,
    Preparation,
    PreparedFace,
    prepare_many,
)
from genface.sources import PictureSource, open_source
from trainface import atomic, cartoons
from trainface.data import cache_entry
from trainface.data.cache_entry import COPY_SIGN, CacheEntry, Plan, Progress
from trainface.data.offline_augment import OfflineAugment

BUILTIN = "builtin:cartoons"
BUILTIN_IMAGES = 4096
BUILTIN_AT_MOST = 1_000_000
BUILTIN_SEED = 0


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
    """SHA-256 of each face's pixels, as hex; for an augmented copy that of its photo's face, `+` and a number."""
    preparation: Preparation
    key: str
    """SHA-256 over the digests, the preparation and the offline augmentation: equal for equal faces in equal order."""
    augment: dict[str, Any] | None = None
    """The offline augmentation: `file`, `sha256`, `copies` of each face, version of `albumentations`; None without."""
    notes: list[str]
    """What a person should know of the preparation, e.g. the pictures that were skipped."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def originals(self) -> NDArray[np.int64]:
        """Indices of the faces that are no augmented copies."""
        return np.flatnonzero([COPY_SIGN not in digest for digest in self.digests])


def open_faces(
    src: str,
    preparation: Preparation,
    *,
    on_broken: OnBroken = "fail",
    offline_augment: Path | None = None,
    augment_copies: int = 0,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> FaceSet:
    """Prepare `src` (a folder, .zip, .tar, `hf:NAME`, or `builtin:cartoons[:N]`), or take it from the cache.

    Each face is followed by `augment_copies` copies that the albumentations pipeline in the file `offline_augment`
    makes of it; both are given or neither. Photos without a face that the crop asks for are left out, and counted in
    the notes.

    Raises UserError for a source without pictures, with broken ones (unless they are skipped), or one that was
    prepared in another way already, and for a pipeline that cannot be used.
    """
    cache_dir = cache_dir or default_cache_dir()
    if offline_augment is None and augment_copies:
        raise UserError(f"augment_copies={augment_copies}: give the pipeline that makes them as well")
    augment = OfflineAugment(offline_augment, augment_copies) if offline_augment is not None else None
    plan = Plan(preparation=preparation, augment=augment, on_broken=on_broken, progress=progress)
    if src.startswith("builtin:"):
        count = _builtin_count(src)
        if preparation.crop != "center":
            # The record would claim a search that never was, and scores would then look for faces in the real side.
            raise UserError(f"{src}: faces drawn to fill their squares; leave --crop {preparation.crop} out")
        # A few rendered faces stand for the renderer's version in the key.
        specimens = b"".join(cartoons.render(BUILTIN_SEED, index, 64).tobytes() for index in range(16))
        specimen = hashlib.sha256(specimens).hexdigest()
        lines = [f"{specimen} {BUILTIN} seed {BUILTIN_SEED} n {count}"]
        entry = cache_dir / _key(lines, plan)
        rendered = _render_cartoons(count, preparation.size)
        built = cache_entry.load(entry) or cache_entry.build(entry, rendered, count, plan, BUILTIN)
        return _face_set(built, BUILTIN, augment)
    with open_source(src) as source:
        prepared = _prepared_already(source, preparation)
        entry = cache_dir / _key(_content_lines(source, cache_dir), plan)
        name = os.fsencode(Path(src).resolve().name).decode(errors="replace")
        # An entry that was built by skipping broken pictures is no answer to a run that must not skip any.
        cached = cache_entry.load(entry)
        if cached is not None and (on_broken == "skip" or not cached.skipped):
            return _face_set(cached, name, augment)
        # A face must not be looked for in a face that was cut out already.
        faces = prepare_many(source, replace(preparation, crop="center") if prepared else preparation)
        return _face_set(cache_entry.build(entry, faces, len(source), plan, name), name, augment)


def split_holdout(digests: list[str], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (training, hold-out): a face is held out when the first 64 bits of its digest fall below `share`.

    The choice depends on a face's pixels alone, so copies of one picture are never on both sides, and pictures added
    later move none of the others. Augmented copies follow their photo: they are trained on with it, and are in neither
    half where it is held out, so that the hold-out is photos alone.
    """
    held = np.array([int(digest[:16], 16) < share * 2.0**64 for digest in digests], dtype=bool)
    copies = np.array([COPY_SIGN in digest for digest in digests], dtype=bool)
    return np.flatnonzero(~held), np.flatnonzero(held & ~copies)


def write_prepared(faces: FaceSet, path: Path, *, force: bool) -> None:
    """Write a prepared set as a .zip or folder of PNGs with a manifest that states the preparation.

    Raises UserError for a set with augmented copies: what is written may become the real side of a score.
    """
    if any(COPY_SIGN in digest for digest in faces.digests):
        raise UserError(
            f"{path}: a prepared set holds photos alone, since scores take it for the real faces; leave the"
            " augmentation out here, and give it to the training"
        )
    manifest = {
        "kind": PREPARED_KIND,
        "format_version": 1,
        "source": faces.name,
        "n": len(faces),
        "preparation": faces.preparation.to_dict(),
        "notes": faces.notes,
    }
    names = PictureNames(range(len(faces)))
    with open_archive(path, manifest=manifest, names=names, force=force) as archive:
        for index, pixels in enumerate(faces.images):
            archive.write(names[index], encode_png(pixels, None))


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


def _prepared_already(source: PictureSource, preparation: Preparation) -> bool:
    """Whether the source's faces were prepared as wanted; raises UserError where they were in another way."""
    record = (source.manifest or {}).get("preparation")
    if record is None:
        return False
    if Preparation.from_dict(record) != preparation:
        raise UserError(
            f"{source}: its faces were prepared as {Preparation.from_dict(record)}, this run wants {preparation};"
            " train at that size and crop, or prepare the photos anew with `trainface data`"
        )
    return True


def _key(content_lines: list[str], plan: Plan) -> str:
    record: list[Any] = [cache_entry.FORMAT, DECODING_VERSION, content_lines, plan.preparation.to_dict()]
    if plan.augment is not None:
        record.append(plan.augment.record)
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _content_lines(source: PictureSource, cache_dir: Path) -> list[str]:
    """One `digest name` line a picture. Digests are remembered by path, size and time, for 70,000 files at 1 MB."""
    memo_path = cache_dir / "digests" / f"{hashlib.sha256(os.fsencode(source.path.resolve())).hexdigest()}.json"
    try:
        memo: dict[str, list[Any]] = json.loads(memo_path.read_bytes())
    except (OSError, ValueError):
        memo = {}
    fresh: dict[str, list[Any]] = {}
    unreadable: list[str] = []
    for name in source.names:
        stamp = source.stamp(name)
        known = memo.get(name)
        if known is not None and stamp is not None and known[0] == stamp:
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


def _face_set(entry: CacheEntry, name: str, augment: OfflineAugment | None) -> FaceSet:
    index = entry.index
    # The augmentation only where there is one, so that the keys of older sets stay what they were.
    facts = [index["digests"], index["preparation"], *([index["augment"]] if index.get("augment") else [])]
    return FaceSet(
        name=name,
        images=entry.images,
        names=index["names"],
        digests=index["digests"],
        preparation=Preparation.from_dict(index["preparation"]),
        key=hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
        augment=None if augment is None else {"file": augment.file.name, **augment.record},
        notes=index["notes"],
    )

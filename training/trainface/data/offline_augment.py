"""More pictures of each face for the data cache, made by an albumentations pipeline that the user wrote to a file.

The file is the library's own serialised form: `albumentations.save(pipeline, "file.json")`, or .yaml with
`data_format="yaml"` (Buslaev et al. 2020, doi:10.3390/info11020125).
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.cores import usable_cores
from genface.errors import UserError
from genface.parallel import ordered_map
from genface.photos import PreparedFace

_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}


class OfflineAugment:
    """A pipeline and the number of copies that it makes of each prepared face.

    Copy c of a face follows from the pipeline, the face's pixels and c alone, whatever the order or the thread.
    Raises UserError for a file that is no pipeline, less than one copy, or when albumentations is not installed.
    """

    def __init__(self, file: Path, copies: int) -> None:
        if copies < 1:
            raise UserError(f"augment_copies={copies}: an offline augmentation makes 1 copy of each photo or more")
        self.file, self.copies = file, copies
        try:
            self._content = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: the augmentation cannot be read ({error.strerror or error})") from error
        self._albumentations = _import_albumentations()
        self._load()  # a file that is no pipeline is refused before any photo is read
        self._per_thread = threading.local()

    @property
    def record(self) -> dict[str, Any]:
        """All that decides the copies; part of the cache's key."""
        return {
            "sha256": hashlib.sha256(self._content).hexdigest(),
            "copies": self.copies,
            "albumentations": self._albumentations.__version__,
        }

    def note(self, photos: int) -> str:
        """The line that tells a person what the set holds."""
        digest = hashlib.sha256(self._content).hexdigest()[:12]
        return f"{self.copies} augmented copies of each of {photos} photos by {self.file.name} (SHA-256 {digest}...)"

    def copies_of(self, pixels: NDArray[np.uint8], digest: str) -> list[NDArray[np.uint8]]:
        """The augmented copies of one face, each uint8 [H, W, 3] like `pixels`, whose SHA-256 is `digest`."""
        if not hasattr(self._per_thread, "transform"):
            self._per_thread.transform = self._load()
        return [self._apply(self._per_thread.transform, pixels, digest, number) for number in range(self.copies)]

    def _apply(self, transform: Any, pixels: NDArray[np.uint8], digest: str, number: int) -> NDArray[np.uint8]:
        seed = int.from_bytes(hashlib.sha256(f"{digest} {number}".encode()).digest()[:4])
        transform.set_random_seed(seed)
        try:
            image = transform(image=pixels.copy())["image"]
        except Exception as error:  # whatever a transform raises on these pixels
            raise UserError(f"{self.file}: the augmentation fails on {pixels.shape} pixels ({error})") from error
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != pixels.shape:
            made = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise UserError(
                f"{self.file}: the augmentation must turn uint8 {list(pixels.shape)} into the same, not into {made};"
                " leave out Normalize, ToTensor and crops that change the size"
            )
        return np.ascontiguousarray(image)

    def _load(self) -> Any:
        """A pipeline of its own, since it holds the state of its random numbers."""
        data_format = _FORMATS.get(self.file.suffix.lower())
        if data_format is None:
            raise UserError(f"{self.file}: an augmentation is a .json or .yaml file that albumentations.save wrote")
        try:
            # From the bytes that were hashed, not from the file, which may change meanwhile.
            return self._albumentations.load(io.StringIO(self._content.decode()), data_format=data_format)
        except Exception as error:  # json, yaml and the constructors of the transforms
            reason = " ".join(str(error).split())[:300]
            version = self._albumentations.__version__
            raise UserError(f"{self.file}: no pipeline that albumentations {version} can load ({reason})") from error


def with_copies(
    faces: Iterator[PreparedFace], augment: OfflineAugment, workers: int | None = None
) -> Iterator[tuple[PreparedFace, list[NDArray[np.uint8]]]]:
    """Each face with its copies, in order, made in threads; a broken picture has none."""

    def augmented(face: PreparedFace) -> tuple[PreparedFace, list[NDArray[np.uint8]]]:
        if face.pixels is None:
            return face, []
        return face, augment.copies_of(face.pixels, hashlib.sha256(face.pixels.tobytes()).hexdigest())

    yield from ordered_map(augmented, faces, workers or usable_cores(), "augment")


def _import_albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # without it the import asks the network for newer versions
    try:
        import albumentations
    except ImportError as error:
        raise UserError(
            f"an offline augmentation needs albumentations ({error}): install trainface with its extra augment,"
            " e.g. pip install './training[augment]'"
        ) from error
    return albumentations

"""Photos from files that are named one by one: their pixels, and the digests by which a result names them."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation, crop_notes, decode, is_faceless, prepare_many
from genface.sources import MAX_FILE_BYTES, PictureSource

_CUT_ALREADY = "a photo that is cut to the face already is taken as it is by --crop center"


@dataclass(frozen=True)
class Photo:
    """A decoded photo."""

    image: Image.Image
    """Upright, 8-bit RGB; see `genface.photos.decode`."""
    sha256: str
    """SHA-256 of the file, in hexadecimal: a name would tell who is shown, and not by which picture."""


@dataclass(frozen=True)
class Faces:
    """Faces cut out of photos."""

    pixels: NDArray[np.uint8]
    """uint8 [N, size, size, 3], RGB."""
    sha256: tuple[str, ...]
    """SHA-256 of each photo's file, in hexadecimal."""
    notes: tuple[str, ...]
    """Lines that tell a person which photos showed several faces, or a very small one."""


class PhotoFiles(PictureSource):
    """Files as a source of pictures: names are their paths, in the given order, and may come twice."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(Path(), [str(path) for path in paths], None)
        self.sha256: dict[str, str] = {}
        """SHA-256 of what was read, by name."""

    def read(self, name: str) -> bytes:
        path = Path(name)
        try:
            status = path.stat()
            if path.is_dir():
                raise BrokenImageError(name, "is a folder; give the file of one photo")
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                raise BrokenImageError(name, "is not a regular file; give the file of one photo")
            if status.st_size > MAX_FILE_BYTES:
                raise BrokenImageError(name, f"over {MAX_FILE_BYTES >> 20} MiB")
            data = path.read_bytes()
        except FileNotFoundError:
            raise BrokenImageError(name, "no such file; give the file of one photo") from None
        except OSError as error:
            raise BrokenImageError(name, f"cannot be read ({error.strerror or error})") from error
        self.sha256[name] = hashlib.sha256(data).hexdigest()
        return data


def read_photo(path: Path) -> Photo:
    """Read and decode one picture file.

    Raises BrokenImageError, naming the file, when it is missing, no regular file, over 512 MiB, or no picture that
    `genface.photos.decode` takes.
    """
    files = PhotoFiles([path])
    (name,) = files.names
    return Photo(decode(files.read(name), name), files.sha256[name])


def read_faces(paths: Sequence[Path], preparation: Preparation) -> Faces:
    """Read, decode and cut photos by one rule, in their order.

    Raises BrokenImageError, naming the first such file, as `read_photo` does and where no face is found in a photo that
    one is to be cut out of; UserError where what finds faces is not installed. These two say how a photo is given that
    is cut already.
    """
    files = PhotoFiles(paths)
    try:
        prepared = list(prepare_many(files, preparation))
    except UserError as error:
        raise UserError(f"{error}; {_CUT_ALREADY}") from error
    pixels, found = [], []
    for face in prepared:
        if face.broken is not None:
            raise _explained(face.broken)
        assert face.pixels is not None
        pixels.append(face.pixels)
        if face.found is not None:
            found.append((face.name, face.found))
    digests = tuple(files.sha256[name] for name in files.names)
    return Faces(np.stack(pixels), digests, tuple(crop_notes(found, preparation.size, len(files))))


def _explained(error: BrokenImageError) -> BrokenImageError:
    if not is_faceless(error):
        return error
    seen = "one is found when it looks at the camera, upright and not tiny"
    return BrokenImageError(error.name, f"{error.reason}: {seen}; {_CUT_ALREADY}")

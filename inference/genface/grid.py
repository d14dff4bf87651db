"""Pictures side by side as one image, and the file that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genface.cores import usable_cores
from genface.encode import FormatName, PictureFormat, encode
from genface.errors import UserError
from genface.model import Generator
from genface.new_file import new_file
from genface.parallel import ordered_map
from genface.provenance import Making

Picture = NDArray[np.uint8]

FORMATS: dict[str, FormatName] = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""Picture formats by the ending of a file's name."""
MAX_PIXELS = 178_956_970
"""Above this Pillow, for one, refuses to open a picture as a decompression bomb."""

# The longest side that a format can state (libjpeg's own limit for JPEG).
_MAX_SIDE: dict[FormatName, int] = {"png": (1 << 31) - 1, "webp": 16_383, "jpeg": 65_500}
_GAP_LEVEL = 255


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Where pictures of one size lie on an image: row by row, with white between them and where none is left.

    Raises UserError when there is no row or column, a scale below 1, a gap below 0, or more than MAX_PIXELS.
    """

    rows: int
    cols: int
    height: int
    """Of one picture."""
    width: int
    scale: int = 1
    """Pixels of the image, in either direction, that a pixel of a picture becomes (nearest neighbour)."""
    gap: int = 2
    """Pixels of the image between neighbours."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("rows", self.rows, 1),
            ("cols", self.cols, 1),
            ("scale", self.scale, 1),
            ("gap", self.gap, 0),
        ):
            if value < least:
                raise UserError(f"{name} must be at least {least}, not {value}")
        width, height = self.size
        if width * height > MAX_PIXELS:
            raise UserError(
                f"the image would have {width:,} x {height:,} pixels, and over {MAX_PIXELS:,} are opened by few"
                " programs: take fewer pictures or a smaller --scale"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        height, width = (self.scale * side for side in (self.height, self.width))
        return self.cols * (width + self.gap) - self.gap, self.rows * (height + self.gap) - self.gap

    def fill(self, pictures: Iterable[Picture]) -> Picture:
        """Lay out up to rows * cols pictures, uint8 [height, width, 3] each: one image, uint8 [H, W, 3]."""
        width, height = self.size
        image = np.full((height, width, 3), _GAP_LEVEL, dtype=np.uint8)
        for place, picture in enumerate(pictures):
            row, col = divmod(place, self.cols)
            top = row * (self.scale * self.height + self.gap)
            left = col * (self.scale * self.width + self.gap)
            scaled = picture.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            image[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
        return image


def near_square(count: int) -> tuple[int, int]:
    """Rows and columns for so many pictures: as many columns as rows, or one more."""
    cols = int(np.ceil(np.sqrt(count)))
    return -(-count // cols), cols


def drawn(generator: Generator, latents_of: Callable[[range], NDArray[np.float32]], n: int) -> Iterator[Picture]:
    """Draw pictures 0 to n - 1 in order, on all usable cores and in bounded memory: uint8 [H, W, 3] each.

    `latents_of` gives the latents of consecutive pictures, float32 [N, z_dim].
    """
    block = generator.block
    jobs = (range(start, min(start + block, n)) for start in range(0, n, block))
    for pictures in ordered_map(lambda job: generator.from_latents(latents_of(job)), jobs, usable_cores(), "draw"):
        yield from pictures


def picture_format(path: Path, sheet: Sheet) -> PictureFormat:
    """The format that the ending of a name stands for. Raises UserError for another ending, or too large a sheet."""
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise UserError(f"{path}: pictures are written as {', '.join(FORMATS)}, not {path.suffix or 'without ending'}")
    if max(sheet.size) > _MAX_SIDE[name]:
        width, height = sheet.size
        raise UserError(
            f"{path}: would have {width:,} x {height:,} pixels, and {name} takes {_MAX_SIDE[name]:,} a side at most;"
            " write it as .png"
        )
    return PictureFormat(name=name)


def write_picture(
    path: Path,
    image: Picture,
    marks: Mapping[str, str],
    form: PictureFormat,
    *,
    force: bool,
    making: Making = "generated",
) -> None:
    """Write uint8 [H, W, 3], marked as made so with these texts (see `genface.provenance`), whole or not at all.

    Raises UserError naming the file when it exists and not `force`, or cannot be written.
    """
    with new_file(path, force=force) as temporary:
        temporary.write_bytes(encode(image, marks, form, making))

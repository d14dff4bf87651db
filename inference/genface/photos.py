"""How a photo becomes a face of the data set: one small record, applied by one function.

The record travels with everything that was made by it (data set, checkpoint, gen.onnx, archive), so that real and
generated pictures are always compared as the generator was taught.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genface.cores import usable_cores
from genface.errors import BrokenImageError, UserError
from genface.parallel import ordered_map
from genface.sources import PictureSource, picture_formats

CropRule = Literal["center"]
OnBroken = Literal["fail", "skip"]

MIN_SIDE = 8
MAX_SIDE = 1 << 15
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 1 << 26
DECODING_VERSION = 1
"""Version of the pixels that `decode` and `prepare` make; raised by every change of one of them. Caches key on it."""
_NAMED_AT_MOST = 20
_BOMB = f"declares more than {MAX_PIXELS} pixels (a decompression bomb)"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The rule by which a photo becomes a face of the data set. EXIF orientation and RGB are always applied."""

    size: int
    """Side of the square face in pixels, 8 to 1024."""
    crop: CropRule = "center"
    """`center`: the largest centred square of the upright photo."""
    resample: Literal["lanczos"] = "lanczos"
    """The filter of the resize; Pillow's, antialiased."""

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 8 <= self.size <= 1024:
            raise UserError(f"size must be a whole number from 8 to 1024, not {self.size!r}")
        if self.crop not in get_args(CropRule):
            raise UserError(f"unknown crop rule {self.crop!r}; known: {', '.join(get_args(CropRule))}")
        if self.resample != "lanczos":
            raise UserError(f"unknown resample filter {self.resample!r}; known: lanczos")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preparation:
        """Rebuild the record from a manifest, a checkpoint or metadata; an unknown key is an error, never ignored."""
        if not isinstance(record, Mapping):
            raise UserError(f"not a preparation record: {record!r}")
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(record) - known)
        if unknown or "size" not in record:
            raise UserError(f"not a preparation record (a newer version's?): {dict(record)}")
        return cls(**record)

    def __str__(self) -> str:
        return f"{self.size} px, {self.crop} crop, {self.resample}"


@dataclass(frozen=True)
class PreparedFace:
    """One picture of a source after preparation: pixels, or the reason why there are none."""

    name: str
    pixels: NDArray[np.uint8] | None
    """uint8 [H, W, 3], RGB."""
    broken: BrokenImageError | None = None


def decode(data: bytes, name: str) -> Image.Image:
    """Decode an encoded picture to upright 8-bit RGB.

    Rules: the first frame of an animation counts; EXIF orientation is applied; alpha is laid over white; 16-bit
    grayscale is scaled so that 65535 is white; palette, CMYK, YCbCr and LAB are converted by Pillow.

    Raises BrokenImageError for what is no picture, truncated, floating-point, over `MAX_PIXELS` pixels (a decompression
    bomb), or of a side under `MIN_SIDE` or over `MAX_SIDE`. Formats that run other programs (EPS) are no pictures here.
    """
    if not data:
        raise BrokenImageError(name, "empty file")
    try:
        with Image.open(io.BytesIO(data), formats=picture_formats()) as opened:
            width, height = opened.size
            if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
                raise BrokenImageError(name, f"{width}x{height}: sides must be {MIN_SIDE} to {MAX_SIDE} pixels")
            # Over this Pillow warns only; it refuses what is over twice of it. Its warning goes the way that the host
            # program's filters say: they are the whole process's, and catch_warnings is not safe in threads.
            if width * height > MAX_PIXELS:
                raise BrokenImageError(name, _BOMB)
            opened.load()
            return _to_rgb(ImageOps.exif_transpose(opened), name)
    except BrokenImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BrokenImageError(name, _BOMB) from error
    except UnidentifiedImageError as error:
        raise BrokenImageError(name, "not a picture that Pillow can read") from error
    except Exception as error:
        # Pillow's decoders raise whatever the damage leads to: OSError, SyntaxError, struct.error, IndexError ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenImageError(name, f"cannot be decoded ({reason})") from error


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "F":
        raise BrokenImageError(name, "floating-point pixels have no stated range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.float64).clip(0, 65535)
        return Image.fromarray(np.rint(levels / 257).astype(np.uint8), "L").convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def prepare(image: Image.Image, preparation: Preparation) -> Image.Image:
    """Crop and resize an upright RGB picture to `preparation.size` square."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.width != image.height:
        # Not resize(box=...): its filter would look beyond the crop.
        image = image.crop((left, top, left + side, top + side))
    if side == preparation.size:
        return image
    return image.resize((preparation.size, preparation.size), Image.Resampling.LANCZOS)


def prepare_many(
    source: PictureSource,
    preparation: Preparation | None,
    names: Sequence[str] | None = None,
    workers: int | None = None,
) -> Iterator[PreparedFace]:
    """Read, decode and prepare the pictures of `source` in threads, in the order of `names` (default: all).

    With `preparation` None each picture keeps its size. A broken picture comes out as a PreparedFace with the reason;
    what to do about it is the caller's policy (`settle_broken`).
    """

    def prepare_one(name: str) -> PreparedFace:
        try:
            image = decode(source.read(name), name)
        except BrokenImageError as error:
            return PreparedFace(name, None, error)
        if preparation is not None:
            image = prepare(image, preparation)
        return PreparedFace(name, np.asarray(image, dtype=np.uint8))

    chosen = source.names if names is None else names
    yield from ordered_map(prepare_one, chosen, workers or usable_cores(), "decode")


def settle_broken(broken: Sequence[BrokenImageError], on_broken: OnBroken, total: int, source: object) -> list[str]:
    """Apply the policy for broken pictures; returns the lines that tell a person what was left out.

    Raises UserError naming the broken pictures when the policy is `fail`, or when nothing is left.
    """
    if not broken:
        return []
    lines = [str(error) for error in broken]
    shown = "; ".join(lines[:_NAMED_AT_MOST]) + ("; ..." if len(lines) > _NAMED_AT_MOST else "")
    if on_broken == "fail":
        raise UserError(
            f"{source}: {len(broken)} of {total} pictures are broken: {shown}"
            " (mend or remove them, or go on without them by --on-broken skip)"
        )
    if len(broken) >= total:
        raise UserError(f"{source}: all {total} pictures are broken: {shown}")
    return [
        *(f"skipped broken picture {line}" for line in lines),
        f"{source}: skipped {len(broken)} of {total} pictures",
    ]

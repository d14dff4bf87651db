"""How a photo becomes a face of the data set: one small record, applied by one function.

The record travels with everything that was made by it (data set, checkpoint, gen.onnx, archive), so that real and
generated pictures are always compared as the generator was taught.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genface.cores import usable_cores
from genface.errors import BrokenImageError, UserError
from genface.face_finder import VERSION as FINDER
from genface.face_finder import FoundFace, find_face
from genface.parallel import ordered_map
from genface.sources import PictureSource, picture_formats

CropRule = Literal["center", "face", "cat-face"]
OnBroken = Literal["fail", "skip"]

MIN_SIDE = 8
MAX_SIDE = 1 << 15
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 1 << 26
DECODING_VERSION = 1
"""Version of the pixels that `decode` and `prepare` make; raised by every change of one of them. Caches key on it."""
_NAMED_AT_MOST = 20
_NAMED_IN_A_NOTE = 5
_FACELESS = "no face found"
_BOMB = f"declares more than {MAX_PIXELS:,} pixels (a decompression bomb); if it is a photo, make it smaller first"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The rule by which a photo becomes a face of the data set. EXIF orientation and RGB are always applied."""

    size: int
    """Side of the square face in pixels, 8 to 1024."""
    crop: CropRule = "center"
    """`center`: the largest centred square of the upright photo; `face`, `cat-face`: a square around its largest human
    or cat face, and photos without one are left out (needs the extra `crop`)."""
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
        """The record; where faces are looked for it names the finder as well, since its version fixes the pixels."""
        return asdict(self) | ({} if self.crop == "center" else {"finder": FINDER})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preparation:
        """Rebuild the record from a manifest, a checkpoint or metadata; an unknown key is an error, never ignored."""
        if not isinstance(record, Mapping):
            raise UserError(f"not a preparation record: {record!r}")
        settings = {key: value for key, value in record.items() if key != "finder"}
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown or "size" not in settings:
            raise UserError(f"not a preparation record (a newer version's?): {dict(record)}")
        preparation = cls(**settings)
        if preparation.to_dict().get("finder") != record.get("finder"):
            raise UserError(
                f"the faces were found by {record.get('finder')!r}; this version has {FINDER!r}, which would cut them"
                " differently"
            )
        return preparation

    def __str__(self) -> str:
        return f"{self.size} px, {self.crop} crop, {self.resample}"


@dataclass(frozen=True)
class PreparedFace:
    """One picture of a source after preparation: pixels, or the reason why there are none."""

    name: str
    pixels: NDArray[np.uint8] | None
    """uint8 [H, W, 3], RGB."""
    broken: BrokenImageError | None = None
    found: FoundFace | None = None
    """What the face finder saw, where the crop asks it."""


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


def prepare(image: Image.Image, preparation: Preparation, name: str = "picture") -> Image.Image:
    """Crop and resize an upright RGB picture to `preparation.size` square.

    Raises BrokenImageError (`is_faceless`) where a face is to be cut out and none is found, UserError where what finds
    it is not installed.
    """
    return _prepare(image, preparation, name)[0]


def _prepare(image: Image.Image, preparation: Preparation, name: str) -> tuple[Image.Image, FoundFace | None]:
    if preparation.crop == "center":
        found, crop = None, _center(image)
    else:
        found = find_face(image, preparation.crop)
        if found is None:
            raise BrokenImageError(name, _FACELESS)
        crop = found.crop
    return _cut(image, crop, preparation.size), found


def _center(image: Image.Image) -> tuple[int, int, int]:
    side = min(image.size)
    return (image.width - side) // 2, (image.height - side) // 2, side


def _cut(image: Image.Image, crop: tuple[int, int, int], size: int) -> Image.Image:
    left, top, side = crop
    if image.size != (side, side):
        # Not resize(box=...): its filter would look beyond the crop.
        image = image.crop((left, top, left + side, top + side))
    return image if side == size else image.resize((size, size), Image.Resampling.LANCZOS)


def prepare_many(
    source: PictureSource,
    preparation: Preparation | None,
    names: Sequence[str] | None = None,
    workers: int | None = None,
) -> Iterator[PreparedFace]:
    """Read, decode and prepare the pictures of `source` in threads, in the order of `names` (default: all).

    With `preparation` None each picture keeps its size. A broken picture, and one without a face where the crop asks
    for one (`is_faceless`), comes out as a PreparedFace with the reason; what to do about it is the caller's policy
    (`settle_broken`).
    """

    def prepare_one(name: str) -> PreparedFace:
        found = None
        try:
            image = decode(source.read(name), name)
            if preparation is not None:
                image, found = _prepare(image, preparation, name)
        except BrokenImageError as error:
            return PreparedFace(name, None, error)
        return PreparedFace(name, np.asarray(image, dtype=np.uint8), found=found)

    chosen = source.names if names is None else names
    yield from ordered_map(prepare_one, chosen, workers or usable_cores(), "decode")


def is_faceless(error: BrokenImageError) -> bool:
    """Whether a picture was left out for lack of a face: nothing is wrong with it, so that no policy stops at it.

    It is told by the reason, since that is what caches keep of an error.
    """
    return error.reason == _FACELESS


def settle_broken(broken: Sequence[BrokenImageError], on_broken: OnBroken, total: int, source: object) -> list[str]:
    """Apply the policy for broken pictures; returns the lines that tell a person what was left out.

    Pictures without a face are counted, whatever the policy. Raises UserError naming the broken pictures when the
    policy is `fail`, or when nothing is left.
    """
    damaged = [error for error in broken if not is_faceless(error)]
    faceless = [error.name for error in broken if is_faceless(error)]
    shown = "; ".join(str(error) for error in damaged[:_NAMED_AT_MOST])
    shown += "; ..." if len(damaged) > _NAMED_AT_MOST else ""
    if damaged and on_broken == "fail":
        raise UserError(
            f"{source}: {len(damaged)} of {total} pictures are broken: {shown}"
            " (mend or remove them, or go on without them by --on-broken skip)"
        )
    if broken and len(broken) >= total:
        if not faceless:
            raise UserError(f"{source}: all {total} pictures are broken: {shown}")
        raise UserError(
            f"{source}: {_FACELESS} in {len(faceless)} of {total} pictures, and {len(damaged)} are broken; a face is"
            " found when it looks at the camera, upright and not tiny: try another --crop"
        )
    notes = [f"skipped broken picture {error}" for error in damaged]
    if damaged:
        notes.append(f"{source}: skipped {len(damaged)} of {total} pictures")
    return notes + _count_notes((faceless, f"{_FACELESS}, left out"), total=total)


def crop_notes(faces: Iterable[tuple[str, FoundFace]], size: int, total: int) -> list[str]:
    """Lines that tell a person which of the photos showed several faces, and which a face too small for `size` px."""
    seen = list(faces)
    return _count_notes(
        ([name for name, found in seen if found.count > 1], "several faces, the largest taken"),
        (
            [name for name, found in seen if 2 * found.side < size],
            f"face smaller than {(size + 1) // 2} px, enlarged to pictures of {size} px",
        ),
        total=total,
    )


def _count_notes(*findings: tuple[Sequence[str], str], total: int) -> list[str]:
    return [
        f"{len(names)} of {total} photos: {what} ({', '.join(names[:_NAMED_IN_A_NOTE])}"
        f"{', ...' if len(names) > _NAMED_IN_A_NOTE else ''})"
        for names, what in findings
        if names
    ]

"""Pixels to the bytes of a picture file, and back."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, features

from genface import photos
from genface.errors import UserError
from genface.provenance import Making, xmp_packet

FormatName = Literal["png", "webp", "jpeg"]


@dataclass(frozen=True, kw_only=True)
class _Codec:
    """What is particular to one file format."""

    ending: str
    feature: str
    """Pillow's name of the library that writes it."""
    setting: Literal["level", "quality"]
    """The one thing that may be chosen."""
    range: range
    default: int | None
    save_options: Callable[[int | None], dict[str, Any]]
    """Pillow's options for a value of the setting."""
    lossless: bool = True


def _png_options(level: int | None) -> dict[str, Any]:
    # Faces have few repeated strings to find, so run lengths alone are as small as level 6's search: cats of 64 px took
    # 9,537 B at 1.37 times the speed of level 6 (9,542 B) and 1.29 times that of level 1 (9,886 B).
    return {"compress_level": 1, "compress_type": zlib.Z_RLE} if level is None else {"compress_level": level}


def _webp_options(level: int | None) -> dict[str, Any]:
    # libwebp has a second scale of effort, called quality. Beyond 20 it shrank the same cats by 0.4 % at most, made
    # them larger from level 4 on, and took up to 24 times as long.
    return {"lossless": True, "method": level, "quality": 20}


def _jpeg_options(quality: int | None) -> dict[str, Any]:
    # 4:4:4: with colour at half the resolution (4:2:0) a face of 64 px keeps 32x32 of it, and eyes bleed into the fur.
    # At equal bytes the mean error is the same, the largest is not: 21 levels (quality 95, 3.9 kB) against 55 (4:2:0 at
    # 98, 4.1 kB). Pillow's `optimize` would save 12 % at half the speed, but it needs the whole file in a buffer of
    # guessed size, and fails on large pictures of noise.
    return {"quality": quality, "subsampling": "4:4:4"}


# WebP's default: level 0 had 1.85 times the speed of PNG's default and 11 % fewer bytes. Level 1 saves another 0.4 % at
# a third of that speed, level 4, the smallest, 1.7 % at a nineteenth; 5 and 6 are larger again on faces
# (benchmarks/bench_encode.py).
_CODECS: dict[FormatName, _Codec] = {
    "png": _Codec(
        ending="png", feature="zlib", setting="level", range=range(10), default=None, save_options=_png_options
    ),
    "webp": _Codec(
        ending="webp", feature="webp", setting="level", range=range(7), default=0, save_options=_webp_options
    ),
    "jpeg": _Codec(
        ending="jpg",
        feature="jpg",
        setting="quality",
        range=range(1, 101),
        default=95,
        save_options=_jpeg_options,
        lossless=False,
    ),
}


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """A file format for pictures, and how hard it tries.

    Raises UserError for an unknown name, a setting that the format does not have or that is out of its range, and where
    the installed Pillow cannot write the format.
    """

    name: FormatName = "png"
    level: int | None = None
    """Effort: PNG compression 0 to 9, or WebP method 0 to 6; None for the fast default. The pixels do not depend on
    it."""
    quality: int | None = None
    """JPEG quality 1 to 100; None for 95."""

    def __post_init__(self) -> None:
        if self.name not in get_args(FormatName):
            raise UserError(f"unknown picture format {self.name!r}; known: {', '.join(get_args(FormatName))}")
        codec = self._codec
        for setting in ("level", "quality"):
            value = getattr(self, setting)
            if value is None:
                continue
            if setting != codec.setting:
                raise UserError(f"{self.name} has no {setting}; what can be set is its {codec.setting}")
            if isinstance(value, bool) or not isinstance(value, int) or value not in codec.range:
                low, high = codec.range[0], codec.range[-1]
                raise UserError(f"{self.name} takes a {setting} from {low} to {high}, not {value!r}")
        if not features.check(codec.feature):
            raise UserError(
                f"the installed Pillow was built without {self.name}: take another format, or install Pillow's own"
                " wheel (pip install --force-reinstall --only-binary :all: pillow)"
            )

    @classmethod
    def from_manifest(cls, name: Any, options: Any) -> PictureFormat:
        """Rebuild the format from a manifest's `image_format` and `image_options`; an unknown option is an error."""
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise UserError(f"not a picture format with its options: {name!r}, {options!r}")
        if unknown := sorted(set(options) - {"level", "quality"}):
            raise UserError(f"unknown option of a picture format (a newer version's?): {unknown[0]!r}")
        return cls(name=name, **options)  # type: ignore[arg-type]  # __post_init__ judges the name

    @property
    def ending(self) -> str:
        """The ending of a file's name, without the dot."""
        return self._codec.ending

    @property
    def lossless(self) -> bool:
        """Whether the pixels come back as they went in."""
        return self._codec.lossless

    @property
    def options(self) -> dict[str, int | None]:
        """The setting in force, for the manifest; None stands for PNG's fast default, which is no level."""
        return {self._codec.setting: self._setting}

    @property
    def save_options(self) -> dict[str, Any]:
        """Pillow's options for writing."""
        return self._codec.save_options(self._setting)

    @property
    def _codec(self) -> _Codec:
        return _CODECS[self.name]

    @property
    def _setting(self) -> int | None:
        chosen: int | None = getattr(self, self._codec.setting)
        return self._codec.default if chosen is None else chosen


PNG = PictureFormat()
"""PNG, as fast as it goes."""


def encode(
    pixels: NDArray[np.uint8],
    origin: Mapping[str, str] | None,
    picture_format: PictureFormat = PNG,
    making: Making = "generated",
) -> bytes:
    """Encode uint8 [H, W, 3], RGB; equal arguments give equal bytes.

    With `origin` the picture is marked as `making` says and carries its texts (see provenance.py): a PNG as text
    chunks, the others inside the XMP packet.

    Raises UserError for pixels or texts that the format cannot hold, as a WebP of more than 16,383 pixels a side.
    """
    marks: dict[str, Any] = {}
    if origin is not None and picture_format.name == "png":
        marks["pnginfo"] = _png_chunks(origin, making)
    elif origin is not None:
        marks["xmp"] = xmp_packet(origin, making)
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, picture_format.name, **marks, **picture_format.save_options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise UserError(f"{width}x{height} pixels cannot be written as {picture_format.name} ({error})") from error
    return buffer.getvalue()


def encode_png(pixels: NDArray[np.uint8], origin: Mapping[str, str] | None) -> bytes:
    """Encode uint8 [H, W, 3] as PNG, as fast as it goes (see `encode`)."""
    return encode(pixels, origin, PNG)


def decode(data: bytes, name: str = "picture") -> NDArray[np.uint8]:
    """Decode a picture file to uint8 [H, W, 3], RGB. Raises BrokenImageError as `genface.photos.decode` does."""
    return np.asarray(photos.decode(data, name), dtype=np.uint8)


def _png_chunks(origin: Mapping[str, str], making: Making) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", xmp_packet({}, making).decode())
    for key, text in origin.items():
        chunks.add_text(key, text)
    return chunks

"""Frames as a film: animated GIF and WebP by Pillow, MP4 by PyAV; drawn while they are written, never all in memory.

GIF and MP4 go to the disk as they are made. libwebp keeps what it has encoded until the end: four times the file's size
at its peak. A GIF has one palette for all frames, which is chosen from a few that are drawn beforehand.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genface.errors import UserError
from genface.new_file import new_file
from genface.provenance import DIGITAL_SOURCE_TYPES, xmp_packet

Frame = NDArray[np.uint8]

# Compared on walks of two 64 px generators by root mean square error in levels, of pixels (p) and of means over 2x2
# (m), closer to what an eye sees: median cut with k-means p 4.6 and 6.1, m 2.2 and 2.5; octree p 4.7 and 6.6, m 2.0 and
# 2.8; median cut of the first frame alone p 6.1 and 7.2, m 3.9 and 3.4; the web palette p 18, m 5.7. Without dithering
# median cut's pixels are nearer (p 4.0 and 5.6), its areas are not (m 2.7 and 3.2): smooth skin becomes bands.
_PALETTE_FRAMES, _PALETTE_PIXELS, _COLOURS = 16, 1 << 15, 256
_GIF_END = b";"
# The trailer that lets readers of GIF blocks skip an XMP packet, which is no row of blocks (XMP Specification Part 3).
_XMP_TRAILER = bytes([1, *range(255, -1, -1), 0])

# Level 2 made walks 6 to 11 % smaller at 4 to 6 times the time.
_WEBP_OPTIONS = {"lossless": True, "method": 0, "quality": 20}

# Constant rate factor: below 18 H.264 is commonly taken for indistinguishable from its source.
_H264_OPTIONS = {"crf": "16", "preset": "medium"}
_BT709 = 1  # ITU-T H.273: primaries, transfer characteristics and matrix alike
_LIMITED_RANGE = 1


@dataclass(frozen=True, kw_only=True)
class Film:
    """What is to be written."""

    frames: Callable[[range], Iterator[Frame]]
    """Draws the frames of a range, in its order: uint8 [height, width, 3]."""
    count: int
    fps: float
    height: int
    width: int
    marks: Mapping[str, str]
    """Texts that tell from what the film was made (see `genface.provenance`)."""

    def ends(self, per_second: int) -> list[int]:
        """When each frame ends, in whole units of 1/per_second s: rounded one by one, so that they do not drift."""
        return [round(frame * per_second / self.fps) for frame in range(1, self.count + 1)]

    def durations(self, per_second: int) -> list[int]:
        """How long each frame stands, in whole units of 1/per_second s."""
        return np.diff(self.ends(per_second), prepend=0).tolist()


class _Format(NamedTuple):
    write: Callable[[Film, Path], None]
    max_side: int
    max_fps: int


def check_film(path: Path, film: Film) -> None:
    """Raise UserError unless this film can be written under this name; for asking before the work, not after it."""
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise UserError(f"{path}: films are written as {', '.join(_FORMATS)}, not {path.suffix or 'without ending'}")
    if not 0.1 <= film.fps <= form.max_fps:
        raise UserError(f"{path}: {path.suffix} films show 0.1 to {form.max_fps} frames a second, not {film.fps:g}")
    if max(film.height, film.width) > form.max_side:
        raise UserError(
            f"{path}: would have {film.width:,} x {film.height:,} pixels, and {path.suffix} takes {form.max_side:,} a"
            " side at most: take fewer paths or a smaller --scale"
        )
    if form.write is _write_mp4:
        _import_av()


def write_film(path: Path, film: Film, *, force: bool = False) -> None:
    """Draw a film into `path`, marked as machine-made; its ending tells the format, and GIF and WebP play in a loop.

    WebP is lossless. GIF has 256 colours for all frames, dithered by Floyd and Steinberg. MP4 is H.264 in 4:2:0, its
    sides made even by repeating the last row or column.

    Raises UserError naming the file when the film does not fit the format, PyAV is missing, the file exists and not
    `force`, or cannot be written; it appears whole or not at all.
    """
    check_film(path, film)
    with new_file(path, force=force) as temporary:
        _FORMATS[path.suffix.lower()].write(film, temporary)


def _write_gif(film: Film, path: Path) -> None:
    """Join GIFs of one frame each by their blocks: Pillow's writer of many frames would keep all of them in memory."""
    palette = _shared_palette(film)
    options = {"optimize": False, "interlace": 0, "loop": 0, "comment": _sentence(film.marks)}
    xmp = b"\x21\xff\x0bXMP DataXMP" + xmp_packet(film.marks) + _XMP_TRAILER
    with path.open("xb") as file:
        for frame, centiseconds in zip(film.frames(range(film.count)), film.durations(100), strict=True):
            picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
            if file.tell() == 0:
                head, blocks = _gif_parts(picture, duration=10 * centiseconds, **options)
                file.write(head + xmp)
            else:
                _, blocks = _gif_parts(picture, duration=10 * centiseconds, optimize=False, interlace=0)
            file.write(blocks)
        file.write(_GIF_END)


def _gif_parts(picture: Image.Image, **options: Any) -> tuple[bytes, bytes]:
    """A GIF of one picture as its head, with the palette, and the blocks that follow, without the end."""
    buffer = io.BytesIO()
    picture.save(buffer, "gif", **options)
    gif = buffer.getvalue()
    head = 13 + (6 << (gif[10] & 7))  # screen descriptor, and a palette of 2 << size colours
    return gif[:head], gif[head : -len(_GIF_END)]


def _shared_palette(film: Film) -> Image.Image:
    """256 colours for all frames, from pixels of frames that are spread over the film."""
    chosen = range(0, film.count, -(-film.count // _PALETTE_FRAMES))
    step = -(-len(chosen) * film.height * film.width // _PALETTE_PIXELS)
    pixels = np.concatenate([frame.reshape(-1, 3)[::step] for frame in film.frames(chosen)])
    return Image.fromarray(pixels[None]).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _write_webp(film: Film, path: Path) -> None:
    frames = film.frames(range(film.count))
    first = Image.fromarray(next(frames))
    with path.open("xb") as file:
        first.save(
            file,
            "webp",
            save_all=True,
            append_images=[_Rest(frames, film.count - 1)],
            duration=film.durations(1000),
            loop=0,
            xmp=xmp_packet(film.marks),
            **_WEBP_OPTIONS,
        )


class _Rest(Image.Image):
    """Frames that are drawn when a writer of Pillow comes to them, as if they were those of an animated file."""

    def __init__(self, frames: Iterator[Frame], count: int) -> None:
        super().__init__()
        self.n_frames = count
        self._frames = frames

    def seek(self, frame: int) -> None:
        picture = Image.fromarray(next(self._frames))
        self.im, self._mode, self._size = picture.im, picture.mode, picture.size


def _write_mp4(film: Film, path: Path) -> None:
    av = _import_av()
    # An absolute path: a name such as a:b.mp4 would be a protocol's address to FFmpeg.
    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = "Machine-made film (genface)"
        container.metadata["comment"] = _sentence(film.marks)
        stream = container.add_stream("libx264", rate=Fraction(film.fps).limit_denominator(1001), options=_H264_OPTIONS)
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = film.width + film.width % 2, film.height + film.height % 2
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        for pixels in film.frames(range(film.count)):
            even = np.pad(pixels, ((0, film.height % 2), (0, film.width % 2), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            container.mux(
                stream.encode(frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE))
            )
        container.mux(stream.encode())


def _sentence(marks: Mapping[str, str]) -> str:
    """The marks for where only plain text can stand."""
    return "; ".join(
        [f"machine-made ({DIGITAL_SOURCE_TYPES['generated']})", *(f"{key}={text}" for key, text in marks.items())]
    )


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"MP4 films need PyAV ({error}): install genface with its extra video, e.g. pip install 'genface[video]',"
            " or write a .webp or .gif"
        ) from error
    return av


_FORMATS = {
    # Browsers slow down what stands shorter than 0.02 s (GIF) or 0.011 s (WebP).
    ".gif": _Format(_write_gif, max_side=65_535, max_fps=50),
    ".webp": _Format(_write_webp, max_side=16_383, max_fps=90),
    ".mp4": _Format(_write_mp4, max_side=16_384, max_fps=240),
}
ENDINGS = tuple(_FORMATS)
"""Endings of the names of films."""

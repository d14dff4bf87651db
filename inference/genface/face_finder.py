"""Where the face is in a snapshot: OpenCV's cascades for human and cat faces, which its wheel before version 5 carries.

Viola & Jones (CVPR 2001); frontal and upright only. `_FINDERS` was chosen on faces of LFW and AFHQ pasted into two
landscapes at random places, sizes and tilts to 12 degrees: 38 of 40 human and 25 of 40 cat faces were found where they
were, none elsewhere. Of faces that fill their picture 39 and 31 of 40 were found; in 30 cuttings of the landscapes
without any face, rich in texture, 3 and 5 were seen. Cats are left out more often than wrongly cut.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from genface.errors import UserError

Subject = Literal["face", "cat-face"]

VERSION = "opencv-haar-1"
"""Part of the record of every set that was cut out by faces; raised by every change of where a face is seen."""

# Faces are looked for in a small copy: the time must not follow the camera's megapixels.
_SEARCH_PX = 640
_MIN_FACE_PX = 24
_per_thread = threading.local()


class _Finder(NamedTuple):
    cascade: str
    scale_step: float
    """Ratio of the sizes that are looked for one after the other."""
    min_neighbors: int
    """Overlapping hits that make a face."""
    margin: float
    """Side of the crop in sides of the box that the cascade draws, so that hair, ears and chin are inside."""
    lift: float
    """How far the crop's centre lies above the box's, in sides of the box."""


_FINDERS: dict[Subject, _Finder] = {
    "face": _Finder("haarcascade_frontalface_alt2.xml", 1.1, 4, 1.6, 0.04),
    "cat-face": _Finder("haarcascade_frontalcatface_extended.xml", 1.05, 4, 1.5, 0.08),
}


@dataclass(frozen=True)
class FoundFace:
    """The face of a photo, in pixels of the photo."""

    crop: tuple[int, int, int]
    """Left, top and side of the square to cut out; inside the photo."""
    side: int
    """Side of the face alone."""
    count: int
    """Faces seen in the photo; this is the largest of them."""


def find_face(photo: Image.Image, subject: Subject, *, least_share: float = 0.0) -> FoundFace | None:
    """The largest face of an upright RGB photo, or None where none is seen; the same in whatever thread.

    Faces whose side is less than `least_share` of the photo's shorter side are not looked for.

    Of several boxes those count that are at least half as sure as the surest (in overlapping hits): a pattern of the
    background that was taken for a large face must not win over a face. A crop that would reach beyond the photo is
    moved inside, and made smaller only where it is larger than the photo: pixels are never invented.

    Raises UserError when OpenCV is not installed, or is one without cascades.
    """
    finder = _FINDERS[subject]
    scale = min(1.0, _SEARCH_PX / max(photo.size))
    gray = photo.convert("L")
    if scale < 1:
        shape = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        gray = gray.resize(shape, Image.Resampling.LANCZOS, reducing_gap=2.0)
    least = max(_MIN_FACE_PX, round(least_share * min(gray.size)))
    boxes, hits = _cascade(subject).detectMultiScale2(
        np.asarray(gray),
        scaleFactor=finder.scale_step,
        minNeighbors=finder.min_neighbors,
        minSize=(least, least),
    )
    if len(boxes) == 0:
        return None
    sure = [box for box, count in zip(np.asarray(boxes).tolist(), hits, strict=True) if 2 * count >= max(hits)]
    # Ties go to the upper left, since the order of the boxes is OpenCV's own affair.
    left, top, width, height = max(sure, key=lambda box: (box[2], -box[1], -box[0]))
    side = width / scale
    center_x = (left + width / 2) / scale
    center_y = (top + height / 2) / scale - finder.lift * side
    return FoundFace(_square(center_x, center_y, finder.margin * side, photo.size), round(side), len(sure))


def finder_facts(subject: Subject) -> dict[str, Any]:
    """What decides whether a face is seen, in plain JSON types, for a record.

    Raises UserError when OpenCV is not installed, or is one without cascades.
    """
    finder = _FINDERS[subject]
    return {
        "finder": VERSION,
        "opencv": _opencv().__version__,
        "cascade": finder.cascade,
        "scale_step": finder.scale_step,
        "min_neighbors": finder.min_neighbors,
    }


def _square(x: float, y: float, wanted: float, size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of a square of about `wanted` pixels around (x, y), moved inside a photo of this size."""
    side = min(round(wanted), *size)
    left, top = (
        min(max(round(center - side / 2), 0), length - side) for center, length in zip((x, y), size, strict=True)
    )
    return left, top, side


def _cascade(subject: Subject) -> Any:
    """This thread's own classifier: one must not be used by two threads at once."""
    cascades: dict[Subject, Any] = _per_thread.__dict__.setdefault("cascades", {})
    if subject not in cascades:
        cv2 = _opencv()
        cascades[subject] = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades, _FINDERS[subject].cascade)))
    return cascades[subject]


@cache
def _opencv() -> ModuleType:
    """OpenCV, checked once, with its own threads off: photos are spread over threads already."""
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"finding faces needs OpenCV ({error}): pip install opencv-python-headless==4.* (genface's extra crop has"
            " it too); --crop center does without"
        ) from error
    folder = Path(getattr(getattr(cv2, "data", None), "haarcascades", ""))
    missing = [finder.cascade for finder in _FINDERS.values() if not (folder / finder.cascade).is_file()]
    if missing:
        raise UserError(
            f"finding faces needs the cascades {', '.join(missing)}, which OpenCV {cv2.__version__} does not carry:"
            " pip install 'opencv-python-headless<5'"
        )
    cv2.setNumThreads(1)
    return cv2

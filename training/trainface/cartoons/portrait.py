"""From attributes to pixels: the layers of a portrait, back to front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from genface.cores import usable_cores
from genface.parallel import ordered_map
from trainface.cartoons.attributes import Attributes, Jitter, draw, whole
from trainface.cartoons.canvas import Canvas, Picture
from trainface.cartoons.face import paint_beard, paint_ears, paint_skin, skull
from trainface.cartoons.features import paint_brows, paint_eyes, paint_glasses, paint_mouth, paint_nose
from trainface.cartoons.hair import paint_behind, paint_front
from trainface.cartoons.scene import paint_background, paint_clothes, paint_neck

MIN_SIZE, MAX_SIZE = 8, 1024

# Half height of the head in units of the picture's half side, and where its middle lies.
_HEAD_SCALE, _HEAD_Y = 0.62, 0.035
# Smaller pictures are averaged down from at least this many pixels, so that lashes and nostrils don't alias.
_MIN_SAMPLED_SIDE = 128


def render(seed: int, index: int, size: int) -> NDArray[np.uint8]:
    """Draw face `index` of `seed`: the same face at every size, whatever else is drawn.

    Bit-equal on one machine and NumPy build; another processor may differ by one level where its float32 sine or
    square root rounds a last bit otherwise.

    Args:
        seed: 0 to 2^64 - 1.
        index: 0 to 2^63 - 1.
        size: side in pixels, 8 to 1024.

    Returns:
        uint8 [size, size, 3], RGB.

    Raises:
        UserError: when an argument is out of its range.
    """
    return paint(*draw(seed, index), whole("size", size, MIN_SIZE, MAX_SIZE))


def render_many(
    seed: int, indices: Iterable[int], size: int, workers: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """`render` for every index, in the order of `indices`.

    workers: threads, 1 to 1024. By default one up to 128 px, where arrays are so small that threads only wait for the
    interpreter's lock, and as many as the usable cores above. Raises UserError as `render` does, on iteration.
    """
    size = whole("size", size, MIN_SIZE, MAX_SIZE)
    if workers is None:
        workers = usable_cores() if size > _MIN_SAMPLED_SIDE else 1
    workers = whole("workers", workers, 1, 1024)
    yield from ordered_map(lambda index: render(seed, index, size), indices, workers, "cartoon")


def paint(a: Attributes, j: Jitter, size: int) -> NDArray[np.uint8]:
    """Draw the face that `a` and `j` describe; uint8 [size, size, 3]."""
    _keep_freed_memory()
    oversampling = max(1, -(-_MIN_SAMPLED_SIDE // size))
    page = Canvas.blank(size * oversampling)
    x0, y0, scale = j.shift_x, _HEAD_Y + j.shift_y, _HEAD_SCALE * j.scale
    torso = page.placed(x0, y0 - 0.05 * scale, scale)
    head = page.placed(x0, y0, scale, j.roll, j.head_width)
    face = head.moved(j.yaw, j.pitch)
    distance = skull(head, a, j)

    paint_background(page, a, j)
    paint_behind(head, a, j)
    paint_neck(torso, distance, a, j)
    paint_clothes(torso, a, j)
    paint_ears(head, a, j)
    paint_skin(head, distance, a, j)
    paint_beard(head, distance, a, j)
    paint_nose(face, a, j)
    paint_mouth(face, a, j)
    paint_eyes(face, a, j)
    paint_brows(face, a, j)
    paint_glasses(face, a, j)
    paint_front(head, distance, a, j)
    return _to_pixels(page.rgb * j.exposure, oversampling)


@cache
def _keep_freed_memory() -> None:
    """Let glibc reuse freed arrays; by default it hands blocks over 128 KiB back to the kernel at once.

    Freeing one larger block raises that threshold for the process (mallopt(3), M_MMAP_THRESHOLD). Without it a face
    costs 1,600 page faults and twice the time. Other allocators don't mind.
    """
    np.empty(16 << 20, np.uint8)


def _to_pixels(rgb: Picture, oversampling: int) -> NDArray[np.uint8]:
    """float32 [3, s*k, s*k] -> uint8 [s, s, 3], averaging k x k samples."""
    rgb = np.clip(rgb, 0.0, 255.0)  # first, so that highlights average like those of the larger picture
    if oversampling > 1:
        k = range(oversampling)
        # Sums of slices: a mean over two inner axes costs NumPy ten times as much.
        samples = [rgb[:, down::oversampling, across::oversampling] for down in k for across in k]
        rgb = reduce(np.add, samples) * (1.0 / len(samples))
    return np.ascontiguousarray(np.rint(rgb).astype(np.uint8).transpose(1, 2, 0))

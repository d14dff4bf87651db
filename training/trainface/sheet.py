"""Many pictures as one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def sheet(images: NDArray[np.uint8], columns: int | None = None) -> Image.Image:
    """Lay uint8 [N, H, W, 3] pictures out row by row, white where none is left; `columns` defaults to a square."""
    num, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    canvas = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    canvas[:num] = images
    grid = canvas.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return Image.fromarray(grid)

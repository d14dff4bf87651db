"""One picture of many training faces, to be looked at before hours are spent on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from trainface.data.dataset import FaceSet

FACES_AT_MOST = 100
_CELL_AT_MOST = 128
_GAP = 2


def contact_sheet(faces: FaceSet) -> Image.Image:
    """Up to 100 faces, evenly chosen over the set, row by row in a nearly square grid; RGB.

    Each face is shown at its own size, at most 128 px. Copies that an offline augmentation made are shown among them.
    """
    assert len(faces) > 0, "a set without faces is refused when it is opened"
    count = min(FACES_AT_MOST, len(faces))
    chosen = np.linspace(0, len(faces) - 1, count).round().astype(int)
    columns = math.ceil(math.sqrt(count))
    cell = min(faces.preparation.size, _CELL_AT_MOST)
    step = cell + _GAP
    sheet = Image.new("RGB", (columns * step - _GAP, math.ceil(count / columns) * step - _GAP), "white")
    for place, index in enumerate(chosen):
        face = Image.fromarray(np.asarray(faces.images[index]))
        if face.width != cell:
            face = face.resize((cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(face, (place % columns * step, place // columns * step))
    return sheet

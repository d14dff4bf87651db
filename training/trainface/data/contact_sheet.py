"""One picture of many training faces, to be looked at before hours are spent on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from trainface.sheet import sheet

if TYPE_CHECKING:
    from trainface.data.dataset import FaceSet

FACES_AT_MOST = 100
_CELL_AT_MOST = 128


def contact_sheet(faces: FaceSet) -> Image.Image:
    """Up to 100 faces, evenly chosen over the set, row by row in a nearly square grid; RGB.

    Each face is shown at its own size, at most 128 px. Copies that an offline augmentation made are shown among them.
    """
    assert len(faces) > 0, "a set without faces is refused when it is opened"
    count = min(FACES_AT_MOST, len(faces))
    chosen = np.linspace(0, len(faces) - 1, count).round().astype(int)
    shown = [Image.fromarray(np.asarray(faces.images[index])) for index in chosen]
    cell = min(faces.preparation.size, _CELL_AT_MOST)
    return sheet(np.stack([np.asarray(face.resize((cell, cell), Image.Resampling.LANCZOS)) for face in shown]))

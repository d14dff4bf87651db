"""The same numbers and pictures for TensorBoard: `tensorboard --logdir RUN`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Board:
    """Event files under `run/tensorboard`; the axis counts images seen.

    The writer is made by the first call, so that a run with nothing to do writes nothing and imports nothing.
    """

    def __init__(self, run: Path, resumed_at: int) -> None:
        """TensorBoard is told to forget what a killed run logged beyond `resumed_at`, as those images come again."""
        self._folder = run / "tensorboard"
        # The grid of image 0 is written before the first step, so a run that begins forgets from 0 on.
        self._purge_step = resumed_at + 1 if resumed_at else 0
        self._open: SummaryWriter | None = None

    def scalars(self, values: Mapping[str, float], cur_nimg: int) -> None:
        """Add one point to each curve that has a finite one; a name's part before `/` is TensorBoard's group."""
        for name, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, cur_nimg)

    def image(self, name: str, pixels: NDArray[np.uint8], cur_nimg: int) -> None:
        """Add a picture, uint8 [H, W, 3]."""
        self._writer.add_image(name, pixels, cur_nimg, dataformats="HWC")

    def text(self, name: str, message: str, cur_nimg: int) -> None:
        """Add a line of text."""
        self._writer.add_text(name, message, cur_nimg)

    def flush(self) -> None:
        """Hand what is queued to the system, so that a kill loses none of it."""
        if self._open is not None:
            self._open.flush()

    def close(self) -> None:
        """Flush, and end the writer's thread; a later call opens another file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _writer(self) -> SummaryWriter:
        if self._open is None:
            from torch.utils.tensorboard import SummaryWriter

            self._open = SummaryWriter(str(self._folder), purge_step=self._purge_step)
        return self._open

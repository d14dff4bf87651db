"""What a run leaves for people: log.jsonl, a grid of faces per tick, and progress on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Logbook:
    """Writes into a run folder; lines of `log.jsonl` are dictionaries, one a tick."""

    def __init__(self, run: Path, resumed_at: int) -> None:
        self._run = run
        self._log = run / "log.jsonl"
        (run / "grids").mkdir(parents=True, exist_ok=True)
        self._forget_after(resumed_at)
        self._on_terminal = sys.stderr.isatty()
        self._last_beat = 0.0
        self._seconds = self._seconds_so_far()

    def grid(self, images: NDArray[np.uint8], cur_nimg: int) -> None:
        """Save uint8 [N, H, W, 3] as a square sheet, `grids/<kimg>.png`."""
        sheet(images).save(self._run / "grids" / f"{cur_nimg / 1000:08.1f}.png")

    def tick(
        self,
        *,
        cur_nimg: int,
        total_nimg: int,
        images_per_second: float,
        means: dict[str, float],
        schedules: dict[str, float],
        tick_nimg: int,
    ) -> None:
        """Append a line to log.jsonl and print one for people."""
        self._seconds += tick_nimg / images_per_second
        entry = {
            "kimg": cur_nimg / 1000,
            "seconds": round(self._seconds, 1),
            "images_per_second": round(images_per_second, 1),
            **means,
            **schedules,
        }
        with self._log.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        left = timedelta(seconds=round((total_nimg - cur_nimg) / images_per_second))
        numbers = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        where = f"{cur_nimg / 1000:.1f} of {total_nimg / 1000:.1f} kimg"
        self._print(f"{where}  {images_per_second:.0f} images/s  {left} left  {numbers}")

    def beat(self, cur_nimg: int, total_nimg: int) -> None:
        """On a terminal, keep one line moving between ticks."""
        now = time.monotonic()
        if self._on_terminal and now - self._last_beat > 0.5:
            self._last_beat = now
            print(f"\r\033[K{cur_nimg / 1000:.2f} of {total_nimg / 1000:.1f} kimg", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Tell something that is neither a tick nor a result."""
        self._print(text)

    def _print(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._on_terminal else text, file=sys.stderr, flush=True)

    def _entries(self) -> list[dict[str, float]]:
        if not self._log.exists():
            return []
        entries = []
        for line in self._log.read_text().splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:  # a line that a kill cut short
                continue
        return entries

    def _forget_after(self, cur_nimg: int) -> None:
        """Drop what a killed run logged beyond its last checkpoint: those images will be seen again."""
        kept = [entry for entry in self._entries() if entry["kimg"] * 1000 <= cur_nimg]
        self._log.write_text("".join(json.dumps(entry) + "\n" for entry in kept))

    def _seconds_so_far(self) -> float:
        entries = self._entries()
        return entries[-1]["seconds"] if entries else 0.0


def sheet(images: NDArray[np.uint8], columns: int | None = None) -> Image.Image:
    """Lay uint8 [N, H, W, 3] pictures out row by row, white where none is left; `columns` defaults to a square."""
    num, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    canvas = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    canvas[:num] = images
    grid = canvas.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return Image.fromarray(grid)

"""What a run leaves for people: log.jsonl, a grid of faces per tick, and progress on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainface import atomic


class Logbook:
    """Writes into a run folder; lines of `log.jsonl` are dictionaries, one a tick."""

    def __init__(self, run: Path, resumed_at: int) -> None:
        """Open the log of a run that goes on from `resumed_at` images; what was logged after that is dropped."""
        self._run = run
        self._log = run / "log.jsonl"
        (run / "grids").mkdir(parents=True, exist_ok=True)
        self._seconds = self._go_back_to(resumed_at)
        self._on_terminal = sys.stderr.isatty()
        self._last_beat = 0.0

    def grid(self, images: NDArray[np.uint8], cur_nimg: int) -> None:
        """Save uint8 [N, H, W, 3] as a square sheet, `grids/<images seen>.png`."""
        path = self._run / "grids" / f"{cur_nimg:09d}.png"
        atomic.write(path, lambda file: sheet(images).save(file, "png"))

    def tick(
        self,
        *,
        cur_nimg: int,
        total_nimg: int,
        tick_nimg: int,
        seconds: float,
        means: dict[str, float],
        schedules: dict[str, float],
    ) -> None:
        """Append a line to log.jsonl and print one for people; the tick took `tick_nimg` images and `seconds`."""
        self._seconds += seconds
        images_per_second = tick_nimg / seconds
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
        self.say(f"{where}  {images_per_second:.0f} images/s  {left} left  {numbers}")

    def beat(self, cur_nimg: int, total_nimg: int) -> None:
        """On a terminal, keep one line moving between ticks."""
        now = time.monotonic()
        if self._on_terminal and now - self._last_beat > 0.5:
            self._last_beat = now
            print(f"\r\033[K{cur_nimg / 1000:.2f} of {total_nimg / 1000:.1f} kimg", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line for people."""
        print(f"\r\033[K{text}" if self._on_terminal else text, file=sys.stderr, flush=True)

    def _go_back_to(self, cur_nimg: int) -> float:
        """Drop what a killed run logged beyond its checkpoint, as those images come again; returns seconds so far."""
        if not self._log.exists():
            return 0.0
        lines = self._log.read_text(errors="replace").splitlines()
        entries = [entry for entry in map(_parse, lines) if entry is not None]
        kept = [entry for entry in entries if round(entry["kimg"] * 1000) <= cur_nimg]
        if len(kept) < len(lines):
            atomic.write_text(self._log, "".join(json.dumps(entry) + "\n" for entry in kept))
        return float(kept[-1].get("seconds", 0.0)) if kept else 0.0


def _parse(line: str) -> dict[str, Any] | None:
    """A line of the log; None for one that a kill or an editor has spoilt."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("kimg"), int | float) else None


def sheet(images: NDArray[np.uint8], columns: int | None = None) -> Image.Image:
    """Lay uint8 [N, H, W, 3] pictures out row by row, white where none is left; `columns` defaults to a square."""
    num, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    canvas = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    canvas[:num] = images
    grid = canvas.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return Image.fromarray(grid)

"""What a run leaves for people: log.jsonl, a grid of faces per tick, TensorBoard's files, and progress on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainface import atomic
from trainface.board import Board
from trainface.history import LOG, read_entries
from trainface.memory import memory_gb
from trainface.sheet import sheet

GRIDS = "grids"

SAID_OF_A_GAN = ("d_loss", "g_loss", "pair_accuracy", "r1", "r2", "penalty", "diversity")
"""What a tick's line for people says of a GAN; all of it stands in log.jsonl."""


class Logbook:
    """Writes into a run folder; the lines of log.jsonl are described in `trainface.history`."""

    def __init__(self, run: Path, resumed_at: int, said: Sequence[str] = SAID_OF_A_GAN) -> None:
        """Open the log of a run that goes on from `resumed_at` images; what was logged after that is dropped.

        `said` names the means that a tick's line for people tells, where there are such.
        """
        self._said = said
        self._run = run
        self._log = run / LOG
        (run / GRIDS).mkdir(parents=True, exist_ok=True)
        self._seconds = self._go_back_to(resumed_at)
        self._board = Board(run, resumed_at)
        self._on_terminal = sys.stderr.isatty()
        self._last_beat = 0.0

    def grid(self, images: NDArray[np.uint8], cur_nimg: int, columns: int | None = None) -> None:
        """Save uint8 [N, H, W, 3] as one sheet, `grids/<images seen>.png`; a square one without `columns`."""
        laid_out = sheet(images, columns)
        path = self._run / GRIDS / f"{cur_nimg:09d}.png"
        atomic.write(path, lambda file: laid_out.save(file, "png"))
        self._board.image("faces", np.asarray(laid_out), cur_nimg)

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
        """Log a tick that took `tick_nimg` images and `seconds`, and print a line on it for people.

        `means` are the tick's mean losses and the like, `schedules` the settings that move. A number that is not finite
        becomes null in the log.
        """
        self._seconds += seconds
        images_per_second = tick_nimg / seconds
        memory = memory_gb()
        speed = {"images_per_second": round(images_per_second, 1), "memory_gb": round(memory, 2)}
        self._append(cur_nimg, {"seconds": round(self._seconds, 1), **speed, **means, **schedules})
        groups = {"train": means, "schedule": schedules, "machine": speed}
        for group, values in groups.items():
            self._board.scalars({f"{group}/{name}": value for name, value in values.items()}, cur_nimg)
        self._board.flush()
        # The last step may go beyond the length of the run: nothing is left then.
        left = timedelta(seconds=round(max(total_nimg - cur_nimg, 0) / images_per_second))
        numbers = "  ".join(f"{name} {means[name]:.3f}" for name in self._said if name in means)
        where = f"{cur_nimg / 1000:.1f} of {total_nimg / 1000:.1f} kimg"
        self.say(f"{where}  {images_per_second:.0f} images/s  {left} left  {memory:.1f} GB  {numbers}")

    def score(self, cur_nimg: int, scores: dict[str, dict[str, float]], best: str) -> None:
        """Log the scores of the averaged generators, by half-life, and which of them is the best; `best` is a key."""
        self._append(cur_nimg, {"scores": scores, "best_ema": best})
        for ema, values in scores.items():
            self._board.scalars({f"{name}/ema {ema}": value for name, value in values.items()}, cur_nimg)
        self._board.flush()
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in scores[best].items())
        others = f" (best of {', '.join(scores)})" if len(scores) > 1 else ""
        self.say(f"scores at {cur_nimg / 1000:.1f} kimg  {numbers}  averaged over {best} kimg{others}")

    def event(self, cur_nimg: int, message: str) -> None:
        """Log, and say, what the guard or the trainer did."""
        self._append(cur_nimg, {"event": message})
        self._board.text("events", message, cur_nimg)
        self._board.flush()
        self.say(f"at {cur_nimg / 1000:.1f} kimg: {message}")

    def beat(self, cur_nimg: int, total_nimg: int) -> None:
        """On a terminal, keep one line moving between ticks."""
        now = time.monotonic()
        if self._on_terminal and now - self._last_beat > 0.5:
            self._last_beat = now
            print(f"\r\033[K{cur_nimg / 1000:.2f} of {total_nimg / 1000:.1f} kimg", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line for people."""
        print(f"\r\033[K{text}" if self._on_terminal else text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Let go of TensorBoard's file; everything is on the disk after every tick anyway."""
        self._board.close()

    def _append(self, cur_nimg: int, facts: dict[str, Any]) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite({"kimg": cur_nimg / 1000, **facts}), allow_nan=False) + "\n")

    def _go_back_to(self, cur_nimg: int) -> float:
        """Drop what a killed run logged beyond its checkpoint, as those images come again; returns seconds so far.

        Lines are in the order of time, so what lies before the last line that is kept stays, roll-backs included.
        """
        entries = read_entries(self._log)
        within = [index for index, entry in enumerate(entries) if round(entry["kimg"] * 1000) <= cur_nimg]
        kept = entries[: within[-1] + 1] if within else []
        # Also when all are kept: a line that was spoilt is left out.
        if self._log.exists():
            atomic.write_text(self._log, "".join(json.dumps(entry) + "\n" for entry in kept))
        return next((float(entry["seconds"]) for entry in reversed(kept) if "seconds" in entry), 0.0)


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

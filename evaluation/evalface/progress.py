"""Progress on stderr: one line that moves on a terminal, an occasional plain line otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

_PLAIN_EVERY_S = 30.0
_MOVING_EVERY_S = 0.1


class Progress:
    """Counts pictures towards a total; a context manager, silent when `show` is false."""

    def __init__(self, label: str, total: int, show: bool = True) -> None:
        self.label, self.total, self.done, self.show = label, total, 0, show
        # Asked of the stream itself: FORCE_COLOR makes libraries take a file for a terminal.
        self._moving = sys.stderr.isatty()
        self._every = _MOVING_EVERY_S if self._moving else _PLAIN_EVERY_S
        self._start = self._last = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if self.show and now - self._last >= self._every:
            self._last = now
            self._print(now)

    def _print(self, now: float) -> None:
        rate = self.done / max(now - self._start, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        line = f"{self.label}: {self.done:,} of {self.total:,}, {rate:.0f}/s, {left:.0f} s left"
        print(
            f"\r\x1b[K{line}" if self._moving else line, end="" if self._moving else "\n", file=sys.stderr, flush=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.show and self._moving:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

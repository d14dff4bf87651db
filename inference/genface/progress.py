"""How far a long command is: a line that rewrites itself on a terminal, now and then a plain one elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_TERMINAL_SECONDS, _PLAIN_SECONDS = 0.2, 10.0


class Progress:
    """Tells images done, images/s and the time left on stderr; call it with the number done so far.

    Where stderr is closed (`2>&-`), it only counts.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._total = total
        self._clock = clock
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._start = self._told = clock()
        self._done = self._found = 0

    def start_at(self, found: int) -> None:
        """Leave images that were there before out of the speed, and start the clock anew."""
        self._done = self._found = found
        self._start = self._told = self._clock()

    def __call__(self, done: int) -> None:
        self._done = done
        now = self._clock()
        if sys.stderr is not None and now - self._told >= (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS):
            self._told = now
            self._tell(now)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def images_per_second(self) -> float:
        """Mean speed so far."""
        return (self._done - self._found) / max(self.seconds, 1e-9)

    def finish(self) -> None:
        """Take the line away from a terminal."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tell(self, now: float) -> None:
        rate = (self._done - self._found) / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate else 0.0
        line = f"{self._done:,} of {self._total:,} images, {rate:,.0f} images/s, {_clock_time(left)} left"
        sys.stderr.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()


def _clock_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

"""What stops an export whose graphs are not the networks that they were made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class MismatchError(Exception):
    """A graph is not the network that it was made of; nothing was written."""

    def __init__(self, failures: Sequence[str], figures: Iterable[str]) -> None:
        """`failures`: what is wrong, in words; `figures`: lines with all that was measured."""
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        super().__init__(failures[0] + more)
        self.figures = list(figures)

"""What the commands share: how a report is handed over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar


class Report(Protocol):
    """Numbers with a page of their own."""

    def write(self, folder: Path, *, force: bool = False) -> Path:
        """Write the folder; returns the page's path."""

    def to_json(self) -> str:
        """The JSON document, with its last line's end."""


AnyReport = TypeVar("AnyReport", bound=Report)


def hand_over(
    report: AnyReport, out: Path, *, force: bool, as_json: bool, print_table: Callable[[AnyReport], None]
) -> None:
    """Write a report into its folder and print it to stdout, even if it cannot be written: its numbers took hours."""
    try:
        page = report.write(out, force=force)
    finally:
        if as_json:
            print(report.to_json(), end="")
        else:
            print_table(report)
    print(f"report: {page}", file=sys.stderr)

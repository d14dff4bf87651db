"""Scores on the terminal: a table for people, plain columns when piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evalface.report import Report
from evalface.rows import rows


def print_report(report: Report) -> None:
    """Print the scores and their plain readings to stdout."""
    table = [["score", "value", "95 % interval", "on"]]
    table += [[row.name, row.value, row.interval, row.detail] for row in rows(report)]
    if not any(interval for _, _, interval, _ in table[1:]):  # against statistics
        table = [[name, value, detail] for name, value, _, detail in table]
    print_columns(table[0], table[1:], right=(1,))
    for reading in report.readings:
        print(f"{reading.about}: {reading.sentence}")


def print_columns(head: Sequence[str], lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table with `right` columns set to the right: by rich on a terminal, padded by blanks when piped."""
    # Asked of the stream itself: FORCE_COLOR makes rich take a pipe for a terminal.
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, title in enumerate(head):
            table.add_column(title, justify="right" if i in right else "left", style="bold" if i in right else None)
        for line in lines:
            table.add_row(*line)
        Console(highlight=False, markup=False).print(table)
        return
    table_lines = [head, *lines]
    widths = [max(len(line[i]) for line in table_lines) for i in range(len(head))]
    for line in table_lines:
        cells = (f"{cell:{'>' if i in right else '<'}{widths[i]}}" for i, cell in enumerate(line))
        print("  ".join(cells).rstrip())

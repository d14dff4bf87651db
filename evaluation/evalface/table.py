"""The scores on the terminal: a table for people, plain columns when piped."""

from __future__ import annotations

import sys

from evalface.readings import read_one_nn, rows
from evalface.report import Report


def print_table(report: Report) -> None:
    """Print the scores and the plain reading to stdout."""
    reading = read_one_nn(report.scores.leave_one_out)
    lines = rows(report)
    # Asked of the stream itself: FORCE_COLOR makes rich take a pipe for a terminal.
    if not sys.stdout.isatty():
        name_width = max(len(row.name) for row in lines)
        value_width = max(len(row.value) for row in lines)
        for row in lines:
            print(f"{row.name:{name_width}}  {row.value:>{value_width}}  {row.detail}")
        print(reading)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score")
    table.add_column("value", justify="right", style="bold", no_wrap=True)
    table.add_column("on", style="dim")
    for row in lines:
        table.add_row(row.name, row.value, row.detail)
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(reading)

"""What the commands of this room share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

UNKNOWN_LICENCE = "unknown: the data's terms apply"

Licence = Annotated[str, typer.Option(help="Licence of the weights, as the files shall state it.")]


def say(line: str) -> None:
    """Tell a person how it goes."""
    print(line, file=sys.stderr)


@contextmanager
def unless_it_differs(outcome: str) -> Iterator[None]:
    """Where a graph is not its network, print the figures, say why and what became of the files; exit code 1."""
    from exportface.mismatch import MismatchError

    try:
        yield
    except MismatchError as error:
        print(*error.figures, sep="\n")
        say(f"exportface: parity failed, {outcome}: {error}")
        raise typer.Exit(1) from error

"""What the commands of this room share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

UNKNOWN_LICENCE = "unknown: the data's terms apply"

Licence = Annotated[str, typer.Option(help="Licence of the weights, as the files shall state it.")]


def say(line: str) -> None:
    """Tell a person how it goes."""
    print(line, file=sys.stderr)

"""The commands `exportface mixer` and `exportface style`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exportface.command_line import UNKNOWN_LICENCE, Licence, say, unless_it_differs


def register(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.command("mixer")(mixer)
    app.command("style")(style)


def mixer(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a run of trainface mixer.")],
    out: Annotated[Path, typer.Option(help="The folder to fill.")],
    embedder: Annotated[
        Path | None, typer.Option(help="The face recogniser whose vectors the run has learned to decode.")
    ] = None,
    licence: Licence = UNKNOWN_LICENCE,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier mixer.")] = False,
) -> None:
    """Export the encoder and the decoder of a mixer for genface mix, compare them with PyTorch, write if they agree."""
    from exportface.mixer_export import export_mixer
    from exportface.report import warning
    from exportface.system_report import mixer_lines, mixer_summary

    with unless_it_differs("nothing was written"):
        made = export_mixer(checkpoint, out, embedder=embedder, licence=licence, force=force, say=say)
    print(mixer_summary(made.card, made.bytes, out))
    print(*mixer_lines(made.parity.encoder, made.parity.decoder), sep="\n")
    if (line := warning(made.parity.decoder)) is not None:
        say(line)


def style(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a run of trainface style train.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    licence: Licence = UNKNOWN_LICENCE,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Export a stylizer for genface stylize, compare it with PyTorch at two sizes, and write it if they agree."""
    from exportface.style_export import export_style
    from exportface.system_report import style_lines, style_summary

    with unless_it_differs("nothing was written"):
        made = export_style(checkpoint, out, licence=licence, force=force, say=say)
    print(style_summary(made.card, made.bytes, out))
    print(*style_lines(made.parity), sep="\n")

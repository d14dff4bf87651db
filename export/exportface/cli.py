"""`exportface CHECKPOINT --out gen.onnx` exports the generator of a checkpoint and proves that it is the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genface.commands import new_app, run_app

UNKNOWN_LICENCE = "unknown: the data's terms apply"

app = new_app("Turn a checkpoint of trainface into files that run without the training code.")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a run of trainface.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    torchscript: Annotated[Path | None, typer.Option(help="Write TorchScript too, under this name.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, as the file shall state it.")] = UNKNOWN_LICENCE,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Export the averaged generator, compare it with PyTorch on over 1,000 latents, and write it if they agree."""
    from exportface.export import ParityError
    from exportface.export import export as export_files
    from exportface.report import parity_lines, summary_lines, warning

    try:
        exported = export_files(checkpoint, out, torchscript=torchscript, licence=licence, force=force, say=_say)
    except ParityError as error:
        print(*parity_lines(error.parity), sep="\n")
        _say(f"exportface: parity failed, no file was written: {error}")
        raise typer.Exit(1) from error
    print(*summary_lines(exported, out, torchscript), sep="\n")
    if (line := warning(exported.parity)) is not None:
        _say(line)


@app.command()
def handin(
    run: Annotated[Path, typer.Argument(help="The folder of a run of trainface.")],
    out: Annotated[Path, typer.Option(help="The folder to fill.")],
    real: Annotated[
        str | None, typer.Option(help="The real faces; default: looked for by the data set's name.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Pictures in the archive.")] = 10_000,
    lang: Annotated[Literal["en", "ru"], typer.Option(help="Language of the report and the README.")] = "en",
    licence: Annotated[
        str, typer.Option(help="Licence of the weights, as the files shall state it.")
    ] = UNKNOWN_LICENCE,
    force: Annotated[
        bool, typer.Option("--force", help="Renew a finished hand-in; what is still valid is kept.")
    ] = False,
) -> None:
    """Bundle archive, generator files, scores, commands, configuration and report of a run into one folder."""
    from exportface.export import ParityError
    from exportface.handin import hand_in

    try:
        readme = hand_in(run, out, real=real, n=n, lang=lang, licence=licence, force=force, say=_say)
    except ParityError as error:
        _say(f"exportface: parity failed: {error}")
        raise typer.Exit(1) from error
    print(readme)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    """The console script."""
    run_app(app, "exportface")

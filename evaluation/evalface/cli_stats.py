"""The command `evalface stats`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genface.providers import Precision


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("stats")(stats)


def stats(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Real faces: a folder, .zip or .tar.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The statistics file, .npz.")],
    like: Annotated[
        Path | None,
        typer.Option(metavar="FAKE", help="Prepare the faces as this archive, generator or statistics file says."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Centre-crop to N px, where there is no record.")
    ] = None,
    extractor: Annotated[
        Literal["auto", "inception", "lite0", "dinov2"],
        typer.Option(help="auto: Inception if its weights are here, else EfficientNet-Lite0."),
    ] = "auto",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights of Inception or DINOv2.")] = None,
    protocol: Annotated[
        Literal["tf1", "pytorch-fid", "clean"], typer.Option(help="How pictures are resized for Inception.")
    ] = "tf1",
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the extractor.")] = "fp32",
    on_broken: Annotated[Literal["fail", "skip"], typer.Option(help="What to do about broken pictures.")] = "fail",
    compact: Annotated[
        bool, typer.Option("--compact", help="A quarter of the bytes; evalface alone reads it, not pytorch-fid.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")] = False,
) -> None:
    """Write the statistics of real faces, for Frechet distances without the pictures; pytorch-fid reads them too."""
    from evalface.extractors.choose import choose_extractor
    from evalface.make_statistics import make_statistics
    from genface.new_file import check_new_file

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    # Before the work, not after it.
    check_new_file(out, force=force)
    made = make_statistics(
        real,
        out,
        choose_extractor(extractor, weights, protocol, say, precision),
        size=size,
        like=like,
        on_broken=on_broken,
        form="compact" if compact else "full",
        say=say,
        show_progress=True,
    )
    kind = "compact statistics" if made.form == "compact" else "statistics"
    print(f"{made.path}: {kind} of {made.n:,} pictures ({made.preparation})")

"""The command `evalface resemble`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.errors import UserError

if TYPE_CHECKING:
    from evalface.resemblance_report import ResemblanceReport

_MAX_REFINE = 1000


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("resemble")(resemble_command)


def resemble_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR... REAL", help="Mixers as exportface writes them, then photos: a folder, .zip or .tar."
        ),
    ],
    embedder: Annotated[
        Path, typer.Option(metavar="FILE", help="A face recogniser (.onnx) that no mixer was trained on.")
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of persons that were kept out of training.")] = 500,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the report goes.")] = Path("resemblance"),
    refine: Annotated[
        int | None,
        typer.Option(min=1, max=_MAX_REFINE, metavar="STEPS", help="Fit codes to their photos first (genface mix)."),
    ] = None,
    embedder_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Side of the embedder's input in pixels, where its file does not say."),
    ] = None,
    embedder_range: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH", help="What black and white are to it, where its file does not say; -1:1."),
    ] = None,
    own_embedder: Annotated[
        bool, typer.Option("--own-embedder", help="Go on though a mixer was trained on this embedder.")
    ] = False,
    on_broken: Annotated[Literal["fail", "skip"], typer.Option(help="What to do about broken pictures.")] = "fail",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of pairs, random faces and intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON document instead of the table.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds something else.")] = False,
) -> None:
    """Tell how much children of two faces resemble both: by mixers, and by what no mixer is needed for."""
    from evalface.command_line import hand_over
    from evalface.embedder import open_embedder
    from evalface.resemblance_report import check_own_folder
    from evalface.resembling import resemble

    *mixers, real = paths
    if not mixers:
        raise UserError(f"{real}: is one path; give a mixer or several, then the photos")
    # Before the work, not after it.
    check_own_folder(out, [str(path) for path in paths], force)
    report = resemble(
        mixers,
        real,
        embedder=open_embedder(embedder, size=embedder_size, value_range=embedder_range),
        pairs=pairs,
        seed=seed,
        refine=refine,
        own_embedder=own_embedder,
        on_broken=on_broken,
        say=lambda line: print(line, file=sys.stderr),
        show_progress=True,
    )
    hand_over(report, out, force=force, as_json=as_json, print_table=print_resemblance)


def print_resemblance(report: ResemblanceReport) -> None:
    """Print every way's row and what they were judged by to stdout."""
    from evalface.resemblance_report import HEAD, rows
    from evalface.table import print_columns

    print_columns(HEAD, [row.cells for row in rows(report)], right=tuple(range(1, len(HEAD))))
    same = f"; another photo of a parent: {report.same_person.value:.3f}" if report.same_person else ""
    print(
        f"both: share of {report.photos.random:,} random faces that resemble both parents less;"
        f" {len(report.photos.pairs):,} pairs; judged by {report.embedder['title']}{same};"
        f" KID: from random faces, {report.extractor['title']}"
    )

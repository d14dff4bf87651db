"""The command `evalface`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genface.commands import new_app, run_app

app = new_app("Score a folder or .zip of generated faces against real ones.")


@app.command("score")
def score_command(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Real faces: a folder or a .zip.")],
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated faces: a folder or a .zip.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the report goes.")] = Path("report"),
    extractor: Annotated[
        Literal["auto", "inception", "lite0"],
        typer.Option(help="auto: Inception if its weights are here, else EfficientNet-Lite0."),
    ] = "auto",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Inception weights (.pth).")] = None,
    protocol: Annotated[
        Literal["tf1", "pytorch-fid"], typer.Option(help="How pictures are resized for Inception.")
    ] = "tf1",
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Centre-crop both sides to N px, if the fakes carry no record.")
    ] = None,
    on_broken: Annotated[Literal["fail", "skip"], typer.Option(help="What to do about broken pictures.")] = "fail",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of subsamples, t-SNE and sample grids.")] = 0,
    tsne: Annotated[bool, typer.Option("--tsne/--no-tsne", help="Draw the t-SNE picture.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON document instead of the table.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds something else.")] = False,
) -> None:
    """Score FAKE against REAL: Frechet distance, KID, precision and recall, LOO-1NN, and a page with pictures."""
    from evalface.report import check_folder
    from evalface.scoring import score
    from evalface.table import print_table

    # Before the work, not after it.
    check_folder(out, (real, fake), force=force)
    report = score(
        real,
        fake,
        extractor=extractor,
        weights=weights,
        protocol=protocol,
        size=size,
        on_broken=on_broken,
        seed=seed,
        tsne=tsne,
        say=lambda line: print(line, file=sys.stderr),
        show_progress=True,
    )
    try:
        page = report.write(out, force=force)
    finally:
        # Even if the report cannot be written: the numbers took hours.
        if as_json:
            print(report.to_json(), end="")
        else:
            print_table(report)
    print(f"report: {page}", file=sys.stderr)


def main() -> None:
    """Entry point of the console script."""
    run_app(app, "evalface")


if __name__ == "__main__":
    main()

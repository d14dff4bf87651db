"""The command `evalface`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from evalface import cli_cache, cli_detect, cli_embedder, cli_resemble, cli_stats
from genface.commands import new_app, run_app

app = new_app("Score a folder or archive of generated faces against real ones.")


@app.command("score")
def score_command(
    real: Annotated[
        str, typer.Argument(metavar="REAL", help="Real faces: a folder, .zip, .tar, or a statistics file (.npz).")
    ],
    fake: Annotated[
        list[str],
        typer.Argument(
            metavar="FAKE...",
            help="Generated faces: the same, or a generator (.onnx) that draws them; several: shards of one drawing.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the report goes.")] = Path("report"),
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Pictures that a generator draws; 10,000 unless given.")
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(metavar="T", help="Truncation of a generator's latents; none unless given.")
    ] = None,
    extractor: Annotated[
        Literal["auto", "inception", "lite0", "pixels", "dinov2"],
        typer.Option(help="auto: Inception if its weights are here, else EfficientNet-Lite0."),
    ] = "auto",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights of Inception or DINOv2 (.pth).")] = None,
    protocol: Annotated[
        Literal["tf1", "pytorch-fid", "clean"], typer.Option(help="How pictures are resized for Inception.")
    ] = "tf1",
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="Of the extractor; what bf16 changes is measured and said.")
    ] = "fp32",
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Centre-crop both sides to N px, if the fakes carry no record.")
    ] = None,
    on_broken: Annotated[Literal["fail", "skip"], typer.Option(help="What to do about broken pictures.")] = "fail",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of drawing, subsamples, t-SNE and sample grids.")
    ] = 0,
    tsne: Annotated[bool, typer.Option("--tsne/--no-tsne", help="Draw the t-SNE picture.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON document instead of the table.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds something else.")] = False,
) -> None:
    """Score FAKE against REAL: every score with its noise, and a page with pictures."""
    from evalface.command_line import hand_over
    from evalface.report import check_folder
    from evalface.scoring import score
    from evalface.table import print_report

    # Before the work, not after it.
    check_folder(out, (Path(real), *map(Path, fake)), force=force)
    report = score(
        real,
        fake if len(fake) > 1 else fake[0],
        n=n,
        truncation=truncation,
        extractor=extractor,
        weights=weights,
        protocol=protocol,
        precision=precision,
        size=size,
        on_broken=on_broken,
        seed=seed,
        tsne=tsne,
        say=lambda line: print(line, file=sys.stderr),
        show_progress=True,
    )
    hand_over(report, out, force=force, as_json=as_json, print_table=print_report)


@app.command("compare")
def compare_command(
    reports: Annotated[list[Path], typer.Argument(metavar="A.json B.json ...", help="Reports, or their folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Hold reports against the first one: refuse what is not comparable, tell what exceeds the noise."""
    import json

    from evalface.compare import compare, print_comparison

    found = compare(reports)
    for note in found.notes:
        print(note, file=sys.stderr)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        print_comparison(found)


cli_stats.register(app)
cli_cache.register(app)
cli_detect.register(app)
cli_resemble.register(app)
cli_embedder.register(app)


def main() -> None:
    """Entry point of the console script."""
    run_app(app, "evalface")


if __name__ == "__main__":
    main()

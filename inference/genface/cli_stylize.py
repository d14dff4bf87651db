"""The command `genface stylize`: a photo in the manner of a painting."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from genface.options import Force, ProviderName


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("stylize")(stylize)


def stylize(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Of any size.")],
    model: Annotated[Path, typer.Option("--model", help="The styles: an ONNX file made by exportface style.")],
    style: Annotated[
        list[str],
        typer.Option(
            "--style",
            metavar="STYLE[:WEIGHT]",
            help="A style by number or name; repeat it to mix several, whose weights sum to 1.",
        ),
    ],
    strength: Annotated[
        float, typer.Option("--strength", help="From 0, the photo itself, to 1, the style alone.")
    ] = 1.0,
    tile: Annotated[
        int | None,
        typer.Option("--tile", help="Side of the pieces that a large photo is done in; changes memory and speed."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="A .png, .webp (lossless) or .jpg.")] = Path("stylized.png"),
    provider: ProviderName = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", help="Pieces done side by side; one per usable core unless given.")
    ] = None,
    force: Force = False,
) -> None:
    """Draw a photo in the manner of a painting."""
    import numpy as np

    from genface.grid import Sheet, picture_format, write_picture
    from genface.new_file import check_new_file
    from genface.photo_file import read_photo
    from genface.stylizer import TILE, Stylizer

    check_new_file(out, force=force)
    started = time.perf_counter()
    stylizer = Stylizer(model, provider=provider, threads=threads)
    for reason in stylizer.passed_over:
        print(f"passed over {reason}", file=sys.stderr)
    weights = stylizer.weights(style, strength)
    read = read_photo(photo)
    width, height = read.image.size
    form = picture_format(out, Sheet(rows=1, cols=1, height=height, width=width, gap=0))
    try:
        picture = stylizer.stylize(
            np.asarray(read.image, dtype=np.uint8), weights, tile=TILE if tile is None else tile, done=_tell
        )
    finally:
        _end_line()
    shares = {name: f"{share:.6g}" for name, share in zip(("0", *stylizer.card.styles), weights, strict=True) if share}
    marks = {
        "genface:model_sha256": stylizer.sha256,
        "genface:photos_sha256": read.sha256,
        "genface:styles": json.dumps(shares),
    }
    write_picture(out, picture, marks, form, force=force, making="edited")
    seconds = time.perf_counter() - started
    print(f"{out}: {width}x{height} px, style {_shown(shares)} ({seconds:.1f} s, {stylizer.provider})")


def _shown(shares: dict[str, str]) -> str:
    return ", ".join(f"{name} {share}" for name, share in shares.items())


def _tell(done: int, total: int) -> None:
    """Tell how far a photo of many tiles is, on a terminal."""
    if total > 1 and sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{done:,} of {total:,} pieces", end="", file=sys.stderr, flush=True)


def _end_line() -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

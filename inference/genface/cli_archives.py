"""The commands about archives that were drawn: `genface merge` and `genface verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from genface.options import Force, Model


def register(app: typer.Typer) -> None:
    """Add these commands to an app."""
    app.command("merge")(merge)
    app.command("verify")(verify)


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="All parts that --shard has drawn.")],
    out: Annotated[Path, typer.Option("--out", help="The archive: a .zip, a .tar, or else a folder.")] = Path(
        "faces.zip"
    ),
    force: Force = False,
) -> None:
    """Join the parts of an archive into the one that a single run would have written."""
    from genface.merge import merge_archives

    n = merge_archives(parts, out, force=force)
    print(f"{out}: {n:,} images, merged from {len(parts)} parts")


def verify(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A .zip, .tar or folder that genface has drawn.")],
    model: Model,
    sample: Annotated[int, typer.Option("--sample", help="How many images are drawn again.")] = 64,
    seed: Annotated[
        int | None, typer.Option("--sample-seed", help="Chooses them; unforeseeable unless given.", min=0)
    ] = None,
    latents: Annotated[
        Path | None, typer.Option("--latents", help="The .npy file that the archive was drawn from, if it was.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check that an archive is complete, draw a random sample of it again and compare. Exit code 1: they differ."""
    from genface.latents_file import read_latents
    from genface.model import Generator
    from genface.verify import recorded_run, verify_archive

    generator = Generator(model, **recorded_run(archive, model))
    rows = None if latents is None else read_latents(latents, generator.info.z_dim)
    result = verify_archive(archive, generator, sample=sample, seed=seed, latents=rows)
    print(json.dumps(result.to_dict(), indent=2) if as_json else result.describe())
    if not result.ok:
        raise typer.Exit(1)

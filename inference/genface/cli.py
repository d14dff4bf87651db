"""The command `genface`: draw an archive of faces from one ONNX file, and what goes with it."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from genface import cli_archives, cli_info, cli_mix, cli_page, cli_pictures, cli_stylize
from genface.commands import new_app, run_app
from genface.errors import UserError
from genface.options import (
    Arithmetic,
    Force,
    Inputs,
    LatentName,
    Model,
    OutputName,
    ProviderName,
    Range,
    Seed,
    Truncation,
    ZDim,
    open_generator,
)

if TYPE_CHECKING:
    from genface.draw import DrawConfig
    from genface.encode import PictureFormat
    from genface.model import Generator

DEFAULT_N = 10_000
_MAX_THREADS = 1024  # some blocks wait for each of them, in memory, before anything is written

app = new_app("Draw faces from one ONNX file.")


@app.command()
def draw(
    model: Model,
    n: Annotated[
        int | None, typer.Option("--n", help=f"How many images; {DEFAULT_N:,}, or all --latents, unless given.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The archive: a .zip, a .tar, or else a folder; faces.zip unless given."),
    ] = None,
    seed: Seed = 0,
    truncation: Truncation = None,
    latents: Annotated[
        Path | None, typer.Option("--latents", help="An .npy file of latents instead of a seed; image i is its row i.")
    ] = None,
    index: Annotated[
        int | None, typer.Option("--index", help="Draw this one image of the archive again, into a file of its own.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Draw part K of N only; genface merge joins them.")
    ] = None,
    image_format: Annotated[
        Literal["png", "webp", "jpeg"], typer.Option("--format", help="Of the images; webp is lossless.")
    ] = "png",
    level: Annotated[
        int | None, typer.Option("--level", help="Effort of png (0 to 9) or webp (0 to 6); a fast one unless given.")
    ] = None,
    quality: Annotated[int | None, typer.Option("--quality", help="Of jpeg, 1 to 100; 95 unless given.")] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", help="Images that a thread draws at a time; changes memory and speed, never an image."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads side by side; one per usable core unless given.")
    ] = None,
    provider: ProviderName = "auto",
    precision: Arithmetic = "fp32",
    resume: Annotated[bool, typer.Option("--resume", help="Finish an archive that was stopped on the way.")] = False,
    force: Force = False,
    no_mark: Annotated[
        bool, typer.Option("--no-mark", help="Leave out the marks that tell that an image is machine-made.")
    ] = False,
    inputs: Inputs = None,
    latent: LatentName = None,
    z_dim: ZDim = None,
    output: OutputName = None,
    value_range: Range = None,
) -> None:
    """Draw an archive of faces."""
    from genface.draw import DrawConfig
    from genface.encode import PictureFormat
    from genface.latents import MAX_INDEX

    if threads is not None and not 1 <= threads <= _MAX_THREADS:
        raise UserError(f"threads must be from 1 to {_MAX_THREADS:,}, not {threads}")
    if index is not None and (resume or shard):
        raise UserError("--index draws one image; --resume and --shard belong to an archive")
    picture_format = PictureFormat(name=image_format, level=level, quality=quality)
    # One image may be of any index that a latent can have, unless it is said how many there are.
    count = n if n is not None else DEFAULT_N if index is None else min(max(DEFAULT_N, index + 1), MAX_INDEX)
    config = DrawConfig(
        n=count,
        seed=seed,
        truncation=truncation,
        shard=_shard(shard),
        batch=batch,
        picture_format=picture_format,
        mark=not no_mark,
    )
    target = out or Path("faces.zip" if index is None else f"{max(0, index):06d}.{picture_format.ending}")
    _check_target(target, picture_format if index is not None else None, force=force, resume=resume)
    generator = open_generator(model, provider, precision, inputs, latent, output, value_range, z_dim)
    cli_info.tell_passed_over(generator)
    if latents is not None:
        config = _with_latents(config, latents, n, generator.info.z_dim)
    if index is None:
        _draw_archive(generator, config, target, force=force, resume=resume, threads=threads)
    else:
        _draw_one(generator, config, index, target, force=force)


def _draw_archive(
    generator: Generator, config: DrawConfig, out: Path, *, force: bool, resume: bool, threads: int | None
) -> None:
    from genface.archive import unfinished_path
    from genface.draw import draw_archive
    from genface.progress import Progress

    progress = Progress(len(config.indices))
    try:
        drawn = draw_archive(
            generator,
            config,
            out,
            force=force,
            resume=resume,
            workers=threads,
            found=progress.start_at,
            progress=progress,
        )
    except KeyboardInterrupt:
        if unfinished_path(out).exists():
            print(f"what was drawn is kept in {unfinished_path(out)}; --resume goes on from there", file=sys.stderr)
        raise
    finally:
        progress.finish()
    info, total = generator.info, len(config.indices)
    pictures = f"{total:,} images of {info.width}x{info.height} px, {_source(config)}"
    if not drawn:
        print(f"{out}: {pictures}, complete already")
        return
    some = "" if drawn == total else f"{drawn:,} of them drawn now, "
    print(
        f"{out}: {pictures}, {some}{progress.images_per_second:,.0f} images/s"
        f" ({progress.seconds:.1f} s, {cli_info.runs_on(info)})"
    )


def _draw_one(generator: Generator, config: DrawConfig, index: int, out: Path, *, force: bool) -> None:
    from genface.draw import draw_one
    from genface.new_file import new_file

    picture = draw_one(generator, config, index)
    with new_file(out, force=force) as path:
        path.write_bytes(picture)
    info = generator.info
    print(f"{out}: image {index} of {_source(config)}, {info.width}x{info.height} px ({cli_info.runs_on(info)})")


def _with_latents(config: DrawConfig, path: Path, n: int | None, z_dim: int) -> DrawConfig:
    """Draw the latents of a file, the first `n` of them if `n` is given."""
    from genface.latents_file import read_latents

    if config.seed:
        raise UserError("--latents takes the place of --seed: leave one of them out")
    rows = read_latents(path, z_dim)[:n]
    return replace(config, latents=rows, n=n or len(rows))


def _check_target(out: Path, one: PictureFormat | None, *, force: bool, resume: bool) -> None:
    """Refuse a name that cannot be written to, before the model is opened; `one` is the format of a single picture."""
    if one is not None:
        from genface.grid import FORMATS
        from genface.new_file import check_new_file

        if FORMATS.get(out.suffix.lower()) != one.name:
            raise UserError(f"{out}: this image is a {one.name}: end its name in .{one.ending}, or choose its --format")
        check_new_file(out, force=force)
    else:
        from genface.archive import check_free

        check_free(out, force=force, resume=resume)


def _source(config: DrawConfig) -> str:
    part = "" if config.shard is None else f", shard {config.shard[0]}/{config.shard[1]}"
    return ("given latents" if config.latents is not None else f"seed {config.seed}") + part


def _shard(text: str | None) -> tuple[int, int] | None:
    """Read `K/N`. Raises UserError for what is none."""
    if text is None:
        return None
    numbers = re.fullmatch(r"([0-9]{1,19})/([0-9]{1,19})", text)
    if numbers is None:
        raise UserError(f"--shard takes K/N, e.g. 1/3 for the first of three parts, not {text!r}")
    return int(numbers[1]), int(numbers[2])


cli_pictures.register(app)
cli_archives.register(app)
cli_info.register(app)
cli_page.register(app)
cli_mix.register(app)
cli_stylize.register(app)


def main() -> NoReturn:
    """Run the command line."""
    run_app(app, "genface")

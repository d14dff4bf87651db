"""`genface grid`, `genface walk` and `genface latents`: one image of many faces, films between them, their latents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    import numpy as np
    from numpy.typing import NDArray

    from genface.grid import Picture, Sheet
    from genface.model import Generator
    from genface.walk import Walk

_ROWS, _COLS = 8, 8
_PATHS, _POINTS = 4, 2
_SHEET_FRAMES, _SECONDS_PER_LEG = 16, 2
_MAX_LINES = 1_000_000
# Eleven hours at 24 frames/s. Paths are laid out in memory, frames are not.
_MAX_FACES, _MAX_FRAMES, _MAX_FPS = 10_000, 1_000_000, 240

Latents = Annotated[
    Path | None, typer.Option("--latents", help="An .npy file of latents instead of a seed; index i is its row i.")
]
Start = Annotated[int, typer.Option("--start", help="The first index.")]
Scale = Annotated[int, typer.Option("--scale", help="Enlarge by this whole number, every pixel a square.")]
Gap = Annotated[int, typer.Option("--gap", help="Pixels between pictures.")]


def register(app: typer.Typer) -> None:
    """Add these commands to an app."""
    for name, command in (("grid", grid), ("walk", walk), ("latents", save_latents)):
        app.command(name)(command)


def grid(
    model: Model,
    rows: Annotated[
        int | None, typer.Option("--rows", help=f"Rows; {_ROWS}, or as many as --indices fill, unless given.")
    ] = None,
    cols: Annotated[int, typer.Option("--cols", help="Pictures in a row.")] = _COLS,
    seed: Seed = 0,
    start: Start = 0,
    indices: Annotated[
        str | None, typer.Option("--indices", metavar="I,J,...", help="These pictures instead of consecutive ones.")
    ] = None,
    truncation: Truncation = None,
    latents: Latents = None,
    scale: Scale = 2,
    gap: Gap = 2,
    out: Annotated[Path, typer.Option("--out", help="A .png, .webp (lossless) or .jpg.")] = Path("grid.png"),
    provider: ProviderName = "cpu",
    precision: Arithmetic = "fp32",
    inputs: Inputs = None,
    latent: LatentName = None,
    z_dim: ZDim = None,
    output: OutputName = None,
    value_range: Range = None,
    force: Force = False,
) -> None:
    """Draw faces side by side as one image."""
    from genface.grid import drawn, picture_format, write_picture
    from genface.latent_source import latent_source
    from genface.new_file import check_new_file

    check_new_file(out, force=force)
    _check("--cols", cols, 1, _MAX_LINES)
    if rows is not None:
        _check("--rows", rows, 1, _MAX_LINES)
    if indices is not None and start:
        raise UserError("--indices and --start exclude each other: give one of them")
    generator = open_generator(model, provider, precision, inputs, latent, output, value_range, z_dim)
    source = latent_source(generator, seed, truncation, latents)
    faces: Sequence[int]
    if indices is None:
        faces = source.consecutive(start, (rows or _ROWS) * cols, or_fewer=latents is not None)
    else:
        faces = source.listed(indices)
        if rows is not None and len(faces) > rows * cols:
            raise UserError(f"{len(faces)} indices do not fit into {rows} rows of {cols}: leave out --rows")
    cols = min(cols, len(faces))
    sheet = _sheet(generator, -(-len(faces) // cols), cols, scale, gap)
    form = picture_format(out, sheet)
    pictures = drawn(generator, lambda part: source.latents(faces[part.start : part.stop]), len(faces))
    image = sheet.fill(_counted(pictures, len(faces)))
    write_picture(out, image, source.marks(faces), form, force=force)
    print(f"{out}: {len(faces):,} faces of {source.name}, {sheet.size[0]}x{sheet.size[1]} px")


def walk(
    model: Model,
    paths: Annotated[
        int | None, typer.Option("--paths", help=f"Walks side by side; {_PATHS}, or 1 with --latents, unless given.")
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", help=f"Faces that each goes through; {_POINTS}, or all --latents, unless given."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            help=f"Frames of each; {_SHEET_FRAMES} in an image, {_SECONDS_PER_LEG} seconds from face to face in a film,"
            " unless given.",
        ),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first face.")] = False,
    seed: Seed = 0,
    start: Start = 0,
    truncation: Truncation = None,
    latents: Latents = None,
    scale: Scale = 2,
    gap: Gap = 2,
    fps: Annotated[float, typer.Option("--fps", help="Frames a second of a film.")] = 24,
    out: Annotated[
        Path, typer.Option("--out", help="A .png (a row per walk), or a film: .gif, .webp (lossless) or .mp4.")
    ] = Path("walk.png"),
    provider: ProviderName = "cpu",
    precision: Arithmetic = "fp32",
    inputs: Inputs = None,
    latent: LatentName = None,
    z_dim: ZDim = None,
    output: OutputName = None,
    value_range: Range = None,
    force: Force = False,
) -> None:
    """Draw smooth walks from face to face, as rows of an image or as a film."""
    from genface.film import ENDINGS, Film, write_film
    from genface.grid import near_square, picture_format, write_picture
    from genface.latent_source import latent_source
    from genface.new_file import check_new_file
    from genface.walk import Walk

    is_film = out.suffix.lower() in ENDINGS
    if not is_film and out.suffix.lower() != ".png":
        raise UserError(f"{out}: walks are written as .png, {', '.join(ENDINGS)}; end the name in one of them")
    if not 0 < fps <= _MAX_FPS:
        raise UserError(f"--fps must be above 0 and at most {_MAX_FPS}, not {fps:g}")
    check_new_file(out, force=force)
    generator = open_generator(model, provider, precision, inputs, latent, output, value_range, z_dim)
    source = latent_source(generator, seed, truncation, latents)
    if paths is None:
        paths = _PATHS if latents is None else 1
    _check("--paths", paths, 1, _MAX_FACES // 2)
    if points is None:
        points = _POINTS if latents is None else len(source.consecutive(start, source.count, or_fewer=True)) // paths
    _check("--points", points, 2, _MAX_FACES // paths)
    if frames is None:
        legs = points if loop else points - 1
        frames = max(2, round(_SECONDS_PER_LEG * fps * legs)) if is_film else _SHEET_FRAMES
    _check("--frames", frames, 2, _MAX_FRAMES)
    faces = source.consecutive(start, paths * points)
    rows, cols = near_square(paths) if is_film else (paths, frames)
    sheet = _sheet(generator, rows, cols, scale, gap)
    width, height = sheet.size
    way = Walk(source.latents(faces).reshape(paths, points, -1), loop=loop)
    if is_film:

        def frames_of(times: NDArray[np.float64]) -> Iterator[Picture]:
            pictures = _along(generator, way, times, by_time=True)
            return (sheet.fill(islice(pictures, way.paths)) for _ in times)

        times = way.times(frames)
        film = Film(
            frames=lambda chosen: frames_of(times[chosen.start : chosen.stop : chosen.step]),
            count=frames,
            fps=fps,
            height=height,
            width=width,
            marks=source.marks(faces),
        )
        write_film(out, film, force=force)
    else:
        form = picture_format(out, sheet)
        image = sheet.fill(_along(generator, way, way.times(frames), by_time=False))
        write_picture(out, image, source.marks(faces), form, force=force)
    lasts = f", {frames / fps:.1f} s" if is_film else ""
    print(
        f"{out}: {paths:,} walks of {frames:,} frames through {points:,} faces each, of {source.name},"
        f" {width}x{height} px{lasts}"
    )


def save_latents(
    out: Annotated[Path, typer.Option("--out", help="An .npy file: float32 [n, z_dim].")] = Path("latents.npy"),
    model: Annotated[
        Path | None, typer.Option("--model", help="The generator that they are for; tells their length.")
    ] = None,
    z_dim: Annotated[int | None, typer.Option("--z-dim", help="Numbers in a latent, instead of --model.")] = None,
    n: Annotated[int, typer.Option("--n", help="How many latents.")] = 100,
    seed: Seed = 0,
    start: Start = 0,
    truncation: Truncation = None,
    inputs: Inputs = None,
    latent: LatentName = None,
    output: OutputName = None,
    value_range: Range = None,
    force: Force = False,
) -> None:
    """Write the latents of a seed into a file, to be changed and drawn by --latents."""
    from genface.latents_file import write_latents

    if (model is None) == (z_dim is None):
        raise UserError("how long a latent is, is told by one of --model and --z-dim")
    if model is not None:
        z_dim = open_generator(model, "cpu", "fp32", inputs, latent, output, value_range).info.z_dim
    assert z_dim is not None
    sha256 = write_latents(out, n=n, z_dim=z_dim, seed=seed, start=start, truncation=truncation, force=force)
    print(f"{out}: {n:,} latents of {z_dim:,} numbers, seed {seed}, latents sha256 {sha256}")


def _along(generator: Generator, way: Walk, times: NDArray[np.float64], *, by_time: bool) -> Iterator[Picture]:
    """Pictures of all paths at these times: every path at the first time and so on, or one whole path after another."""
    import numpy as np

    from genface.grid import drawn

    def latents_of(part: range) -> NDArray[np.float32]:
        number = np.arange(part.start, part.stop)
        slow, fast = np.divmod(number, way.paths if by_time else len(times))
        time, path = (slow, fast) if by_time else (fast, slow)
        return way.at(path, times[time])

    count = way.paths * len(times)
    return _counted(drawn(generator, latents_of, count), count)


def _counted(pictures: Iterable[Picture], total: int) -> Iterator[Picture]:
    """Hand on pictures, and tell on stderr how many there were."""
    from genface.progress import Progress

    progress = Progress(total)
    try:
        for done, picture in enumerate(pictures, 1):
            yield picture
            progress(done)
    finally:
        progress.finish()


def _sheet(generator: Generator, rows: int, cols: int, scale: int, gap: int) -> Sheet:
    from genface.grid import Sheet

    return Sheet(rows=rows, cols=cols, height=generator.info.height, width=generator.info.width, scale=scale, gap=gap)


def _check(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UserError(f"{option} must be from {least} to {most:,} here, not {value:,}")

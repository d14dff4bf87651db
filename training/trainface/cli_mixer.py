"""The command `trainface mixer`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genface.errors import UserError
from trainface.command_line import (
    CropOption,
    OnBrokenOption,
    Source,
    chosen_settings,
    open_with_progress,
    refuse_missing_source,
    show_progress,
)

if TYPE_CHECKING:
    from evalface.embedder import Embedder


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("mixer")(mixer)


def mixer(
    src: Source,
    run: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on where it stopped.")],
    preset: Annotated[
        str, typer.Option(help="ae64-classic, ae64, embed64-classic, embed64 or gan-encoder64.")
    ] = "ae64",
    embedder: Annotated[
        Path | None, typer.Option(help="A face recogniser as ONNX, whose vectors are decoded (embed64...).")
    ] = None,
    embedder_size: Annotated[
        int | None, typer.Option(help="Side of its input in pixels, where its graph does not say.")
    ] = None,
    embedder_range: Annotated[
        str | None, typer.Option(help="LOW:HIGH, what black and white are to it; default -1:1.")
    ] = None,
    generator: Annotated[
        Path | None, typer.Option(help="A GAN's checkpoint.pt or weights, whose latents are found (gan-encoder64).")
    ] = None,
    kimg: Annotated[float | None, typer.Option(help="Length in thousands of images; default: the preset's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; default 0.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, KEY=VALUE (`trainface settings`); may be repeated."),
    ] = None,
    crop: CropOption = "center",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    on_broken: OnBrokenOption = "fail",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings as JSON and stop.")] = False,
) -> None:
    """Train networks that turn the faces in SRC into codes that can be mixed, and codes into faces."""
    from trainface.mixer import presets

    options = {"kimg": kimg, "seed": seed}
    config = presets.preset(preset).with_settings(chosen_settings(options, setting or []))
    refuse_missing_source(src)
    for name, path in {"--embedder": embedder, "--generator": generator}.items():
        if path is not None and not path.is_file():
            raise UserError(f"{name} {path}: no such file")
    if embedder is None and (embedder_size is not None or embedder_range is not None):
        raise UserError("--embedder-size and --embedder-range belong to --embedder: leave them out")
    if dry_run:
        files = {"embedder": embedder, "generator": generator}
        given = {"src": src, "run": run, "device": device, "crop": crop, "on_broken": on_broken} | files
        texts = {name: None if value is None else str(value) for name, value in given.items()}
        # `generator` among the settings is what the file fills in.
        print(json.dumps({**config.to_dict(), **texts}, indent=1))
        return
    from trainface.mixer.run import train_mixer

    reached = train_mixer(
        run,
        config,
        device_name=device,
        open_faces=lambda size: open_with_progress(src, size, crop, on_broken),
        open_embedder=None if embedder is None else _opener(embedder, embedder_size, embedder_range),
        generator=generator,
        progress=show_progress("embedding"),
    )
    if not reached:
        raise typer.Exit(130)


def _opener(path: Path, size: int | None, value_range: str | None) -> Callable[[], Embedder]:
    """What opens the embedder when the run wants it."""
    from evalface.embedder import open_embedder

    return lambda: open_embedder(path, size=size, value_range=value_range)

"""The commands `trainface style paint`, `trainface style train` and `trainface style draw-paintings`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.errors import UserError
from trainface.command_line import OnBrokenOption, Source, chosen_settings, open_with_progress, refuse_missing_source

if TYPE_CHECKING:
    from trainface.style.paint import PaintStep

style_app = typer.Typer(
    help="Paint photos in the manner of paintings: one by one, or by a network that is trained for them.",
    rich_markup_mode=None,
)

FeaturesOption = Annotated[
    Literal["auto", "vgg19", "lite0"],
    typer.Option(help="What content and style are seen by; auto: VGG-19 where its weights are here, else lite0."),
]
VggWeights = Annotated[Path | None, typer.Option(help="torchvision's file of VGG-19 weights.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch VGG-19's weights (575 MB) if they are not here.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def register(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.add_typer(style_app, name="style")


@style_app.command()
def paint(
    photo: Annotated[Path, typer.Argument(help="The photo.")],
    style: Annotated[Path, typer.Option(help="The painting.")],
    out: Annotated[Path, typer.Option(help="The .png to write.")],
    content_weight: Annotated[float, typer.Option(help="Of the distance from the photo's content.")] = 1.0,
    style_weight: Annotated[float, typer.Option(help="Of the distance from the painting's style.")] = 20.0,
    tv_weight: Annotated[float, typer.Option(help="Of the total variation: more is smoother.")] = 0.5,
    optimizer: Annotated[Literal["lbfgs", "adam"], typer.Option(help="lbfgs, or adam: more steps, less memory.")] = (
        "lbfgs"
    ),
    start: Annotated[Literal["content", "noise"], typer.Option(help="Begin with the photo, or with noise.")] = (
        "content"
    ),
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.")] = 200,
    size: Annotated[int, typer.Option(help="Longer side of the result in pixels.")] = 384,
    style_size: Annotated[
        int | None, typer.Option(help="Longer side of the painting: larger strokes if larger; default: --size.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise to start from.")] = 0,
    progress_every: Annotated[
        int, typer.Option(help="Save a picture every so many steps, in the folder OUT-steps; 0: none.", min=0)
    ] = 0,
    features: FeaturesOption = "auto",
    vgg_weights: VggWeights = None,
    download: Download = False,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")] = False,
) -> None:
    """Paint PHOTO in the manner of one painting, by optimising its pixels (Gatys et al. 2016)."""
    from PIL import Image

    from genface.encode import PNG
    from genface.grid import write_picture
    from genface.new_file import check_new_file
    from genface.photo_file import read_photo
    from trainface.device import pick_device
    from trainface.style.features import choose_features
    from trainface.style.paint import PaintConfig
    from trainface.style.paint import paint as optimise
    from trainface.style.pictures import scaled, to_pixels, to_tensor

    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the picture is a PNG; end its name in .png")
    check_new_file(out, force=force)
    config = PaintConfig(
        content_weight=content_weight,
        style_weight=style_weight,
        tv_weight=tv_weight,
        optimizer=optimizer,
        start=start,
        steps=steps,
        seed=seed,
    )
    where = pick_device(device)
    shown, manner = read_photo(photo), read_photo(style)
    picture = to_tensor(scaled(shown.image, size, str(photo))).to(where)
    chosen_by = "--size" if style_size is None else "--style-size"
    painting = to_tensor(scaled(manner.image, style_size or size, str(style), chosen_by)).to(where)
    seen_by = choose_features(features, weights=vgg_weights, download=download, device=where, say=_say)
    saved = _step_folder(out, progress_every, force=force)
    last: list[PaintStep] = []

    def on_step(step: PaintStep) -> None:
        last[:] = [step]
        if step.step % max(steps // 20, 1) == 0 or step.step in (1, steps):
            _say(f"step {step.step} of {steps}  {_losses_of(step)}")
        if saved is not None and (step.step % progress_every == 0 or step.step == steps):
            Image.fromarray(to_pixels(step.picture)[0]).save(saved / f"{step.step:06d}.png")

    painted = optimise(picture, painting, seen_by, config, on_step)
    marks = {
        "genface:photos_sha256": shown.sha256,
        "genface:painting_sha256": manner.sha256,
        "genface:features": seen_by.title,
    }
    write_picture(out, to_pixels(painted)[0], marks, PNG, force=force, making="edited")
    height, width = painted.shape[2:]
    print(f"{out}: {width}x{height} px, {steps} steps, {seen_by.title}, {_losses_of(last[0])}")


@style_app.command()
def train(
    src: Source,
    run: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on where it stopped.")],
    style: Annotated[list[Path], typer.Option(help="A painting; repeat it for several styles, which are numbered.")],
    preset: Annotated[str, typer.Option(help="Recipe: style128, style256, or tiny to try it out.")] = "style128",
    kimg: Annotated[float | None, typer.Option(help="Length in thousands of photos; default: the preset's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; default 0.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, KEY=VALUE; may be repeated.")
    ] = None,
    features: FeaturesOption = "auto",
    vgg_weights: VggWeights = None,
    download: Download = False,
    device: Device = "auto",
    on_broken: OnBrokenOption = "fail",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings as JSON and stop.")] = False,
) -> None:
    """Train a network that paints any photo in the styles of the paintings, at any strength, in one pass."""
    refuse_missing_source(src)
    import torch

    from trainface.style.config import preset as preset_of
    from trainface.style.features import choose_features
    from trainface.style.train import StyleTask, read_paintings
    from trainface.supervised.run import train_run

    settings = chosen_settings({"kimg": kimg, "seed": seed}, setting or [])
    if "paintings" in settings:
        raise UserError("--set paintings: the styles are given by --style FILE")
    config = preset_of(preset).with_settings(settings)
    paintings = read_paintings(style, config.painting_size)
    config = replace(config, paintings=tuple(painting.name for painting in paintings))
    if dry_run:
        print(json.dumps({"src": src, "run": str(run), "device": device, **config.to_dict()}, indent=1))
        return

    def open_task(where: torch.device) -> StyleTask:
        seen_by = choose_features(features, weights=vgg_weights, download=download, device=where, say=_say)
        return StyleTask(config, open_with_progress(src, config.size, "center", on_broken), paintings, seen_by, where)

    reached = train_run(
        run,
        config,
        device_name=device,
        kind=StyleTask.kind,
        format_version=StyleTask.format_version,
        open_task=open_task,
    )
    if not reached:
        raise typer.Exit(130)


@style_app.command()
def draw_paintings(
    out: Annotated[Path, typer.Option(help="The folder to write them into; made if need be.")],
    size: Annotated[int, typer.Option(help="Side of the paintings in pixels, 64 to 2048.")] = 512,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under these names.")] = False,
) -> None:
    """Draw the project's own paintings, to try styles with: the same ones every time."""
    from genface.new_file import check_new_file, new_file
    from trainface.style.paintings import PAINTINGS, draw

    out.mkdir(parents=True, exist_ok=True)
    targets = {name: out / f"{name}.png" for name in PAINTINGS}
    for target in targets.values():
        check_new_file(target, force=force)
    for name, target in targets.items():
        picture = draw(name, size)
        with new_file(target, force=force) as path:
            picture.save(path, "png")
        print(target)


def _step_folder(out: Path, every: int, *, force: bool) -> Path | None:
    """The folder of the progress pictures, made; None where none are wanted."""
    if not every:
        return None
    folder = out.with_name(f"{out.stem}-steps")
    if folder.exists() and not force:
        raise UserError(f"{folder}: exists already; choose another --out, or write into it by --force")
    folder.mkdir(exist_ok=True)
    return folder


def _losses_of(step: PaintStep) -> str:
    return f"content {step.content:.4f}  style {step.style:.4f}  tv {step.tv:.4f}  total {step.total:.4f}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

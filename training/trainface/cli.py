"""`trainface SRC --run DIR` trains; `trainface data SRC --out real.zip` writes the prepared set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.commands import new_app, run_app
from genface.errors import UserError

if TYPE_CHECKING:
    from trainface.config import Config
    from trainface.dataset import FaceSet

app = new_app("Train a GAN on a folder of faces.")

Source = Annotated[str, typer.Argument(help="Folder or .zip of pictures, or builtin:cartoons[:N].")]
OnBrokenOption = Annotated[
    Literal["fail", "skip"], typer.Option(help="What to do about broken pictures: stop before training, or go on.")
]


@app.command()
def train(
    src: Source,
    run: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on where it stopped.")],
    preset: Annotated[str, typer.Option(help="Recipe: s64, dcgan64, tiny or tiny-dcgan.")] = "s64",
    kimg: Annotated[float | None, typer.Option(help="Length in thousands of images; default: the preset's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images in a step; default: the preset's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; default 0.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, KEY=VALUE, e.g. gamma=10:1; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    on_broken: OnBrokenOption = "fail",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings as JSON and stop.")] = False,
) -> None:
    """Train a generator on the faces in SRC."""
    config = _resolve(preset, {"kimg": kimg, "batch": batch, "seed": seed}, setting or [])
    if dry_run:
        print(json.dumps({"src": src, "run": str(run), "device": device, **config.to_dict()}, indent=1))
        return
    from trainface.run import train_run

    reached = train_run(src, run, config, device_name=device, on_broken=on_broken, open_faces=_open_with_progress)
    if not reached:
        raise typer.Exit(130)


@app.command()
def data(
    src: Source,
    out: Annotated[Path, typer.Option(help="The .zip (or folder) to write.")],
    size: Annotated[int, typer.Option(help="Side of the prepared faces in pixels.")] = 64,
    on_broken: OnBrokenOption = "fail",
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write the prepared faces of SRC as a file of their own."""
    from genface.archive import PREPARED_KIND, check_free
    from trainface.dataset import write_prepared

    if out.resolve() == Path(src).resolve():
        raise UserError(f"{out}: is the source itself; give another --out")
    check_free(out, force=force, kind=PREPARED_KIND)
    faces = _open_with_progress(src, size, on_broken)
    write_prepared(faces, out, force=force)
    print(f"{out}: {len(faces)} faces, {faces.preparation}")


def _resolve(preset_name: str, options: dict[str, float | int | None], settings: list[str]) -> Config:
    from trainface.config import preset

    chosen: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write KEY=VALUE, as in --set gamma=10:1")
        chosen[key.strip()] = value.strip()
    chosen |= {key: str(value) for key, value in options.items() if value is not None}
    return preset(preset_name).with_settings(chosen)


def _open_with_progress(src: str, size: int, on_broken: Literal["fail", "skip"]) -> FaceSet:
    from genface.photos import Preparation
    from trainface.dataset import open_faces

    on_terminal = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if on_terminal and (done % 50 == 0 or done == total):
            print(f"\rpreparing {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    print(f"preparing {src} at {size} px", file=sys.stderr)
    faces = open_faces(src, Preparation(size=size), on_broken=on_broken, progress=progress)
    for note in faces.notes:
        print(note, file=sys.stderr)
    return faces


def main() -> None:
    """The console script."""
    run_app(app, "trainface")

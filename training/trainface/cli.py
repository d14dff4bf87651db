"""`trainface SRC --run DIR` trains; `trainface data SRC --out real.zip` writes the prepared set."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.commands import new_app, run_app
from genface.errors import UserError
from trainface import cli_mixer, cli_style
from trainface.command_line import (
    CropOption,
    OnBrokenOption,
    SettingOption,
    Source,
    chosen_settings,
    open_with_progress,
    refuse_missing_source,
)

if TYPE_CHECKING:
    from trainface.config import Config

app = new_app("Train a GAN on a folder of faces.")

AugmentFile = Annotated[
    Path | None, typer.Option(help="An albumentations pipeline (JSON or YAML) that makes more pictures of each photo.")
]
AugmentCopies = Annotated[
    int | None, typer.Option(help="Pictures that the pipeline makes of each photo; default 1.", min=1)
]


@app.command()
def train(
    src: Source,
    run: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on where it stopped.")],
    preset: Annotated[str, typer.Option(help="Recipe; `trainface settings` lists them.")] = "s64",
    kimg: Annotated[float | None, typer.Option(help="Length in thousands of images; default: the preset's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images in a step; default: the preset's.")] = None,
    gamma: Annotated[
        str | None, typer.Option(help="Weight of the gradient penalty, FROM:TO, or auto: a short probe on your data.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="relativistic, bce, lsgan, hinge or wgan.")] = None,
    d_norm: Annotated[str | None, typer.Option(help="batch, instance, spectral or none (dcgan).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; default 0.")] = None,
    setting: SettingOption = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Begin with the weights of this checkpoint: other data, or a larger size.")
    ] = None,
    crop: CropOption = "center",
    offline_augment: AugmentFile = None,
    augment_copies: AugmentCopies = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    on_broken: OnBrokenOption = "fail",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings as JSON and stop.")] = False,
) -> None:
    """Train a generator on the faces in SRC."""
    options = {"kimg": kimg, "batch": batch, "seed": seed, "loss": loss, "d_norm": d_norm}
    config = _resolve(preset, options | {"gamma": gamma}, setting or [])
    if augment_copies is not None and offline_augment is None:
        raise UserError("--augment-copies: give the pipeline that makes them as well, by --offline-augment FILE")
    copies = (augment_copies or 1) if offline_augment is not None else 0
    _refuse_missing(src, init_from if not (run / "checkpoint.pt").exists() else None)
    if dry_run:
        given: dict[str, object] = {"src": src, "run": str(run), "device": device, "crop": crop, "on_broken": on_broken}
        given |= {"init_from": None if init_from is None else str(init_from)}
        given |= {"offline_augment": None if offline_augment is None else str(offline_augment)}
        probed = {"gamma": "auto"} if gamma == "auto" else {}
        print(json.dumps({**given, "augment_copies": copies, **config.to_dict(), **probed}, indent=1))
        return
    from trainface.run import Beginning, train_run

    reached = train_run(
        run,
        config,
        device_name=device,
        open_faces=lambda size: open_with_progress(src, size, crop, on_broken, offline_augment, copies),
        beginning=Beginning(init_from=init_from, probe_gamma=gamma == "auto"),
    )
    if not reached:
        raise typer.Exit(130)


@app.command()
def settings(
    preset: Annotated[str, typer.Option(help="Show this recipe's values.")] = "s64",
) -> None:
    """List every setting with its meaning and a recipe's value, and the recipes."""
    from trainface import presets
    from trainface.mixer import presets as mixers
    from trainface.settings import table_of
    from trainface.style import config as styles

    kind = next((kind for kind in (presets, mixers, styles) if preset in kind.PRESETS), presets)
    print(table_of(kind.preset(preset)))
    print(f"\nrecipes (--preset): {', '.join(presets.PRESETS)}")
    print(f"recipes of `trainface mixer`: {', '.join(mixers.PRESETS)}")
    print(f"recipes of `trainface style train`: {', '.join(styles.PRESETS)}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    lang: Annotated[Literal["en", "ru"], typer.Option(help="Language of report.md.")] = "en",
    data: Annotated[
        str | None, typer.Option(help="The data, to compare with; default: looked for by the data set's name.")
    ] = None,
    show_reals: Annotated[
        bool, typer.Option("--reals/--no-reals", help="Show real faces; the terms of some forbid to pass them on.")
    ] = True,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Draw from this one of the run, or from its weights; default: the best.")
    ] = None,
) -> None:
    """Draw curves, film and walks of a run, and write its report.md."""
    from trainface.report.run_report import finish, real_faces

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    reals = real_faces(run, data, say)
    finish(run, say, lang=lang, reals=reals, show_reals=show_reals, drawn_from=checkpoint)
    print(run / "report.md")


@app.command()
def weights(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt (or best.pt) of a run.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    ema: Annotated[
        str | None, typer.Option(help="Half-life in kimg of the averaged G to take; default: that of the lowest KID.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Reduce a checkpoint to G and D in half precision: small enough to ship, to export and to begin runs with."""
    from trainface.weights import write_weights

    write_weights(checkpoint, out, ema=ema, force=force)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


@app.command()
def data(
    src: Source,
    out: Annotated[Path, typer.Option(help="The .zip (or folder) to write.")],
    size: Annotated[int, typer.Option(help="Side of the prepared faces in pixels.")] = 64,
    crop: CropOption = "center",
    contact_sheet: Annotated[Path | None, typer.Option(help="A .png of up to 100 of the faces, to look at.")] = None,
    on_broken: OnBrokenOption = "fail",
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write the prepared faces of SRC as a file of their own."""
    from genface.archive import PREPARED_KIND, check_free
    from trainface.data import contact_sheet as sheets
    from trainface.data.dataset import write_prepared

    if out.resolve() == Path(src).resolve():
        raise UserError(f"{out}: is the source itself; give another --out")
    check_free(out, force=force, kind=PREPARED_KIND)
    if contact_sheet is not None:
        _refuse_sheet(contact_sheet, out, force=force)
    faces = open_with_progress(src, size, crop, on_broken)
    write_prepared(faces, out, force=force)
    if contact_sheet is not None:
        sheets.contact_sheet(faces).save(contact_sheet, "png")
    print(f"{out}: {len(faces)} faces, {faces.preparation}")


def _resolve(preset_name: str, options: Mapping[str, float | str | None], settings: list[str]) -> Config:
    from trainface.presets import preset

    chosen = chosen_settings(options, settings)
    if options.get("gamma") == "auto":
        del chosen["gamma"]  # which a probe finds, on the data
    return preset(preset_name).with_settings(chosen)


def _refuse_missing(src: str, init_from: Path | None) -> None:
    """Find a mistyped path before the photos are prepared, which may take long; raises UserError."""
    refuse_missing_source(src)
    if init_from is not None and not init_from.is_file():
        raise UserError(f"--init-from {init_from}: no such checkpoint; give the checkpoint.pt of a run")


def _refuse_sheet(sheet: Path, out: Path, *, force: bool) -> None:
    """Raise UserError for a contact sheet that would replace a file, or that cannot be written there."""
    if sheet.suffix.lower() != ".png" or sheet.resolve() == out.resolve():
        raise UserError(f"--contact-sheet {sheet}: give a name that ends in .png")
    if not sheet.parent.is_dir():
        raise UserError(f"--contact-sheet {sheet}: the folder {sheet.parent} does not exist; make it first")
    if sheet.is_dir() or (sheet.exists() and not force):
        raise UserError(f"--contact-sheet {sheet}: exists already; choose another name, or replace it by --force")


cli_mixer.register(app)
cli_style.register(app)


def main() -> None:
    """The console script."""
    run_app(app, "trainface")

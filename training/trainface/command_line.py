"""What trainface's commands share: where faces come from, and settings as they are typed in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.errors import UserError

if TYPE_CHECKING:
    from genface.photos import CropRule
    from trainface.data.dataset import FaceSet

Source = Annotated[
    str, typer.Argument(help="Folder, .zip or .tar of pictures, hf:NAME (Hugging Face), or builtin:cartoons[:N].")
]
OnBrokenOption = Annotated[
    Literal["fail", "skip"], typer.Option(help="What to do about broken pictures: stop before training, or go on.")
]
CropOption = Annotated[
    Literal["center", "face", "cat-face"], typer.Option(help="Cut out the middle, or the largest face that is found.")
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other setting, KEY=VALUE (`trainface settings`); may be repeated."),
]


def chosen_settings(options: Mapping[str, float | str | None], settings: list[str]) -> dict[str, str]:
    """The settings that options (by their names) and `--set` texts choose; raises UserError for one chosen twice."""
    chosen: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write KEY=VALUE, as in --set gamma=10:1")
        chosen[key.strip()] = value.strip()
    for key, option in options.items():
        if option is not None and key in chosen:
            raise UserError(f"--{key.replace('_', '-')} {option} and --set {key}={chosen[key]}: give one of them")
        if option is not None:
            chosen[key] = str(option)
    return chosen


def refuse_missing_source(src: str) -> None:
    """Find a mistyped path before the photos are prepared, which may take long; raises UserError."""
    if not src.startswith(("hf:", "builtin:")) and not (src and Path(src).exists()):
        raise UserError(f"{src or 'the empty name'}: no such folder, .zip or .tar")


def open_with_progress(
    src: str,
    size: int,
    crop: CropRule,
    on_broken: Literal["fail", "skip"],
    offline_augment: Path | None = None,
    augment_copies: int = 0,
) -> FaceSet:
    """Prepare the faces of `src`, and tell people how far that has come and what is to be known of them."""
    from genface.photos import Preparation
    from trainface.data.dataset import open_faces

    print(f"preparing {src} at {size} px", file=sys.stderr)
    faces = open_faces(
        src,
        Preparation(size=size, crop=crop),
        on_broken=on_broken,
        offline_augment=offline_augment,
        augment_copies=augment_copies,
        progress=show_progress("preparing"),
    )
    for note in faces.notes:
        print(note, file=sys.stderr)
    return faces


def show_progress(word: str) -> Callable[[int, int], None]:
    """A function of (done, total) that keeps one line of the terminal, after a word; silent where there is none."""
    on_terminal = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if on_terminal and (done % 50 == 0 or done == total):
            print(f"\r{word} {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return progress

"""The command `genface mix`: a face between two or more photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genface.errors import UserError
from genface.options import Force, ProviderName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genface.mixer import Mixer

_MAX_STEPS = 1000


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("mix")(mix)


def mix(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Two photos or more, a face in each.")],
    model: Annotated[Path, typer.Option("--model", help="The mixer: a folder made by exportface mixer.")],
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="W,W,...", help="How much of each, summing to 1; all alike unless given."),
    ] = None,
    strip: Annotated[
        int | None,
        typer.Option("--strip", metavar="N", help="N faces from the first photo to the second, side by side."),
    ] = None,
    parents: Annotated[
        bool, typer.Option("--parents", help="Show the photos too: the first one on the left, the others on the right.")
    ] = False,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine", metavar="STEPS", help="Fit each code to its photo first; for mixers made of a generator."
        ),
    ] = None,
    crop: Annotated[
        Literal["center", "face", "cat-face"] | None,
        typer.Option("--crop", help="How photos are cut, unless as the training photos were; center for cut ones."),
    ] = None,
    scale: Annotated[int, typer.Option("--scale", help="Enlarge by this whole number, every pixel a square.")] = 1,
    gap: Annotated[int, typer.Option("--gap", help="Pixels between pictures.")] = 2,
    out: Annotated[Path, typer.Option("--out", help="A .png, .webp (lossless) or .jpg.")] = Path("mix.png"),
    provider: ProviderName = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads side by side; one per usable core unless given.")
    ] = None,
    force: Force = False,
) -> None:
    """Mix the faces of two or more photos into one that resembles them all."""
    from dataclasses import replace

    import numpy as np

    from genface.grid import Sheet, picture_format, write_picture
    from genface.mixer import Mixer, mixer_marks
    from genface.mixing import checked_weights, strip_weights
    from genface.new_file import check_new_file
    from genface.photo_file import read_faces

    check_new_file(out, force=force)
    if len(photos) < 2:
        raise UserError("mix takes at least two photos")
    if strip is not None and (weights is not None or len(photos) != 2):
        raise UserError("--strip leads from one photo to another: give two photos, and no --weights")
    if refine is not None and not 1 <= refine <= _MAX_STEPS:
        raise UserError(f"--refine must be from 1 to {_MAX_STEPS:,}, not {refine}")
    shares = checked_weights(_numbers(weights), len(photos))[None] if strip is None else strip_weights(strip)

    started = time.perf_counter()
    mixer = Mixer(model, provider=provider, threads=threads)
    if refine is not None and mixer.card.method != "gan":
        raise UserError(
            f"{model}: --refine fits the latents of a generator, and this mixer's method is {mixer.card.method}"
        )
    for reason in mixer.passed_over:
        print(f"passed over {reason}", file=sys.stderr)
    size = mixer.card.size
    count = len(shares) + (len(photos) if parents else 0)
    sheet = Sheet(rows=1, cols=count, height=size, width=size, scale=scale, gap=gap)
    form = picture_format(out, sheet)
    preparation = mixer.card.preparation if crop is None else replace(mixer.card.preparation, crop=crop)
    faces = read_faces(photos, preparation)
    for note in faces.notes:
        print(note, file=sys.stderr)

    codes = mixer.encode(faces.pixels)
    if refine is not None:
        codes = np.stack([_refined(mixer, *one, refine) for one in zip(photos, faces.pixels, codes, strict=True)])
    made = list(mixer.decode(mixer.mix(codes, shares)))
    row = [faces.pixels[0], *made, *faces.pixels[1:]] if parents else made
    settings = {"weights": _text(shares[0])} if strip is None else {"strip": str(strip)}
    settings |= {} if refine is None else {"refine": str(refine)}
    marks = mixer_marks(mixer, faces.sha256, **settings)
    write_picture(out, sheet.fill(row), marks, form, force=force, making="composite" if parents else "generated")
    what = (
        f"a face of {len(photos)} photos by {_text(shares[0])}" if strip is None else f"{strip} faces between 2 photos"
    )
    width, height = sheet.size
    print(f"{out}: {what}, {width}x{height} px ({time.perf_counter() - started:.1f} s, {mixer.provider})")


def _refined(
    mixer: Mixer, path: Path, photo: NDArray[np.uint8], code: NDArray[np.float32], steps: int
) -> NDArray[np.float32]:
    from genface.refine import refine

    done = refine(mixer.decode, photo, code, steps)
    print(f"{path}: missed by {done.before:.1f} levels, after {done.steps} steps by {done.after:.1f}", file=sys.stderr)
    return done.code


def _numbers(text: str | None) -> list[float] | None:
    """Read `W,W,...`. Raises UserError for what is none."""
    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"--weights takes numbers with commas, e.g. 0.5,0.5, not {text!r}") from None


def _text(weights: Sequence[float] | NDArray[np.float64]) -> str:
    return ",".join(f"{weight:.6g}" for weight in weights)

"""The command `evalface detect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from evalface.detection import Detection
    from evalface.intervals import Interval

_WITHOUT_INTERVAL = "no interval: no face on a side, or one in every picture of both"


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("detect")(detect_command)


def detect_command(
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real faces: a folder, .zip or .tar.")],
    fake: Annotated[
        str, typer.Argument(metavar="FAKE", help="Generated faces: the same, or a generator (.onnx) that draws them.")
    ],
    faces: Annotated[Literal["human", "cat"], typer.Option(help="Whose faces are looked for.")],
    n: Annotated[
        int, typer.Option("--n", min=1, help="Pictures of each side: the first fakes by index, a sample of the reals.")
    ] = 1000,
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Centre-crop both sides to N px, if the fakes carry no record.")
    ] = None,
    on_broken: Annotated[Literal["fail", "skip"], typer.Option(help="What to do about broken pictures.")] = "fail",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the sample of reals, and of a generator's latents.")
    ] = 0,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the record with every setting here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")] = False,
) -> None:
    """Tell in what share of fakes and of reals OpenCV's cascade finds a face, and the ratio of the two."""
    from evalface.detecting import detect
    from genface.new_file import check_new_file, new_file

    # Before the work, not after it.
    if as_json is not None:
        check_new_file(as_json, force=force)
    found = detect(
        real,
        fake,
        faces=faces,
        n=n,
        seed=seed,
        size=size,
        on_broken=on_broken,
        say=lambda line: print(line, file=sys.stderr),
        show_progress=True,
    )
    print_detection(found)
    if as_json is not None:
        with new_file(as_json, force=force) as temporary:
            temporary.write_text(json.dumps(found.document(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        print(f"record: {as_json}", file=sys.stderr)


def print_detection(found: Detection) -> None:
    """Print both shares, their ratio and the settings to stdout."""
    from evalface.table import print_columns

    shares = found.shares
    lines = [
        [
            f"{name} with a face",
            f"{share.value:.4f}",
            _interval(share.interval()),
            f"{share.found:,} of {share.n:,}, {side.chosen}, of {side.of:,}",
        ]
        for name, share, side in (("reals", shares.real, found.real), ("fakes", shares.fake, found.fake))
    ]
    ratio, interval = shares.ratio, shares.ratio_interval()
    value = "none" if ratio is None else f"{ratio:.4f}"
    lines.append(["fakes by reals", value, _interval(interval), "" if interval else _WITHOUT_INTERVAL])
    print_columns(["score", "value", "95 % interval", "on"], lines, right=(1,))
    d = found.detector
    print(
        f"settings: {d['cascade']} of OpenCV {d['opencv']}, scale step {d['scale_step']}, {d['min_neighbors']}"
        f" neighbours, boxes of at least {d['least_share']:g} of the picture, brought from {found.fake.size} to"
        f" {d['side']} px ({d['resample']}); the same for both sides"
    )


def _interval(interval: Interval | None) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}" if interval else ""

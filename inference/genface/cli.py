"""The command `genface`: draw an archive of faces from one ONNX file, and tell what is in such a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from genface.commands import new_app, run_app
from genface.providers import Precision

if TYPE_CHECKING:
    from genface.model import GeneratorInfo

app = new_app("Draw faces from one ONNX file.")

Model = Annotated[Path, typer.Option("--model", help="The generator: an ONNX file made by exportface.")]
ProviderName = Annotated[
    str, typer.Option("--provider", help="What runs it: cpu, openvino, cuda, or another that ONNX Runtime has here.")
]
Arithmetic = Annotated[
    Precision, typer.Option("--precision", help="Its arithmetic; bf16 by openvino alone, if at all.")
]


@app.command()
def draw(
    model: Model,
    n: Annotated[int, typer.Option("--n", help="How many images.")] = 10_000,
    out: Annotated[
        Path, typer.Option("--out", help="The archive: a .zip, or a folder when it does not end in .zip.")
    ] = Path("faces.zip"),
    seed: Annotated[int, typer.Option("--seed", help="Image i of a seed is always the same image.")] = 0,
    truncation: Annotated[
        float | None,
        typer.Option("--truncation", help="Cut the latents at plus and minus this value: more typical, less varied."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", help="Images that a worker draws at a time; changes memory and speed, never an image."),
    ] = None,
    provider: ProviderName = "cpu",
    precision: Arithmetic = "fp32",
    force: Annotated[bool, typer.Option("--force", help="Replace the archive if it exists.")] = False,
    no_mark: Annotated[
        bool, typer.Option("--no-mark", help="Leave out the marks that tell that an image is machine-made.")
    ] = False,
) -> None:
    """Draw an archive of faces."""
    from genface.draw import DrawConfig, draw_archive
    from genface.model import Generator
    from genface.progress import Progress

    config = DrawConfig(n=n, seed=seed, truncation=truncation, batch=batch, mark=not no_mark)
    generator = Generator(model, provider=provider, precision=precision)
    progress = Progress(n)
    try:
        draw_archive(generator, config, out, force=force, progress=progress)
    finally:
        progress.finish()
    info = generator.info
    print(
        f"{out}: {n:,} images of {info.width}x{info.height} px, seed {seed},"
        f" {progress.images_per_second:,.0f} images/s ({progress.seconds:.1f} s, {_runs_on(info, precision)})"
    )


@app.command()
def info(
    model: Model,
    provider: ProviderName = "cpu",
    precision: Arithmetic = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what a generator file takes, gives and says about itself."""
    from genface.model import Generator

    about = Generator(model, provider=provider, precision=precision).info
    facts = _facts(about)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    print(f"{about.path}: {about.size_bytes:,} bytes, runs on {about.provider.name} in {about.provider.precision}")
    for port in ("input", "output"):
        print(f"  {port:17} {facts[port]['name']}: {facts[port]['type']} {facts[port]['shape']}")
    print(f"  {'value range':17} {about.value_range}{' (measured)' if about.contract.is_float else ''}")
    print(f"  {'sha256':17} {about.sha256}")
    if about.card is None:
        print("  not exported by exportface: no preparation, data set or licence is known")
    for name, value in (vars(about.card) if about.card else about.metadata).items():
        print(f"  {name.replace('_', ' '):17} {value}")


def _runs_on(about: GeneratorInfo, asked: Precision) -> str:
    """The provider, and its precision where another than the default was asked for."""
    name, precision = about.provider.name, about.provider.precision
    if asked == "fp32":
        return name
    return f"{name} in {precision}" + ("" if precision == asked else f", for it does not run this graph in {asked}")


def _facts(about: GeneratorInfo) -> dict[str, Any]:
    contract = about.contract
    sides = (about.height, about.width)
    picture = (*sides, 3) if contract.layout == "NHWC" else (3, *sides)
    card = about.card
    return {
        "file": str(about.path),
        "size_bytes": about.size_bytes,
        "sha256": about.sha256,
        "provider": about.provider.name,
        "precision": about.provider.precision,
        "input": {"name": contract.input_name, "type": "float32", "shape": _shape(contract.latent_shape)},
        "output": {
            "name": contract.output_name,
            "type": "float" if contract.is_float else "uint8",
            "shape": _shape(picture),
            "range": about.value_range,
        },
        "card": None if card is None else asdict(card),
        "metadata": about.metadata,
    }


def _shape(tail: tuple[int, ...]) -> str:
    return "[" + ", ".join(["N", *map(str, tail)]) + "]"


def main() -> NoReturn:
    """Run the command line."""
    run_app(app, "genface")

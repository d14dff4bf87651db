"""Options that several commands share, and the generator that they describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genface.errors import UserError
from genface.providers import Precision

if TYPE_CHECKING:
    from genface.model import Generator

Model = Annotated[Path, typer.Option("--model", help="The generator: an ONNX file made by exportface, or another.")]
ProviderName = Annotated[
    str,
    typer.Option(
        "--provider", help="What runs it: auto, cpu, openvino, cuda, tensorrt, or another that ONNX Runtime has here."
    ),
]
Arithmetic = Annotated[
    Precision, typer.Option("--precision", help="Its arithmetic; bf16 by openvino alone, if at all.")
]
Seed = Annotated[int, typer.Option("--seed", help="Image i of a seed is always the same image.")]
Truncation = Annotated[
    float | None,
    typer.Option("--truncation", help="Cut the latents at plus and minus this value: more typical, less varied."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")]

# What a generator of another project may need to be told.
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=VALUE", help="A further scalar input of a foreign graph; repeatable."),
]
LatentName = Annotated[
    str | None, typer.Option("--latent", metavar="NAME", help="Which input of a foreign graph is the latent.")
]
OutputName = Annotated[
    str | None, typer.Option("--output", metavar="NAME", help="Which output of a foreign graph is the picture.")
]
ZDim = Annotated[
    int | None, typer.Option("--z-dim", metavar="N", help="Length of a latent, where a foreign graph leaves it open.")
]
Range = Annotated[
    str | None, typer.Option("--range", metavar="LOW:HIGH", help="A foreign graph's values: -1:1, 0:1 or 0:255.")
]


def open_generator(
    model: Path,
    provider: str,
    precision: Precision,
    inputs: Sequence[str] | None = None,
    latent: str | None = None,
    output: str | None = None,
    value_range: str | None = None,
    z_dim: int | None = None,
) -> Generator:
    """Open the generator that the options above describe. Raises UserError as `Generator` does."""
    from genface.model import Generator

    return Generator(
        model,
        provider=provider,
        precision=precision,
        inputs=_named_numbers(inputs or ()),
        latent=latent,
        z_dim=z_dim,
        output=output,
        value_range=value_range,
    )


def _named_numbers(pairs: Sequence[str]) -> dict[str, float]:
    """Read `NAME=VALUE` pairs. Raises UserError for what is none, and for a name that is given twice."""
    values: dict[str, float] = {}
    for pair in pairs:
        name, equals, text = pair.rpartition("=")
        try:
            value = _number(text)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise UserError(f"--input takes NAME=VALUE with a number, not {pair!r}")
        if name in values:
            raise UserError(f"--input gives {name!r} twice")
        values[name] = value
    return values


def _number(text: str) -> float:
    """A whole number as it is: above 2^53 a float would be another one. Raises ValueError for what is no number."""
    try:
        return int(text)
    except ValueError:
        return float(text)

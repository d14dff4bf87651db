"""The command `genface info`, and what other commands say of a generator."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genface.options import (
    Arithmetic,
    Inputs,
    LatentName,
    Model,
    OutputName,
    ProviderName,
    Range,
    ZDim,
    open_generator,
)

if TYPE_CHECKING:
    from genface.model import Generator, GeneratorInfo


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("info")(info)


def info(
    model: Model,
    provider: ProviderName = "auto",
    precision: Arithmetic = "fp32",
    inputs: Inputs = None,
    latent: LatentName = None,
    z_dim: ZDim = None,
    output: OutputName = None,
    value_range: Range = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what a generator file takes, gives and says about itself."""
    generator = open_generator(model, provider, precision, inputs, latent, output, value_range, z_dim)
    about = generator.info
    contract, facts = about.contract, _facts(about)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    tell_passed_over(generator)
    print(f"{about.path}: {about.size_bytes:,} bytes, runs on {about.provider.name} in {about.provider.precision}")
    for port in ("input", "output"):
        print(f"  {port:17} {facts[port]['name']}: {facts[port]['type']} {facts[port]['shape']}")
    for name, number in about.inputs.items():
        print(f"  {'further input':17} {name} = {number:g}")
    for unused in contract.unused_outputs:
        print(f"  {'not computed':17} {unused}")
    how = "" if not contract.is_float else " (as said)" if "value_range" in about.answers else " (measured)"
    print(f"  {'value range':17} {about.value_range}{how}")
    print(f"  {'sha256':17} {about.sha256}")
    if about.card is None:
        print("  not exported by exportface: no preparation, data set or licence is known")
    for name, value in (_card_facts(vars(about.card)) if about.card else about.metadata).items():
        print(f"  {name.replace('_', ' '):17} {value}")


def tell_passed_over(generator: Generator) -> None:
    """Say on stderr why `--provider auto` did not take a better provider that is installed."""
    for reason in generator.info.passed_over:
        print(f"passed over {reason}", file=sys.stderr)


def runs_on(about: GeneratorInfo) -> str:
    """The provider, and its precision where that is not fp32."""
    name, precision = about.provider.name, about.provider.precision
    return name if precision == "fp32" else f"{name} in {precision}"


def _facts(about: GeneratorInfo) -> dict[str, Any]:
    contract = about.contract
    card = about.card
    return {
        "file": str(about.path),
        "size_bytes": about.size_bytes,
        "sha256": about.sha256,
        "provider": about.provider.name,
        "precision": about.provider.precision,
        "passed_over": list(about.passed_over),
        "input": {
            "name": contract.input_name,
            "type": contract.latent_type,
            "shape": _shape(contract.latent_shape),
        },
        "further_inputs": dict(about.inputs),
        "answers": dict(about.answers),
        "output": {
            "name": contract.output_name,
            "type": contract.picture_type,
            "shape": _shape(contract.picture_shape),
            "range": about.value_range,
        },
        "unused_outputs": list(contract.unused_outputs),
        "card": None if card is None else _card_facts(asdict(card)),
        "metadata": about.metadata,
    }


def _card_facts(card: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record, but of the directions their number: each is z_dim numbers long."""
    return card | {"directions": len(card["directions"])}


def _shape(tail: tuple[int, ...]) -> str:
    return "[" + ", ".join(["N", *map(str, tail)]) + "]"

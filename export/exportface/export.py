"""From a checkpoint to files that ship: rebuild, export, prove, and only then write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from torch import nn

from exportface.deployable import Deployable, WithFloats
from exportface.directions import principal_directions
from exportface.forms import eager_form, one_thread, onnx_forms, program_form, torchscript_form
from exportface.mismatch import MismatchError
from exportface.parity import NUM_LATENTS, SEED, Form, Parity, measure
from exportface.quality import Cost, cost
from exportface.report import parity_lines
from exportface.source import read_source
from exportface.staging import staged, write_staged
from exportface.to_fp16 import to_fp16
from exportface.to_int8 import to_int8
from exportface.to_onnx import to_onnx, with_props
from exportface.to_program import to_program
from exportface.to_torchscript import to_torchscript
from exportface.tolerances import tolerance_for
from genface.errors import UserError
from genface.latents import latents
from genface.metadata import ModelCard
from genface.model import Generator
from genface.providers import onnx_runtime

Precision = Literal["fp32", "fp16", "int8"]
"""Numbers that the ONNX file stores its weights in; int8 computes its convolutions in them too."""
Say = Callable[[str], None]

TORCHSCRIPT, PROGRAM = "TorchScript", "exported program"
"""Names, in a record of parity, of the forms that torch runs."""
CONFIG_KEY = "trainface.config"
"""Metadata key of the run's whole configuration, as JSON."""
PRECISION_KEY = "exportface.precision"
"""Metadata key of the file's `Precision`."""
COST_KEY = "exportface.cost"
"""Metadata key of what a precision below fp32 saves and costs, the fields of `quality.Cost` as JSON."""
COST_IMAGES = 500
_OPENING_FACES = 64


@dataclass(frozen=True, kw_only=True)
class _Witness:
    """A form that torch runs."""

    make: Callable[[nn.Module, int], bytes]
    """Module and z_dim to the file."""
    form: Callable[[bytes, bytes], Form]
    """The file, and that of the copy which yields the floats too."""


_WITNESSES: Mapping[str, _Witness] = {
    TORCHSCRIPT: _Witness(make=to_torchscript, form=torchscript_form),
    PROGRAM: _Witness(make=to_program, form=program_form),
}


class ParityError(MismatchError):
    """An exported form is not the network that it was made of; nothing was written."""

    def __init__(self, parity: Parity, failures: list[str]) -> None:
        super().__init__(failures, parity_lines(parity))
        self.parity = parity


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    card: ModelCard
    parity: Parity
    onnx_bytes: int
    cost: Cost | None
    """What a precision below fp32 saves and costs; None in fp32, and where it was not measured."""


def export(
    checkpoint: Path,
    out: Path,
    *,
    precision: Precision = "fp32",
    torchscript: Path | None = None,
    program: Path | None = None,
    licence: str,
    cost_images: int = COST_IMAGES,
    force: bool = False,
    say: Say = lambda line: None,
) -> Exported:
    """Export the averaged generator of `checkpoint` to `out`, and in fp32 to `torchscript` and `program` where given.

    Beside an fp32 file, TorchScript and the exported program are made and compared in any case, as second and third
    witness; beside a coarser one, of which they tell nothing, only where they are asked for. What a precision below
    fp32 saves and costs is measured on `cost_images` pictures, at least 2, or not at all if 0. `say` gets a line per
    stage.

    Raises UserError for what is given wrongly, ParityError when a form differs from the network; in both cases no file
    is left behind.
    """
    if not licence.strip():
        raise UserError("the licence is empty: name one, or say that it is unknown")
    targets = [path for path in (out, torchscript, program) if path is not None]
    if len({path.resolve() for path in [checkpoint, *targets]}) <= len(targets):
        raise UserError(f"{out}: the checkpoint and the files to write must have different names")
    with staged(targets, force=force) as temporaries, one_thread():
        source = read_source(checkpoint)
        z_dim = source.config.z_dim

        torch_files = {TORCHSCRIPT: torchscript, PROGRAM: program}
        witnesses = [name for name, path in torch_files.items() if precision == "fp32" or path is not None]
        say(f"exporting to {', '.join(['ONNX', *witnesses])}")
        deployable = Deployable(source.generator)
        whole = to_onnx(deployable, z_dim)
        model = _in_precision(whole, precision, z_dim, say)
        content = {name: _WITNESSES[name].make(deployable, z_dim) for name in witnesses}
        copies = {name: _WITNESSES[name].make(WithFloats(deployable), z_dim) for name in witnesses}

        say(f"comparing them with PyTorch on {NUM_LATENTS:,} latents")
        reference = eager_form(source.generator)
        sessions = onnx_forms(model, precision=precision)
        forms = {name: _WITNESSES[name].form(content[name], copies[name]) for name in witnesses}
        parity = measure(reference, {**sessions.forms, **forms}, z_dim, refused=sessions.refused)
        if parity.failures:
            raise ParityError(parity, parity.failures)

        costs = None
        if precision != "fp32" and cost_images:
            say(f"measuring what {precision} saves and costs on {cost_images:,} pictures")
            costs = cost(model, whole, z_dim, n=cost_images)

        say("finding the directions that its features move along")
        directions = principal_directions(source.generator, z_dim)
        card = source.card(licence=licence, parity=parity.to_dict() | versions(), directions=directions)
        props = {**card.to_props(), CONFIG_KEY: source.config_json(), PRECISION_KEY: precision}
        if costs is not None:
            props[COST_KEY] = json.dumps(asdict(costs))
        shipped = with_props(model, props).SerializeToString()
        files = [shipped, *(content[name] for name, path in torch_files.items() if path is not None)]
        for path, temporary, data in zip(targets, temporaries, files, strict=True):
            write_staged(temporary, data, path)
        _open_as_a_user(temporaries[0], card, reference, parity, precision)
    return Exported(card=card, parity=parity, onnx_bytes=len(shipped), cost=costs)


def versions() -> dict[str, str]:
    """What was compared with what, for the record of a parity check."""
    return {
        "reference": f"PyTorch {torch.__version__}, eager, fp32, CPU",
        "onnxruntime": str(onnx_runtime().__version__),
    }


def _in_precision(model: onnx.ModelProto, precision: Precision, z_dim: int, say: Say) -> onnx.ModelProto:
    match precision:
        case "fp32":
            return model
        case "fp16":
            return to_fp16(model)
        case "int8":
            return to_int8(model, z_dim, say).model


def _open_as_a_user(path: Path, card: ModelCard, reference: Form, parity: Parity, precision: Precision) -> None:
    """Draw from the very file that ships, by the class that draws archives."""
    generator = Generator(path)
    assert generator.info.card == card, "the record is read as it was written"
    indices = range(_OPENING_FACES)
    drawn = generator.draw(seed=SEED, indices=indices).astype(np.int16)
    _, expected = reference.run(latents(SEED, indices, generator.info.z_dim))
    if (levels := int(np.abs(drawn - expected).max())) > tolerance_for(precision).max_levels:
        raise ParityError(parity, [f"genface draws pictures from the file that differ by {levels} levels"])

"""From a checkpoint to files that ship: rebuild, export, prove, and only then write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from exportface.deployable import Deployable, WithFloats
from exportface.forms import eager_form, one_thread, onnx_form, torchscript_form
from exportface.parity import MAX_LEVELS, NUM_LATENTS, SEED, Form, Parity, measure
from exportface.source import read_source
from exportface.staging import staged, write_staged
from exportface.to_onnx import to_onnx, with_props
from exportface.to_torchscript import to_torchscript
from genface.errors import UserError
from genface.latents import latents
from genface.metadata import ModelCard
from genface.model import Generator
from genface.providers import onnx_runtime

ONNX_RUNTIME, TORCHSCRIPT = "ONNX Runtime", "TorchScript"
CONFIG_KEY = "trainface.config"
"""Metadata key of the run's whole configuration, as JSON."""
_OPENING_FACES = 64


class ParityError(Exception):
    """An exported form is not the network that it was made of; nothing was written."""

    def __init__(self, parity: Parity, failures: list[str]) -> None:
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        super().__init__(failures[0] + more)
        self.parity = parity


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    card: ModelCard
    parity: Parity
    onnx_bytes: int
    torchscript_bytes: int
    """Size of the TorchScript form, whether or not it was kept as a file."""


def export(
    checkpoint: Path,
    out: Path,
    *,
    torchscript: Path | None = None,
    licence: str,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Export the averaged generator of `checkpoint` to `out`, and to `torchscript` where that is given.

    TorchScript is made and compared in any case, as a second witness. `say` gets a line per stage.

    Raises UserError for what is given wrongly, ParityError when a form differs from the network; in both cases no file
    is left behind.
    """
    targets = [out] if torchscript is None else [out, torchscript]
    if len({path.resolve() for path in [checkpoint, *targets]}) <= len(targets):
        raise UserError(f"{out}: the checkpoint and the files to write must have different names")
    with staged(targets, force=force) as temporaries, one_thread():
        source = read_source(checkpoint)
        z_dim = source.config.z_dim

        say("exporting to ONNX and TorchScript")
        deployable = Deployable(source.generator)
        model = to_onnx(deployable, z_dim)
        script = to_torchscript(deployable, z_dim)
        script_with_floats = to_torchscript(WithFloats(deployable), z_dim)

        say(f"comparing them with PyTorch on {NUM_LATENTS:,} latents")
        reference = eager_form(source.generator)
        forms = {ONNX_RUNTIME: onnx_form(model), TORCHSCRIPT: torchscript_form(script, script_with_floats)}
        parity = measure(reference, forms, z_dim)
        if parity.failures:
            raise ParityError(parity, parity.failures)

        card = source.card(licence=licence, parity=parity.to_dict() | _versions())
        shipped = with_props(model, {**card.to_props(), CONFIG_KEY: source.config_json()}).SerializeToString()
        write_staged(temporaries[0], shipped, out)
        if torchscript is not None:
            write_staged(temporaries[1], script, torchscript)
        _open_as_a_user(temporaries[0], card, reference, parity)
    return Exported(card=card, parity=parity, onnx_bytes=len(shipped), torchscript_bytes=len(script))


def _open_as_a_user(path: Path, card: ModelCard, reference: Form, parity: Parity) -> None:
    """Draw from the very file that ships, by the class that draws archives."""
    generator = Generator(path)
    assert generator.info.card == card, "the record is read as it was written"
    indices = range(_OPENING_FACES)
    drawn = generator.draw(seed=SEED, indices=indices).astype(np.int16)
    _, expected = reference.run(latents(SEED, indices, generator.info.z_dim))
    if (levels := int(np.abs(drawn - expected).max())) > MAX_LEVELS:
        raise ParityError(parity, [f"genface draws pictures from the file that differ by {levels} levels"])


def _versions() -> dict[str, str]:
    return {
        "reference": f"PyTorch {torch.__version__}, eager, fp32, CPU",
        "onnxruntime": f"{onnx_runtime().__version__}, cpu",
    }

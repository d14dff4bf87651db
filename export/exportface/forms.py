"""The forms of a generator, ready to be held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from exportface.figures import Floats, Levels
from exportface.parity import Form
from exportface.to_onnx import FLOATS, IMAGES, LATENT, quantiser, with_floats
from exportface.to_program import load_program
from exportface.to_torchscript import load_torchscript
from exportface.tolerances import tolerance_for
from genface.contract import to_rgb
from genface.errors import UserError
from genface.providers import Provider, ProviderError, find_provider, open_session, usable_providers


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, as genface's sessions do: one order of sums, whatever the machine's cores.

    Also, small batches on threads that other processes keep busy take twenty times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def eager_form(generator: nn.Module) -> Form:
    """PyTorch as it trained: the averaged generator itself, BatchNorm unfolded; pictures by genface's own rule."""

    def run(z: Floats) -> tuple[Floats, Levels]:
        with torch.inference_mode():
            floats: NDArray[np.float32] = generator(torch.from_numpy(z)).numpy()
        return floats, to_rgb(floats, "NCHW", "-1 to 1")

    return Form(run=run)


def onnx_form(model: onnx.ModelProto, provider: Provider | None = None, *, precision: str = "fp32") -> Form:
    """ONNX Runtime, through the session that genface opens: pictures of the file as it ships, floats of a copy.

    `provider` is genface's default one where it is not given, `precision` that of the file.

    Raises UserError when the graph lacks the names that `to_onnx` gives, and when the provider refuses it.
    """
    provider = provider or find_provider("cpu")
    given = {port.name for port in [*model.graph.input, *model.graph.output]}
    inside = {name for node in model.graph.node for name in node.output}
    if given != {LATENT, IMAGES} or FLOATS not in inside:
        raise UserError(f"its graph lacks {LATENT}, {FLOATS} or {IMAGES}, which exportface writes: it was altered")
    shipped = open_session(model.SerializeToString(), provider)
    copy = open_session(with_floats(model).SerializeToString(), provider)
    tail = open_session(quantiser(model).SerializeToString(), provider)

    def run(z: Floats) -> tuple[Floats, Levels]:
        (floats,) = copy.run([FLOATS], {LATENT: z})
        (levels,) = shipped.run([IMAGES], {LATENT: z})
        if floats.shape != (*levels.shape[:1], levels.shape[3], *levels.shape[1:3]):
            raise UserError(f"its tensor {FLOATS} has the shape {floats.shape}, not the pictures': it was altered")
        return floats, levels

    def quantise(floats: Floats) -> Levels:
        levels: Levels = tail.run([IMAGES], {FLOATS: floats})[0]
        return levels

    return Form(run=run, quantise=quantise, tolerance=tolerance_for(precision, provider.precision))


@dataclass(frozen=True, kw_only=True)
class OnnxForms:
    """One file on every runtime of this machine."""

    forms: Mapping[str, Form]
    """By name: `ONNX, openvino bf16`."""
    refused: Mapping[str, str]
    """Runtime that is there but does not take this graph, by the same name, to the reason."""


def onnx_forms(model: onnx.ModelProto, *, precision: str = "fp32") -> OnnxForms:
    """Open a file, whose weights are of `precision`, on every runtime that this machine has.

    Raises UserError when genface's default provider refuses it; others may, and genface says so where they are asked
    for.
    """
    forms, refused = {}, {}
    for provider in usable_providers():
        name = f"ONNX, {provider.name} {provider.precision}"
        try:
            forms[name] = onnx_form(model, provider, precision=precision)
        except ProviderError:
            continue  # installed, but not for this machine
        except UserError as error:
            if provider.name == "cpu":
                raise
            refused[name] = str(error)
    return OnnxForms(forms=forms, refused=refused)


def torchscript_form(shipped: bytes, copy: bytes) -> Form:
    """TorchScript, loaded from bytes: pictures of the file as it ships, floats of a copy that yields both."""
    return _torch_form(load_torchscript(shipped), load_torchscript(copy))


def program_form(shipped: bytes, copy: bytes) -> Form:
    """The exported program (`.pt2`), loaded from bytes: pictures of the file as it ships, floats of a copy."""
    return _torch_form(load_program(shipped), load_program(copy))


def _torch_form(shipped: nn.Module, copy: nn.Module) -> Form:
    def run(z: Floats) -> tuple[Floats, Levels]:
        latent = torch.from_numpy(z)
        with torch.inference_mode():
            _, floats = copy(latent)
            levels = shipped(latent)
        return floats.numpy(), levels.numpy()

    return Form(run=run)

"""The three forms of a generator, ready to be held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from exportface.parity import Floats, Form, Levels
from exportface.to_onnx import FLOATS, IMAGES, LATENT, quantiser, with_floats
from exportface.to_torchscript import load_torchscript
from genface.contract import to_rgb
from genface.providers import find_provider, open_session


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


def onnx_form(model: onnx.ModelProto) -> Form:
    """ONNX Runtime, through the session that genface opens: pictures of the file as it ships, floats of a copy."""
    provider = find_provider("cpu")
    shipped = open_session(model.SerializeToString(), provider)
    copy = open_session(with_floats(model).SerializeToString(), provider)
    tail = open_session(quantiser(model).SerializeToString(), provider)

    def run(z: Floats) -> tuple[Floats, Levels]:
        (floats,) = copy.run([FLOATS], {LATENT: z})
        (levels,) = shipped.run([IMAGES], {LATENT: z})
        return floats, levels

    def quantise(floats: Floats) -> Levels:
        levels: Levels = tail.run([IMAGES], {FLOATS: floats})[0]
        return levels

    return Form(run=run, quantise=quantise)


def torchscript_form(shipped: bytes, copy: bytes) -> Form:
    """TorchScript, loaded from bytes: pictures of the file as it ships, floats of a copy that yields both."""
    shipped_module, copy_module = load_torchscript(shipped), load_torchscript(copy)

    def run(z: Floats) -> tuple[Floats, Levels]:
        latent = torch.from_numpy(z)
        with torch.inference_mode():
            _, floats = copy_module(latent)
            levels = shipped_module(latent)
        return floats.numpy(), levels.numpy()

    return Form(run=run)

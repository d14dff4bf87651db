"""The deployable network as TorchScript: one file that runs in PyTorch, C++ or Java without the training code."""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

# torch recommends torch.export in its place; but TorchScript, which is asked for by name, runs without Python too.
_DEPRECATED = r"`torch\.jit\."
# Written anew by the writer.
_WRITERS_OWN = {"version", ".data/serialization_id"}


def to_torchscript(module: nn.Module, z_dim: int) -> bytes:
    """Trace and freeze `module`, which takes z float32 [N, z_dim] for any N; gives the bytes for `torch.jit.load`."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", _DEPRECATED, FutureWarning)
        traced = torch.jit.trace(module, torch.zeros(2, z_dim), check_trace=False)  # type: ignore[no-untyped-call]
        saved = io.BytesIO()
        torch.jit.save(torch.jit.freeze(traced), saved)
    return _without_debug_records(saved)


def load_torchscript(data: bytes) -> torch.jit.ScriptModule:
    """Load what `to_torchscript` gave."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DEPRECATED, FutureWarning)
        module: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return module


def _without_debug_records(saved: io.BytesIO) -> bytes:
    """Leave out the stack traces, with this machine's paths, that torch stores beside the code.

    By torch's own reader and writer, which keep the alignment of the tensors that a plain .zip would lose.
    """
    saved.seek(0)
    reader, stripped = torch._C.PyTorchFileReader(saved), io.BytesIO()
    writer = torch._C.PyTorchFileWriter(stripped)
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in _WRITERS_OWN:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return stripped.getvalue()

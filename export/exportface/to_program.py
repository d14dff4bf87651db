"""The deployable network as an exported program (`.pt2`): the form that PyTorch recommends in TorchScript's place."""

from __future__ import annotations

import io

import torch
from torch import nn

# What a node may tell beside its arithmetic: the shapes, which the program needs. Everything else that the exporter
# writes there are stack traces, with paths and source lines of this machine, and names of our classes.
_KEPT = {"val"}


def to_program(module: nn.Module, z_dim: int) -> bytes:
    """Export `module`, which takes z float32 [N, z_dim] for any N; gives the bytes for `torch.export.load`."""
    # A batch of 2: the exporter takes sizes 0 and 1 for constants.
    latent = torch.zeros(2, z_dim)
    with torch.no_grad():
        program = torch.export.export(module, (latent,), dynamic_shapes=({0: torch.export.Dim("N")},))
    for node in program.graph.nodes:
        for told in set(node.meta) - _KEPT:
            del node.meta[told]
    saved = io.BytesIO()
    torch.export.save(program, saved)
    return saved.getvalue()


def load_program(data: bytes) -> nn.Module:
    """Load what `to_program` gave, ready to call on z float32 [N, z_dim]."""
    # Exported in eval mode, which is fixed in the graph: the module's own eval() and train() raise.
    module: nn.Module = torch.export.load(io.BytesIO(data)).module()
    return module

"""How NVIDIA's providers are asked for arithmetic that repeats, and what they may leave to the CPU."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from genface.errors import UserError

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

CUDA_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        # TF32 keeps ten bits of the mantissa, enough to move pixels.
        "use_tf32": "0",
        # The default, EXHAUSTIVE, may pick a convolution's algorithm by a stopwatch, so another process may pick
        # another one with other last bits; the heuristic goes by shapes alone.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
)
TENSORRT_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "trt_fp16_enable": "0",
        "trt_int8_enable": "0",
        # Engines are built by the stopwatch; one that is kept stays the same on a machine.
        "trt_engine_cache_enable": "1",
    }
)

# What may run on the CPU beside a GPU: it copies, compares, or does one exactly rounded operation.
_EXACT_ANYWHERE = frozenset(
    {
        *("Add", "Div", "Floor", "Max", "Min", "Mod", "Mul", "Neg", "Sub"),
        *("And", "Equal", "Greater", "Less", "Not", "Or", "Where"),
        *("Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherND", "Identity"),
        *("Range", "Reshape", "ScatterND", "Shape", "Size", "Slice", "Split", "Squeeze", "Tile", "Transpose"),
        "Unsqueeze",
    }
)


def provider_stack(full_name: str, options: Mapping[str, str], graph: bytes) -> list[tuple[str, dict[str, str]]]:
    """The providers to open a session with: the one asked for, and CUDA below TensorRT for what TensorRT lacks.

    Raises UserError when TensorRT's cache folder cannot be made.
    """
    if full_name != TENSORRT:
        return [(full_name, dict(options))]
    kept = {**options, "trt_engine_cache_path": str(_engine_folder(graph))}
    return [(TENSORRT, kept), (CUDA, dict(CUDA_OPTIONS))]


def strays(session: Any) -> list[str]:
    """Operators of a session that run on the CPU and could give other values there than on the GPU.

    ONNX Runtime itself puts the arithmetic on shapes there, which is exact. Older runtimes do not tell: none are shown.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return []
    on_cpu = {
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == "CPUExecutionProvider"
        for node in part.get_nodes()
    }
    return sorted(on_cpu - _EXACT_ANYWHERE)


def _engine_folder(graph: bytes) -> Path:
    """A folder per model: engines are named by a graph's structure, not by its weights.

    In one folder, a second generator of the same architecture would be drawn with the first one's weights.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "genface" / "tensorrt" / hashlib.sha256(graph).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: the folder for TensorRT's engines cannot be made ({error.strerror}); set XDG_CACHE_HOME"
        ) from error
    return folder

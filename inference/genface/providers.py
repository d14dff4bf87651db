"""What runs the graph: ONNX Runtime and its execution providers. What was asked for runs, or there is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from genface.errors import UserError

_SUFFIX = "ExecutionProvider"
# Azure's provider calls a remote service and leaves every ordinary graph to the CPU.
_NOT_LOCAL = {"azure"}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One way to run a graph."""

    name: str
    """Short name, as on the command line."""
    full_name: str
    """ONNX Runtime's name."""
    block: int
    """Pictures that the graph is fed at once, always: another size could change a picture's last bit."""
    precision: str
    """Arithmetic that the options below ask for."""
    concurrent: bool
    """Whether several threads may run one session at the same time."""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Provider options."""


# 16 pictures keep a 64 px generator's activations in a core's cache; a GPU needs more to be busy.
_TUNED = {
    "cpu": Provider(name="cpu", full_name="CPUExecutionProvider", block=16, precision="fp32", concurrent=True),
    "cuda": Provider(
        name="cuda",
        full_name="CUDAExecutionProvider",
        block=64,
        precision="fp32",
        concurrent=False,
        options=MappingProxyType({"use_tf32": "0"}),
    ),
}
_HOW_TO_GET = {
    "cuda": "it comes with the extra gpu (onnxruntime-gpu, in an environment without onnxruntime)",
    "tensorrt": "it comes with the extra gpu (onnxruntime-gpu, in an environment without onnxruntime) and TensorRT",
    "openvino": "it comes with an onnxruntime-openvino build; the plugin of the extra openvino is not loaded yet",
}


def onnx_runtime() -> Any:
    """The module onnxruntime, imported when it is first needed. Raises UserError when it is missing or damaged."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"ONNX Runtime cannot be imported ({error}): install genface with one of its extras"
            " cpu, gpu (NVIDIA) or openvino (Intel), e.g. pip install './inference[cpu]'"
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise UserError(
            "ONNX Runtime is damaged, as it is after onnxruntime and onnxruntime-gpu met in one environment:"
            " uninstall both, then install one"
        )
    return onnxruntime


def available_providers() -> dict[str, str]:
    """The installed runtime's local providers: short name to ONNX Runtime's name."""
    full_names: list[str] = onnx_runtime().get_available_providers()
    named = {full_name.removesuffix(_SUFFIX).lower(): full_name for full_name in full_names}
    return {name: full_name for name, full_name in named.items() if name not in _NOT_LOCAL}


def find_provider(name: str) -> Provider:
    """Look up a provider by its short name (`cuda`) or ONNX Runtime's (`CUDAExecutionProvider`), in any case.

    Raises UserError naming what is there when the installed runtime lacks it.
    """
    short = name.lower().removesuffix(_SUFFIX.lower())
    available = available_providers()
    if short not in available:
        how = f"; {_HOW_TO_GET[short]}" if short in _HOW_TO_GET else ""
        raise UserError(f"the installed ONNX Runtime has no provider {name!r}; it has: {', '.join(available)}{how}")
    return _TUNED.get(short) or Provider(
        name=short, full_name=available[short], block=64, precision="provider's default", concurrent=False
    )


def open_session(graph: bytes, provider: Provider) -> Any:
    """Open an `onnxruntime.InferenceSession` of one thread, so that its arithmetic has one order.

    Raises UserError when ONNX Runtime refuses the graph, or quietly chose another provider.
    """
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong arrives as an exception; a log line beside it would say it twice
    try:
        session = runtime.InferenceSession(graph, options, providers=[(provider.full_name, dict(provider.options))])
    except Exception as error:
        raise UserError(f"ONNX Runtime cannot load it ({first_line(error)})") from error
    chosen = session.get_providers()[0]
    if chosen != provider.full_name:
        raise UserError(f"provider {provider.name!r} cannot start on this machine (ONNX Runtime fell back to {chosen})")
    return session


def first_line(error: Exception) -> str:
    """The reason inside one of ONNX Runtime's exceptions, without its code and its stack trace."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.rsplit("] : ", 1)[-1][:300]

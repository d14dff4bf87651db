"""What runs the graph: ONNX Runtime and its execution providers. What was asked for runs, or there is an error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from genface import nvidia, openvino
from genface.errors import UserError
from genface.runtime_errors import first_line, is_out_of_memory

Precision = Literal["fp32", "bf16"]
"""Arithmetic that may be asked for."""

AUTO = "auto"
"""In place of a provider's name: the best that is installed, starts here and takes the graph."""

_SUFFIX = "ExecutionProvider"
_BEST_FIRST = ("cuda", "openvino", "cpu")
# Azure's provider calls a remote service and leaves every ordinary graph to the CPU. OpenVINO is taken as the plugin,
# which tells what it can; builds of ONNX Runtime that have it inside do not, and the plugin, once it is registered, is
# listed with a second name for choosing devices by itself.
_NOT_OFFERED = ("azure", "openvino")


class ProviderError(UserError):
    """A provider that is installed cannot start on this machine."""


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
    """Arithmetic that the options below ask for; what a `Generator` tells of itself is what its graph was run in."""
    concurrent: bool
    """Whether several threads may run one session at the same time."""
    bound: bool = False
    """Whether inputs and outputs are bound to the session, which saves a copy where they lie on another device."""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Provider options."""
    device: Any = None
    """The `OrtEpDevice` of a provider that is a plugin; None for one that is built in."""

    @property
    def versions(self) -> dict[str, str]:
        """What else than ONNX Runtime's version its arithmetic depends on: distribution to version."""
        return {} if self.device is None else {openvino.DISTRIBUTION: self.device.ep_metadata["version"]}


_CPU = "CPUExecutionProvider"
# 16 pictures keep a 64 px generator's activations in a core's cache; a GPU needs more to be busy.
_TUNED = {
    "cpu": Provider(name="cpu", full_name=_CPU, block=16, precision="fp32", concurrent=True),
    "cuda": Provider(
        name="cuda",
        full_name=nvidia.CUDA,
        block=64,
        precision="fp32",
        concurrent=False,
        bound=True,
        options=nvidia.CUDA_OPTIONS,
    ),
    "tensorrt": Provider(
        name="tensorrt",
        full_name=nvidia.TENSORRT,
        block=64,
        # ONNX Runtime has no switch for TensorRT's TF32, which is on.
        precision="fp32 or tf32",
        concurrent=False,
        bound=True,
        options=nvidia.TENSORRT_OPTIONS,
    ),
}
_HOW_TO_GET = {
    "cuda": "it comes with the extra gpu (onnxruntime-gpu, in an environment without onnxruntime)",
    "tensorrt": "it comes with the extra gpu (onnxruntime-gpu, in an environment without onnxruntime) and TensorRT",
}


def onnx_runtime() -> Any:
    """The module onnxruntime, imported when it is first needed. Raises UserError when it is missing or damaged."""
    ours = "onnxruntime" not in sys.modules
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
    if ours:
        # What goes wrong arrives as an exception; a log line beside it would say it twice. A program that has imported
        # the runtime before keeps its own choice.
        onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def available_providers() -> list[str]:
    """Short names of what the installed runtime and its plugins can run a graph on, on this machine."""
    names = list(_built_in())
    with suppress(UserError):
        openvino.cpu_device(onnx_runtime())
        names.append("openvino")
    return names


def usable_providers() -> list[Provider]:
    """Every provider in every precision that can be asked for, as far as the installed runtime offers it.

    Without those that choose their arithmetic themselves.
    """
    found = []
    for name in (*_TUNED, "openvino"):
        for precision in get_args(Precision):
            with suppress(UserError):
                found.append(find_provider(name, precision))
    return [provider for provider in found if provider.precision in get_args(Precision)]


def names_to_try(name: str) -> list[str]:
    """The providers that `name` stands for, in the order to try them: itself, or for `auto` what is there."""
    if name.lower() != AUTO:
        return [name]
    there = {*_built_in(), *(["openvino"] if openvino.is_installed() else [])}
    try:
        if "openvino" in there:
            openvino.cpu_device(onnx_runtime())
    except openvino.NotServedError:
        there.remove("openvino")
    except UserError:
        pass  # told when it is tried
    return [best for best in _BEST_FIRST if best in there]


def find_provider(name: str, precision: Precision = "fp32") -> Provider:
    """Look up a provider by its short name (`cuda`) or ONNX Runtime's (`CUDAExecutionProvider`), in any case.

    Raises UserError when the installed runtime lacks it, naming what is there, and when it does not compute in this
    precision, naming what does.
    """
    if precision not in get_args(Precision):
        raise UserError(f"no precision {precision!r}; there are: {', '.join(get_args(Precision))}")
    short = name.lower().removesuffix(_SUFFIX.lower())
    if short == "openvino":
        return _openvino(precision)
    built_in = _built_in()
    if short not in built_in:
        how = f"; {_HOW_TO_GET[short]}" if short in _HOW_TO_GET else ""
        raise UserError(
            f"the installed ONNX Runtime has no provider {name!r}; it has: {', '.join(available_providers())}{how}"
        )
    if precision != "fp32":
        raise UserError(
            f"provider {short} does not compute in {precision}; openvino does, on a processor that has {precision}"
        )
    return _TUNED.get(short) or Provider(
        name=short, full_name=built_in[short], block=64, precision="provider's default", concurrent=False
    )


def open_session(graph: bytes, provider: Provider) -> Any:
    """Open an `onnxruntime.InferenceSession` of one thread per run, so that its arithmetic has one order.

    Raises UserError when ONNX Runtime refuses the graph, and ProviderError when it would run it elsewhere than asked,
    as a whole or by a node whose result could differ there.
    """
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong arrives as an exception; a log line beside it would say it twice
    if provider.device is None:
        built_in = {"providers": nvidia.provider_stack(provider.full_name, provider.options, graph)}
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    else:
        built_in = {}
        options.add_provider_for_devices([provider.device], dict(provider.options))
        # A node that the plugin does not know would run on the default provider, in another arithmetic.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = runtime.InferenceSession(graph, options, **built_in)
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(f"out of memory while loading it on {provider.name} ({first_line(error)})") from error
        raise UserError(f"ONNX Runtime cannot load it on {provider.name} ({first_line(error)})") from error
    chosen = session.get_providers()[0]
    if chosen != provider.full_name:
        raise ProviderError(
            f"provider {provider.name!r} cannot start on this machine (ONNX Runtime fell back to {chosen})"
        )
    if built_in and chosen != _CPU and (strays := nvidia.strays(session)):
        raise ProviderError(f"provider {provider.name!r} leaves {', '.join(strays)} of this graph to the CPU; take cpu")
    return session


def _built_in() -> dict[str, str]:
    """The installed runtime's own local providers: short name to ONNX Runtime's name."""
    full_names: list[str] = onnx_runtime().get_available_providers()
    named = {full_name.removesuffix(_SUFFIX).lower(): full_name for full_name in full_names}
    return {name: full_name for name, full_name in named.items() if not name.startswith(_NOT_OFFERED)}


def _openvino(precision: Precision) -> Provider:
    device = openvino.cpu_device(onnx_runtime())
    if not openvino.can_compute_in(device, precision):
        raise UserError(f"provider openvino: this machine's processor has no {precision}; take another precision")
    return Provider(
        name="openvino",
        full_name=openvino.FULL_NAME,
        block=16,
        precision=precision,
        concurrent=True,
        options=MappingProxyType(openvino.options_for(precision)),
        device=device,
    )

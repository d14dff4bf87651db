"""Runtimes that pose as having the providers of machines that are not here; loaded by runpy."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import onnxruntime

CUDA_EP, TENSORRT_EP, CPU_EP = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


class FallingBackRuntime:
    """A runtime that has CUDA built in and, finding no GPU, quietly opens the session on the CPU."""

    class SessionOptions(types.SimpleNamespace):
        def add_session_config_entry(self, *_: str) -> None:
            pass

    __version__ = "1.20.0"

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, *_: object, **__: object) -> Any:  # noqa: N802
        return types.SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])


class PosingSession:
    """A session on the CPU that passes for one on another provider."""

    def __init__(self, session: Any, name: str, on_cpu: Sequence[str]) -> None:
        self._session, self._name, self._on_cpu = session, name, on_cpu
        self.bindings = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [self._name, CPU_EP]

    def io_binding(self) -> Any:
        self.bindings += 1
        return self._session.io_binding()

    def get_provider_graph_assignment_info(self) -> list[Any]:
        nodes = [types.SimpleNamespace(op_type=op_type) for op_type in self._on_cpu]
        return [types.SimpleNamespace(ep_name=name, get_nodes=lambda: nodes) for name in (CPU_EP,) if nodes]


class PosingRuntime:
    """The real runtime with more providers in its list; they run on the CPU, openly where they are `broken`."""

    def __init__(self, *built_in: str, on_cpu: Sequence[str] = (), broken: Sequence[str] = ()) -> None:
        self._built_in, self._on_cpu, self._broken = built_in, on_cpu, broken
        self.asked: list[list[tuple[str, dict[str, str]]]] = []
        self.sessions: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(onnxruntime, name)

    def get_available_providers(self) -> list[str]:
        return [*self._built_in, CPU_EP]

    def InferenceSession(self, graph: bytes, options: Any, providers: list[Any]) -> Any:  # noqa: N802
        self.asked.append(providers)
        name = providers[0][0]
        session = onnxruntime.InferenceSession(graph, options, providers=[CPU_EP])
        if name != CPU_EP and name not in self._broken:
            session = PosingSession(session, name, self._on_cpu)
        self.sessions.append(session)
        return session

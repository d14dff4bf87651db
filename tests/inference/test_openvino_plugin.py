"""Finding OpenVINO's plugin: what it offers, what it lacks, and why it may not load."""

from __future__ import annotations

import json
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from genface import openvino, providers
from genface.cores import usable_cores
from genface.errors import UserError
from genface.providers import available_providers, find_provider, usable_providers

stand_in = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stand_in_runtimes.py"))))
FallingBackRuntime = stand_in.FallingBackRuntime

AUTO = ("OpenVINOExecutionProvider.AUTO", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32"})
GPU = ("OpenVINOExecutionProvider", {"ov_device": "GPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32"})
CPU = ("OpenVINOExecutionProvider", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "WINOGRAD FP32 INT8"})
MODERN_CPU = ("OpenVINOExecutionProvider", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32 INT8"})


class RuntimeWithPlugins:
    """A runtime that can register plugins; OpenVINO's then offers `offered`, devices as (ep_name, ep_metadata)."""

    def __init__(self, *offered: tuple[str, dict[str, str]]) -> None:
        self.offered = [types.SimpleNamespace(ep_name=name, ep_metadata=metadata) for name, metadata in offered]
        self.registered: list[str] = []

    def register_execution_provider_library(self, name: str, path: str) -> None:
        assert name not in self.registered, "ONNX Runtime refuses a second time"
        self.registered.append(name)

    def get_ep_devices(self) -> list[Any]:
        return self.offered if self.registered else []

    def get_available_providers(self) -> list[str]:
        return ["CPUExecutionProvider", *(device.ep_name for device in self.get_ep_devices())]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The plugin's Python package, without its library."""
    module = types.ModuleType("onnxruntime_ep_openvino")
    module.get_library_path = lambda: "plugin.so"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", module)
    return module


def test_openvino_is_its_plugins_own_cpu(plugin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RuntimeWithPlugins(AUTO, GPU, MODERN_CPU)
    monkeypatch.setattr(providers, "onnx_runtime", lambda: runtime)
    found = find_provider("OpenVINO")
    assert (found.name, found.precision, found.device) == ("openvino", "fp32", runtime.offered[2])
    assert [(provider.name, provider.precision) for provider in usable_providers()] == [
        ("cpu", "fp32"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
    ]
    assert available_providers() == ["cpu", "openvino"]
    assert runtime.registered == ["genface.openvino"]


def test_both_precisions_are_asked_for_by_name() -> None:
    """Left to itself the plugin takes bf16; as many streams as threads keep pictures apart from the batch."""
    for precision, hint in (("fp32", "f32"), ("bf16", "bf16")):
        config = json.loads(openvino.options_for(precision)["load_config"])["CPU"]
        assert config["INFERENCE_PRECISION_HINT"] == hint
        assert config["NUM_STREAMS"] == config["INFERENCE_NUM_THREADS"] == str(usable_cores())


def test_a_processor_without_bf16(plugin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RuntimeWithPlugins(CPU)
    monkeypatch.setattr(providers, "onnx_runtime", lambda: runtime)
    assert find_provider("openvino").precision == "fp32"
    with pytest.raises(UserError, match="this machine's processor has no bf16"):
        find_provider("openvino", "bf16")


def test_a_processor_that_the_plugin_does_not_serve(plugin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = RuntimeWithPlugins()
    monkeypatch.setattr(providers, "onnx_runtime", lambda: runtime)
    for _ in range(2):
        with pytest.raises(UserError, match="serves Intel's processors alone"):
            find_provider("openvino")
    assert available_providers() == ["cpu"]


def test_a_missing_plugin_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", None)
    monkeypatch.setattr(providers, "onnx_runtime", lambda: RuntimeWithPlugins(CPU))
    with pytest.raises(UserError, match=r"cannot be imported .*extra openvino"):
        find_provider("openvino")


def test_a_plugin_that_does_not_load(plugin: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError("plugin.so is not there")

    plugin.get_library_path = fail  # type: ignore[attr-defined]
    monkeypatch.setattr(providers, "onnx_runtime", lambda: RuntimeWithPlugins(CPU))
    with pytest.raises(UserError, match=r"does not load \(plugin\.so is not there\)"):
        find_provider("openvino")


def test_a_runtime_without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    with pytest.raises(UserError, match=r"onnxruntime 1\.20\.0 has no plugins"):
        find_provider("openvino")

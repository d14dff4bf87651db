from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from genface import openvino, providers
from genface.cores import usable_cores
from genface.errors import UserError
from genface.model import Generator
from genface.providers import (
    Provider,
    ProviderError,
    available_providers,
    find_provider,
    open_session,
    usable_providers,
)


class FallingBackRuntime:
    """A runtime that has CUDA built in and, finding no GPU, quietly opens the session on the CPU."""

    SessionOptions = types.SimpleNamespace
    __version__ = "1.20.0"

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, *_: object, **__: object) -> Any:  # noqa: N802
        return types.SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])


@pytest.fixture
def openvino_provider() -> Callable[[Any], Provider]:
    """OpenVINO in a precision, where this machine has both; else the test is skipped with the reason."""

    def find(precision: Any) -> Provider:
        try:
            return find_provider("openvino", precision)
        except UserError as error:
            pytest.skip(str(error))

    return find


def test_the_cpu_is_always_there() -> None:
    assert "cpu" in available_providers()
    assert find_provider("cpu").full_name == "CPUExecutionProvider"


@pytest.mark.parametrize("name", ["CPU", "CPUExecutionProvider", "cpuexecutionprovider"])
def test_names_are_forgiving(name: str) -> None:
    assert find_provider(name).name == "cpu"


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_an_absent_provider_is_named_with_its_extra(tiny: Path, name: str) -> None:
    if name in available_providers():
        pytest.skip(f"{name} is there")
    with pytest.raises(UserError, match=rf"no provider '{name}'; it has: .*cpu.*; .*extra gpu"):
        Generator(tiny, provider=name)


@pytest.mark.parametrize("name", ["gpu", "", "azure", "warp-drive"])
def test_an_unknown_provider(tiny: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"no provider '{name}'; it has: .*cpu"):
        Generator(tiny, provider=name)


def test_a_silent_fall_back_is_an_error(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    with pytest.raises(UserError, match=r"tiny\.onnx: provider 'cuda' cannot start on this machine"):
        Generator(tiny, provider="cuda")


def test_whatever_the_runtime_reports_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    assert sorted(available_providers()) == ["cpu", "cuda", "tensorrt"]
    assert [provider.name for provider in usable_providers()] == ["cpu", "cuda"]
    assert find_provider("tensorrt").full_name == "TensorrtExecutionProvider"


def test_a_missing_runtime_names_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"extras cpu, gpu .* or openvino"):
        find_provider("cpu")


def test_a_damaged_runtime_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(UserError, match="uninstall both"):
        find_provider("cpu")


def test_pictures_do_not_depend_on_the_block_or_on_turns(
    generator: Generator, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cautious = replace(find_provider("cpu"), block=5, concurrent=False)
    monkeypatch.setattr("genface.model.find_provider", lambda *_: cautious)
    other = Generator(tiny)
    assert other.block == 5
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda start: other.draw(seed=2, indices=range(start, start + 11)), range(0, 55, 11)))
    np.testing.assert_array_equal(np.concatenate(parts), generator.draw(seed=2, indices=range(55)))


@pytest.mark.parametrize("name", ["cpu", "CPUExecutionProvider"])
def test_bf16_of_a_provider_without_it_names_one_with_it(tiny: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"provider cpu does not compute in bf16; openvino does"):
        Generator(tiny, provider=name, precision="bf16")


def test_bf16_at_the_command_line(run: Callable[..., tuple[int, str, str]], tiny: Path, tmp_path: Path) -> None:
    code, stdout, stderr = run("--model", tiny, "--out", tmp_path / "faces.zip", "--precision", "bf16")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert "provider cpu does not compute in bf16" in stderr
    assert list(tmp_path.iterdir()) == []


def test_bf16_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    with pytest.raises(UserError, match=r"provider cuda does not compute in bf16"):
        find_provider("cuda", "bf16")


def test_an_unknown_precision(tiny: Path) -> None:
    with pytest.raises(UserError, match=r"no precision 'fp8'; there are: fp32, bf16"):
        Generator(tiny, precision="fp8")  # type: ignore[arg-type]


def test_a_fall_back_is_an_error_of_its_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    with pytest.raises(ProviderError):
        open_session(tiny.read_bytes(), find_provider("cuda"))


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


AUTO = ("OpenVINOExecutionProvider.AUTO", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32"})
GPU = ("OpenVINOExecutionProvider", {"ov_device": "GPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32"})
CPU = ("OpenVINOExecutionProvider", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "WINOGRAD FP32 INT8"})
MODERN_CPU = ("OpenVINOExecutionProvider", {"ov_device": "CPU", "OPTIMIZATION_CAPABILITIES": "BF16 FP32 INT8"})


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


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_openvino_runs_on(tiny: Path, openvino_provider: Callable[[str], Provider], precision: Any) -> None:
    provider = openvino_provider(precision)
    session = open_session(tiny.read_bytes(), provider)
    assert session.get_providers()[0] == "OpenVINOExecutionProvider"
    assert set(provider.versions) == {"onnxruntime-ep-openvino"}


def test_openvino_never_hands_a_node_to_the_default_provider(
    tmp_path: Path, openvino_provider: Callable[[str], Provider]
) -> None:
    """Numbers by way of text, which OpenVINO does not know."""
    nodes = [
        onnx.helper.make_node("Reshape", ["z", "shape"], ["numbers"]),
        onnx.helper.make_node("Cast", ["numbers"], ["text"], to=onnx.TensorProto.STRING),
        onnx.helper.make_node("Cast", ["text"], ["again"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Cast", ["again"], ["images"], to=onnx.TensorProto.UINT8),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "by text",
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", 48])],
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", 4, 4, 3])],
        [onnx.numpy_helper.from_array(np.array([-1, 4, 4, 3]), "shape")],
    )
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)
    assert Generator(path).info.width == 4
    assert openvino_provider("fp32").name == "openvino"
    with pytest.raises(UserError, match="cannot load it on openvino"):
        Generator(path, provider="openvino")

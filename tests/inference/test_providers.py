from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
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
    names_to_try,
    open_session,
    usable_providers,
)
from genface.runtime_errors import is_out_of_memory


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
    # TensorRT chooses between fp32 and TF32 by itself.
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
    monkeypatch.setattr("genface.opening.find_provider", lambda *_: cautious)
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


CUDA_EP, TENSORRT_EP, CPU_EP = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


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


@pytest.fixture
def pose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., PosingRuntime]:
    def install(*built_in: str, **options: Any) -> PosingRuntime:
        runtime = PosingRuntime(*built_in, **options)
        monkeypatch.setattr(providers, "onnx_runtime", lambda: runtime)
        monkeypatch.setattr(openvino, "is_installed", lambda: False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return runtime

    return install


def test_auto_takes_the_best_that_runs(tiny: Path, generator: Generator, pose: Callable[..., PosingRuntime]) -> None:
    runtime = pose(CUDA_EP)
    auto = Generator(tiny, provider="auto")
    assert (auto.info.provider.name, auto.info.passed_over, auto.block) == ("cuda", (), 64)
    assert runtime.asked == [[(CUDA_EP, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]]
    np.testing.assert_array_equal(auto.draw(seed=0, indices=range(99)), generator.draw(seed=0, indices=range(99)))


def test_auto_says_why_it_passed_a_better_one_over(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    pose(CUDA_EP, broken=[CUDA_EP])
    auto = Generator(tiny, provider="AUTO")
    assert auto.info.provider.name == "cpu"
    (reason,) = auto.info.passed_over
    assert re.fullmatch(r"cuda: provider 'cuda' cannot start on this machine \(.*fell back to CPU.*\)", reason)


def test_auto_on_this_machine(tiny: Path, generator: Generator) -> None:
    auto = Generator(tiny, provider="auto")
    better = ["cuda", "openvino"]
    assert auto.info.provider.name in [name for name in (*better, "cpu") if name in available_providers()]
    assert {reason.split(":")[0] for reason in auto.info.passed_over} <= set(better)
    differences = auto.draw(seed=0, indices=range(64)).astype(int) - generator.draw(seed=0, indices=range(64))
    assert np.abs(differences).max() <= 1


def test_auto_does_not_name_what_is_not_installed(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    pose()
    assert names_to_try("auto") == ["cpu"]
    assert Generator(tiny, provider="auto").info.passed_over == ()


def test_auto_ends_in_the_last_ones_error(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    pose(CUDA_EP)
    with pytest.raises(UserError, match="provider cpu does not compute in bf16; openvino does"):
        Generator(tiny, provider="auto", precision="bf16")


def test_a_provider_asked_for_by_name_is_never_replaced(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    pose(CUDA_EP, broken=[CUDA_EP])
    with pytest.raises(ProviderError, match="cannot start"):
        open_session(tiny.read_bytes(), find_provider("cuda"))


@pytest.mark.parametrize("form", ["uint8 NHWC", "float -1 to 1", "float gray NHWC", "half"])
@pytest.mark.parametrize("batch", ["N", 5])
def test_bound_sessions_give_the_same_pictures(
    save_variant: Callable[..., Path], pose: Callable[..., PosingRuntime], form: str, batch: int | str
) -> None:
    """The code that GPUs run, on the CPU: blocks that are bound straight into the result, and a padded one."""
    path = save_variant(form, card=None, batch=batch, scalars={"psi": (onnx.TensorProto.FLOAT, [])})
    expected = Generator(path, inputs={"psi": 0.25}).draw(seed=0, indices=range(150))
    runtime = pose(CUDA_EP)
    bound = Generator(path, provider="cuda", inputs={"psi": 0.25})
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda start: bound.draw(seed=0, indices=range(start, start + 75)), [0, 75]))
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert runtime.sessions[-1].bindings == 2 * -(-75 // bound.block)
    np.testing.assert_array_equal(np.concatenate(list(bound.batches(150, size=40))), expected)


def test_nodes_that_a_gpu_leaves_to_the_cpu(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    """Shapes are computed on the CPU by ONNX Runtime's choice; a layer there is a fall-back, and refused."""
    pose(CUDA_EP, on_cpu=["Shape", "Gather", "Concat"])
    assert Generator(tiny, provider="cuda").info.provider.name == "cuda"
    pose(CUDA_EP, on_cpu=["Shape", "GridSample", "ConvTranspose"])
    with pytest.raises(UserError, match="'cuda' leaves ConvTranspose, GridSample of this graph to the CPU; take cpu"):
        Generator(tiny, provider="cuda")


def test_tensorrt_keeps_an_engine_per_model(
    tiny: Path, save_variant: Callable[..., Path], pose: Callable[..., PosingRuntime], tmp_path: Path
) -> None:
    """Two generators of one architecture must not share an engine, for it holds the weights."""
    runtime = pose(TENSORRT_EP, CUDA_EP)
    generator = Generator(tiny, provider="tensorrt")
    assert not generator.info.provider.concurrent
    assert generator.info.provider.precision == "fp32 or tf32"
    Generator(save_variant(card=None), provider="tensorrt")
    folders = []
    for (name, options), (below, _) in runtime.asked:
        assert (name, below) == (TENSORRT_EP, CUDA_EP)
        assert (options["trt_engine_cache_enable"], options["trt_fp16_enable"]) == ("1", "0")
        folders.append(Path(options["trt_engine_cache_path"]))
    assert folders[0] == tmp_path / "cache" / "genface" / "tensorrt" / generator.info.sha256
    assert folders[1] != folders[0]
    assert all(folder.is_dir() for folder in folders)


def test_tensorrt_without_a_place_for_engines(tiny: Path, pose: Callable[..., PosingRuntime], tmp_path: Path) -> None:
    pose(TENSORRT_EP, CUDA_EP)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"the folder for TensorRT's engines cannot be made .*XDG_CACHE_HOME"):
        Generator(tiny, provider="tensorrt")


def test_whatever_else_is_built_in_is_passed_through(tiny: Path, pose: Callable[..., PosingRuntime]) -> None:
    pose("CoreMLExecutionProvider")
    info = Generator(tiny, provider="coreml").info
    assert (info.provider.full_name, info.provider.precision) == ("CoreMLExecutionProvider", "provider's default")


def test_memory_that_runs_out_while_loading(
    tiny: Path, pose: Callable[..., PosingRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("bad allocation")

    monkeypatch.setattr(pose(), "InferenceSession", fail, raising=False)
    with pytest.raises(UserError, match=r"out of memory while loading it on cpu \(bad allocation\)"):
        Generator(tiny)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("x.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 9"), True),
        (RuntimeError("std::bad_alloc"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA failure 2: out of memory ; GPU=0"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error cudaErrorMemoryAllocation"), True),
        (RuntimeError("Got invalid dimensions for input: z"), False),
    ],
)
def test_what_out_of_memory_looks_like(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected

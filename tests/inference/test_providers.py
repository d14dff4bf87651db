"""Finding a provider by its name and precision, and opening a session that is truly on it."""

from __future__ import annotations

import runpy
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genface import providers
from genface.draw import DrawConfig, manifest
from genface.errors import UserError
from genface.model import Generator
from genface.providers import ProviderError, available_providers, find_provider, open_session, usable_providers

stand_in = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stand_in_runtimes.py"))))
FallingBackRuntime = stand_in.FallingBackRuntime


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


def test_a_fall_back_is_an_error_of_its_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "onnx_runtime", FallingBackRuntime)
    with pytest.raises(ProviderError):
        open_session(tiny.read_bytes(), find_provider("cuda"))


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


# Precisions


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


def test_a_precision_that_changes_nothing_is_not_recorded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a provider that takes bf16 for a wish."""
    cpu = find_provider("cpu")
    monkeypatch.setattr(
        "genface.opening.find_provider", lambda name, precision="fp32": replace(cpu, precision=precision)
    )
    generator = Generator(tiny, precision="bf16")
    assert generator.info.provider.precision == "fp32"
    assert manifest(generator, DrawConfig(n=1))["precision"] == "fp32"

from __future__ import annotations

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface import providers
from genface.errors import UserError
from genface.model import Generator
from genface.providers import available_providers, find_provider


class FallingBackRuntime:
    """A runtime that has CUDA built in and, finding no GPU, quietly opens the session on the CPU."""

    SessionOptions = types.SimpleNamespace

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, *_: object, **__: object) -> Any:  # noqa: N802
        return types.SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])


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
    with pytest.raises(UserError, match=rf"no provider '{name}'; it has: .*cpu; .*extra gpu"):
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
    monkeypatch.setattr("genface.model.find_provider", lambda _: cautious)
    other = Generator(tiny)
    assert other.block == 5
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda start: other.draw(seed=2, indices=range(start, start + 11)), range(0, 55, 11)))
    np.testing.assert_array_equal(np.concatenate(parts), generator.draw(seed=2, indices=range(55)))

"""What runs the networks: which runtime is taken, that its bits depend on nothing, and what bf16 does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evalface.extractors import base, runtimes
from evalface.extractors.base import NetworkExtractor
from evalface.extractors.inception import Inception
from evalface.extractors.lite0 import Lite0
from evalface.extractors.onnx_graph import to_onnx
from evalface.extractors.precision import has_bf16, precision_effect
from genface.errors import UserError

RELATIVE = 1e-5  # float32, another order of sums
Faces = Callable[..., np.ndarray]
needs_bf16 = pytest.mark.skipif(not has_bf16("cpu"), reason="this processor does not compute in bf16")
on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="ONNX Runtime is for machines without a GPU")


@pytest.fixture
def without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_providers", lambda precision: [])


@on_cpu
def test_fp32_runs_in_onnx_runtime(inception_weights: Path) -> None:
    for extractor in (Lite0(), Inception(inception_weights)):
        assert extractor.identity()["runtime"].startswith("onnxruntime ")
        assert extractor.identity()["precision"] == "fp32"


def test_torch_gives_the_same_where_onnx_runtime_is_missing(noise_faces: Faces, request: pytest.FixtureRequest) -> None:
    block = noise_faces(9)
    expected = Lite0().features(block)
    request.getfixturevalue("without_onnx_runtime")
    plain = Lite0()
    assert plain.identity()["runtime"] == f"torch {torch.__version__}"
    assert np.abs(plain.features(block) - expected).max() <= RELATIVE * np.abs(expected).max()


@on_cpu
def test_a_runtime_that_computes_something_else_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def off_by_a_little(graph: bytes, provider: Any) -> runtimes.Runtime:
        opened.append(provider.name)
        right = honest(graph, provider)
        return runtimes.Runtime(name="wrong", run=lambda x: right.run(x) * 1.002)

    honest = runtimes._in_onnx_runtime
    monkeypatch.setattr(runtimes, "_in_onnx_runtime", off_by_a_little)
    assert Lite0().identity()["runtime"].startswith("torch ")
    assert "cpu" in opened


@pytest.mark.parametrize("make", [
    Lite0,
    pytest.param(lambda: Lite0("bf16"), marks=needs_bf16, id="Lite0 bf16"),
    pytest.param("torch", id="Lite0 in torch"),
])  # fmt: skip
def test_bits_depend_on_neither_block_nor_workers(
    make: Any, noise_faces: Faces, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if make == "torch":
        request.getfixturevalue("without_onnx_runtime")
        make = Lite0
    block = noise_faces(19)
    threads = torch.get_num_threads()
    extractor: NetworkExtractor = make()
    whole = extractor.features(block)
    for cuts in ([1, 2, 5], [8], [3, 16]):
        parts = [extractor.features(part) for part in np.split(block, cuts)]
        assert np.array_equal(np.concatenate(parts), whole)
    for workers in (1, 3):
        monkeypatch.setattr(base, "usable_cores", lambda n=workers: n)
        assert np.array_equal(make().features(block), whole)
    assert torch.get_num_threads() == threads


def test_inceptions_bits_depend_on_no_block(inception_weights: Path, noise_faces: Faces) -> None:
    extractor, block = Inception(inception_weights), noise_faces(10)
    whole = extractor.features(block)
    for i in (0, 7, 9):
        assert np.array_equal(extractor.features(block[i : i + 1])[0], whole[i])


@needs_bf16
def test_bf16_is_named_and_near(inception_weights: Path, noise_faces: Faces) -> None:
    block = noise_faces(4)
    for extractor in (Lite0("bf16"), Inception(inception_weights, precision="bf16")):
        assert extractor.identity()["precision"] == "bf16"
        assert extractor.identity() != extractor.in_fp32().identity()
        assert "bf16" in extractor.distance_name
        assert "bf16" not in extractor.in_fp32().distance_name
        effect = precision_effect(extractor, block)
        assert effect.n == 4
        # Eight bits of mantissa: 0.4 % at most in one rounding, some of it in each layer. Noise, of which Lite0's deep
        # layers keep little, is the worst case: 5 %. Never nothing at all.
        assert 1e-4 < effect.of_length < 0.1
        assert effect.of_spread > effect.of_length


@needs_bf16
def test_one_picture_has_no_spread_to_compare_with(noise_faces: Faces) -> None:
    assert precision_effect(Lite0("bf16"), noise_faces(1)).of_spread == float("inf")


def test_bf16_where_the_machine_lacks_it_is_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    with pytest.raises(UserError, match=r"processor .* does not compute in it; take --precision fp32"):
        Lite0("bf16")


def test_an_unknown_precision_is_a_users_error() -> None:
    with pytest.raises(UserError, match="unknown precision 'int8'; known: fp32, bf16"):
        Lite0("int8")  # type: ignore[arg-type]


def test_what_has_no_onnx_form_is_not_guessed() -> None:
    with pytest.raises(AssertionError, match="no ONNX form"):
        to_onnx(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus()), 8)

"""The code that GPUs run, on the CPU: a runtime poses as having them."""

from __future__ import annotations

import runpy
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from genface.errors import UserError
from genface.model import Generator

Pose = Callable[..., Any]

stand_in = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stand_in_runtimes.py"))))
CUDA_EP, TENSORRT_EP = stand_in.CUDA_EP, stand_in.TENSORRT_EP


@pytest.mark.parametrize("form", ["uint8 NHWC", "float -1 to 1", "float gray NHWC", "half"])
@pytest.mark.parametrize("batch", ["N", 5])
def test_bound_sessions_give_the_same_pictures(
    save_variant: Callable[..., Path], pose: Pose, form: str, batch: int | str
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


def test_nodes_that_a_gpu_leaves_to_the_cpu(tiny: Path, pose: Pose) -> None:
    """Shapes are computed on the CPU by ONNX Runtime's choice; a layer there is a fall-back, and refused."""
    pose(CUDA_EP, on_cpu=["Shape", "Gather", "Concat"])
    assert Generator(tiny, provider="cuda").info.provider.name == "cuda"
    pose(CUDA_EP, on_cpu=["Shape", "GridSample", "ConvTranspose"])
    with pytest.raises(UserError, match="'cuda' leaves ConvTranspose, GridSample of this graph to the CPU; take cpu"):
        Generator(tiny, provider="cuda")


def test_tensorrt_keeps_an_engine_per_model(
    tiny: Path, save_variant: Callable[..., Path], pose: Pose, tmp_path: Path
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


def test_tensorrt_without_a_place_for_engines(tiny: Path, pose: Pose, tmp_path: Path) -> None:
    pose(TENSORRT_EP, CUDA_EP)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"the folder for TensorRT's engines cannot be made .*XDG_CACHE_HOME"):
        Generator(tiny, provider="tensorrt")


def test_whatever_else_is_built_in_is_passed_through(tiny: Path, pose: Pose) -> None:
    pose("CoreMLExecutionProvider")
    info = Generator(tiny, provider="coreml").info
    assert (info.provider.full_name, info.provider.precision) == ("CoreMLExecutionProvider", "provider's default")

"""Provider `auto` takes the best that runs and says why it passed others over; a name is never replaced."""

from __future__ import annotations

import re
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface.errors import UserError
from genface.model import Generator
from genface.providers import (
    ProviderError,
    available_providers,
    find_provider,
    names_to_try,
    open_session,
)

Pose = Callable[..., Any]

stand_in = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stand_in_runtimes.py"))))
CUDA_EP = stand_in.CUDA_EP


def test_auto_takes_the_best_that_runs(tiny: Path, generator: Generator, pose: Pose) -> None:
    runtime = pose(CUDA_EP)
    auto = Generator(tiny, provider="auto")
    assert (auto.info.provider.name, auto.info.passed_over, auto.block) == ("cuda", (), 64)
    assert runtime.asked == [[(CUDA_EP, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]]
    np.testing.assert_array_equal(auto.draw(seed=0, indices=range(99)), generator.draw(seed=0, indices=range(99)))


def test_auto_says_why_it_passed_a_better_one_over(tiny: Path, pose: Pose) -> None:
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


def test_auto_does_not_name_what_is_not_installed(tiny: Path, pose: Pose) -> None:
    pose()
    assert names_to_try("auto") == ["cpu"]
    assert Generator(tiny, provider="auto").info.passed_over == ()


def test_auto_ends_in_the_last_ones_error(tiny: Path, pose: Pose) -> None:
    pose(CUDA_EP)
    with pytest.raises(UserError, match="provider cpu does not compute in bf16; openvino does"):
        Generator(tiny, provider="auto", precision="bf16")


def test_a_provider_asked_for_by_name_is_never_replaced(tiny: Path, pose: Pose) -> None:
    pose(CUDA_EP, broken=[CUDA_EP])
    with pytest.raises(ProviderError, match="cannot start"):
        open_session(tiny.read_bytes(), find_provider("cuda"))

"""Weights alone: what a checkpoint is reduced to, what can be done with it, and what cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genface.errors import UserError
from genface.latents import latents
from trainface import checkpoint
from trainface.ema import averaged_generator
from trainface.weights import write_weights

Run = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("--preset", "tiny", "--kimg", 0.1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a tiny run."""
    run = tmp_path_factory.mktemp("run") / "tiny"
    code = "import trainface.cli; trainface.cli.main()"
    command = [sys.executable, "-c", code, "builtin:cartoons:64", "--run", str(run), *map(str, TINY)]
    cache = {"TRAINFACE_CACHE": str(tmp_path_factory.mktemp("cache"))}
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=os.environ | cache)
    return run / "checkpoint.pt"


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [part for value in state.values() for part in tensors(value)] if isinstance(state, dict) else []


def test_it_holds_both_networks_rounded_to_half(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights.pt"
    write_weights(trained, out)
    whole, reduced = checkpoint.load(trained), checkpoint.load(out)
    best = whole["best_ema"]
    assert list(reduced["ema"]) == [best]
    assert {"G", "g_opt", "d_opt", "rng", "replay"}.isdisjoint(reduced)
    for key in ("config", "preparation", "data", "cur_nimg"):
        assert reduced[key] == whole[key]
    for there, here in ((whole["ema"][best], reduced["ema"][best]), (whole["D"], reduced["D"])):
        assert there.keys() == here.keys()
        for name, tensor in there.items():
            assert here[name].dtype == tensor.dtype
            assert torch.equal(here[name], tensor.to(torch.float16).to(tensor.dtype))
    stored = tensors(torch.load(out, weights_only=True))
    assert {tensor.dtype for tensor in stored if tensor.is_floating_point()} == {torch.float16}
    assert out.stat().st_size < trained.stat().st_size / 5


def test_its_pictures_are_those_of_the_checkpoint_nearly(trained: Path, tmp_path: Path) -> None:
    write_weights(trained, tmp_path / "weights.pt")
    z = torch.from_numpy(latents(0, range(16), 8))
    with torch.inference_mode():
        one, other = (averaged_generator(checkpoint.load(path))[0](z) for path in (trained, tmp_path / "weights.pt"))
    # Eleven bits per weight, summed over some dozen products: measured 4e-4.
    assert 0 < (one - other).abs().max() < 5e-3


def test_a_run_begins_with_it_and_does_not_go_on_from_it(trained: Path, tmp_path: Path, trainface: Run) -> None:
    out, run = tmp_path / "weights.pt", tmp_path / "next"
    done = trainface("weights", trained, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: ")
    done = trainface("builtin:cartoons:64", "--run", run, *TINY, "--init-from", out)
    assert done.returncode == 0, done.stderr
    assert "all weights copied" in done.stderr

    misused = tmp_path / "misused"
    misused.mkdir()
    (misused / "checkpoint.pt").write_bytes(out.read_bytes())
    done = trainface("builtin:cartoons:64", "--run", misused, *TINY)
    assert done.returncode == 2
    assert "--init-from" in done.stderr.splitlines()[-1]
    assert (misused / "checkpoint.pt").read_bytes() == out.read_bytes()


def test_nothing_is_lost_to_a_wrong_name(trained: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.pt"
    there.write_bytes(b"mine")
    for out, words in ((trained, "itself"), (there, "--force"), (tmp_path / "no" / "w.pt", "does not exist")):
        with pytest.raises(UserError, match=words):
            write_weights(trained, out)
    assert there.read_bytes() == b"mine"
    write_weights(trained, there, force=True)
    assert checkpoint.load(there)["kind"] == checkpoint.WEIGHTS_KIND


def test_another_average_can_be_taken(trained: Path, tmp_path: Path) -> None:
    state = checkpoint.load(trained)
    best = state["best_ema"]
    state["ema"]["7"] = {name: torch.zeros_like(tensor) for name, tensor in state["ema"][best].items()}
    checkpoint.save(state, tmp_path / "c.pt")
    write_weights(tmp_path / "c.pt", tmp_path / "w.pt", ema="7")
    reduced = checkpoint.load(tmp_path / "w.pt")
    assert reduced["best_ema"] == "7"
    assert all(not tensor.any() for tensor in reduced["ema"]["7"].values())
    with pytest.raises(UserError, match=f"averages of {best}, 7 kimg"):
        write_weights(tmp_path / "c.pt", tmp_path / "other.pt", ema="9")


@pytest.mark.parametrize("value", [float("nan"), 7e4])
def test_weights_beyond_half_precision_are_refused(trained: Path, tmp_path: Path, value: float) -> None:
    state = checkpoint.load(trained)
    weight = next(tensor for tensor in tensors(state["D"]) if tensor.is_floating_point())
    weight[(0,) * weight.dim()] = value
    checkpoint.save(state, tmp_path / "c.pt")
    with pytest.raises(UserError, match="float16"):
        write_weights(tmp_path / "c.pt", tmp_path / "w.pt")
    assert not (tmp_path / "w.pt").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint.save({"cur_nimg": 1}, tmp_path / "c.pt")
    with pytest.raises(UserError, match="lacks or garbles 'config'"):
        write_weights(tmp_path / "c.pt", tmp_path / "w.pt")

"""The supervised loop: a run that is stopped and resumed is the uninterrupted one, and what its folder holds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from genface.errors import UserError
from trainface import checkpoint
from trainface.history import read_history
from trainface.schedules import Cosine
from trainface.step import Stats
from trainface.supervised.config import SupervisedConfig
from trainface.supervised.run import train_run
from trainface.supervised.task import Networks, Part, Task, Turn

KIND = "trainface-guess"


@dataclass(frozen=True, kw_only=True)
class GuessConfig(SupervisedConfig):
    target: float = 0.5
    """The colour to be learnt."""


CONFIG = GuessConfig(
    preset="guess", size=16, batch=4, kimg=0.04, tick_kimg=0.016, lr=Cosine(0.1, 0.01), ema_halflife_kimg=0.01
)


class Guess(Task):
    """Learn a colour from noise, with a judge beside it and a frozen network that ships."""

    kind = KIND
    said = ("loss", "holdout_error")
    columns = 2

    def __init__(self, config: GuessConfig, key: str = "a", stop_at: int | None = None) -> None:
        self.config, self._key, self._stop_at = config, key, stop_at
        self.net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        self.judge = nn.Linear(3, 1)
        self.frozen = {"ruler": nn.Linear(1, 1)}
        self.parts = {
            "net": Part(networks={"net": self.net}, lr=config.lr, beta1=0.9, beta2=0.99),
            "judge": Part(networks={"judge": self.judge}, lr=Cosine(0.01, 0.01), beta1=0.0, beta2=0.9, averaged=False),
        }

    def step(self, turn: Turn) -> Stats:
        if turn.cur_nimg == self._stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        noise = torch.randn(self.config.batch, 3, generator=turn.rng)
        with turn.autocast():
            answer = self.net(noise)
        answer = answer.to(torch.float32)
        loss = (answer - self.config.target).square().mean() + 0.01 * self.judge(answer).mean()
        stats = turn.descend("net", loss)
        return {"loss": loss.detach()} | stats | turn.descend("judge", self.judge(answer.detach()).square().mean())

    def pictures(self, networks: Networks) -> NDArray[np.uint8]:
        assert set(networks) == {"net", "ruler"}
        level = networks["net"](torch.zeros(1, 3)).mean().clamp(0, 1) * 255
        return np.full((4, 16, 16, 3), int(level), np.uint8)

    def measure(self, networks: Networks) -> dict[str, float]:
        return {"holdout_error": float((networks["net"](torch.zeros(1, 3)) - self.config.target).abs().mean())}

    def facts(self) -> dict[str, Any]:
        return {"data": {"key": self._key}}

    def identity(self) -> dict[str, str]:
        return {"data": self._key}


def run_it(path: Path, config: GuessConfig = CONFIG, make: Callable[[], Task] | None = None) -> bool:
    def open_task(device: torch.device) -> Task:
        return make() if make else Guess(config)

    return train_run(path, config, device_name="cpu", kind=KIND, format_version=1, open_task=open_task)


def state_of(path: Path) -> dict[str, Any]:
    return checkpoint.load_kind(path / "checkpoint.pt", KIND, 1)


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Equal to the bit, all through a nest of dicts and lists."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}/{index}")
    else:
        assert one == other, where


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(tmp_path: Path, precision: str) -> None:
    config = replace(CONFIG, precision=precision)
    assert run_it(tmp_path / "whole", config)
    # Asked to stop in the middle of the second tick: the step is finished, the half tick is kept.
    assert not run_it(tmp_path / "parted", config, lambda: Guess(config, stop_at=20))
    assert state_of(tmp_path / "parted")["cur_nimg"] == 24
    assert run_it(tmp_path / "parted", config)
    assert_equal(state_of(tmp_path / "parted"), state_of(tmp_path / "whole"))
    for name in ("loss", "net_lr", "holdout_error"):
        parted, whole = (read_history(tmp_path / run).column(name)[1] for run in ("parted", "whole"))
        np.testing.assert_array_equal(parted, whole)


def test_what_a_run_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert run_it(run, replace(CONFIG, kimg=0.4, tick_kimg=0.1, lr=Cosine(0.1, 0.0)))
    state = state_of(run)
    assert set(state["networks"]) == {"net", "judge", "ruler"}
    assert set(state["ema"]) == {"net", "ruler"}, "a critic has no average"
    assert not torch.equal(state["ema"]["net"]["0.bias"], state["networks"]["net"]["0.bias"])
    assert state["data"] == {"key": "a"}
    assert GuessConfig.from_dict(json.loads((run / "config.json").read_text())) == GuessConfig.from_dict(
        state["config"]
    )
    assert sorted(path.name for path in (run / "grids").iterdir()) == [f"{n:09d}.png" for n in (0, 100, 200, 300, 400)]
    assert [path.stem for path in checkpoint.kept(run)] == ["000000400", "000000300"]
    assert list((run / "tensorboard").iterdir())
    ticks = read_history(run).ticks
    assert [tick["kimg"] for tick in ticks] == [0.1, 0.2, 0.3, 0.4]
    assert ticks[-1]["holdout_error"] < 0.02 < ticks[0]["holdout_error"], "100 steps find a colour"
    assert ticks[-1]["net_lr"] == 0.0 < ticks[0]["net_lr"]
    said = capsys.readouterr()
    assert said.out.startswith(f"{run / 'checkpoint.pt'} at 0.4 kimg, ")
    assert "holdout_error 0.0" in said.out
    assert "done" in said.err

    assert run_it(run, replace(CONFIG, kimg=0.4, tick_kimg=0.1, lr=Cosine(0.1, 0.0)))
    assert "done before" in capsys.readouterr().err


def test_a_run_is_not_resumed_with_what_it_was_not_begun_with(tmp_path: Path) -> None:
    run_it(tmp_path / "run")
    with pytest.raises(UserError, match=r"other settings \(target: 0\.5 there, 0\.7 now\)"):
        run_it(tmp_path / "run", replace(CONFIG, target=0.7))
    with pytest.raises(UserError, match=r"another data \(a there, b now\)"):
        run_it(tmp_path / "run", CONFIG, lambda: Guess(CONFIG, key="b"))
    with pytest.raises(UserError, match="of kind trainface-guess, where one of kind trainface-other"):
        train_run(
            tmp_path / "run",
            CONFIG,
            device_name="cpu",
            kind="trainface-other",
            format_version=1,
            open_task=pytest.fail,
        )
    with pytest.raises(UserError, match="format 1 of trainface-guess, but this trainface reads 2"):
        checkpoint.load_kind(tmp_path / "run" / "checkpoint.pt", KIND, 2)
    with pytest.raises(UserError, match="of kind trainface-guess, not the checkpoint of a GAN's run"):
        checkpoint.load(tmp_path / "run" / "checkpoint.pt")


def test_a_longer_run_goes_on_and_says_that_schedules_moved(tmp_path: Path) -> None:
    run_it(tmp_path / "run")
    assert run_it(tmp_path / "run", replace(CONFIG, kimg=0.06))
    (event,) = read_history(tmp_path / "run").events
    assert "until here over 0.04 kimg, go on over 0.06" in event.message


def test_a_run_that_diverges_says_so_and_keeps_what_was_before(tmp_path: Path) -> None:
    class Bad(Guess):
        def step(self, turn: Turn) -> Stats:
            with torch.no_grad():
                self.net[0].bias.fill_(float("nan"))
            return super().step(turn)

    with pytest.raises(UserError, match=r"diverged before 0\.0 kimg.*smaller lr"):
        run_it(tmp_path / "run", CONFIG, lambda: Bad(CONFIG))
    assert state_of(tmp_path / "run")["networks"]["net"]["0.bias"].isfinite().all()


def test_gradients_that_are_not_finite_are_dropped(tmp_path: Path) -> None:
    class Spiky(Guess):
        def step(self, turn: Turn) -> Stats:
            before = self.net[0].bias.detach().clone()
            stats = turn.descend("net", self.net[0].bias.sum() * float("inf"))
            assert torch.equal(self.net[0].bias, before)
            return super().step(turn) | {"net_dropped": stats["net_dropped"]}

    assert run_it(tmp_path / "run", CONFIG, lambda: Spiky(CONFIG))
    assert read_history(tmp_path / "run").ticks[0]["net_dropped"] == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": "3"}, "unknown setting 'sizes'; did you mean size?"),
        ({"batch": "0"}, "batch=0: must be more than 0"),
        ({"lr": "2"}, "lr=2: must be 0 to 1"),
        ({"precision": "fp8"}, "precision=fp8: must be auto, bf16, fp32"),
        ({"kimg": "x"}, "kimg=x: not a value of kind float"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CONFIG.with_settings(settings)

"""The choice of gamma, on simulated trainers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from genface.errors import UserError
from trainface.config import OFF, Config
from trainface.presets import preset
from trainface.schedules import Cosine
from trainface.watch import gamma_probe
from trainface.watch.gamma_probe import PROBE_STEPS, probe_gamma

S64 = preset("s64")
FITS, AHEAD, FAR_AHEAD, BROKEN = (0.84, 1.7), (0.97, 1.5), (0.85, 2.6), (0.8, math.nan)


class Simulated:
    """After a head start of D, pair accuracy and g_loss stay at those of its gamma."""

    made: list[Cosine]

    def __init__(self, outcomes: dict[float, tuple[float, float]]) -> None:
        self.outcomes, self.made = outcomes, []

    def __call__(self, config: Config) -> Simulated:
        assert replace(config, gamma=S64.gamma) == S64, "nothing but gamma differs"
        self.made.append(config.gamma)
        self.steps = 0
        self.late = self.outcomes[config.gamma.start]
        return self

    def step(self) -> dict[str, Tensor]:
        self.steps += 1
        accuracy, g_loss = (0.99, 4.5) if self.steps <= 80 else self.late
        values = {"pair_accuracy": accuracy, "g_loss": g_loss, "d_loss": 0.4, "r1": 0.1}
        return {name: torch.tensor(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("outcomes", "tried", "chosen"),
    [
        ({10: FITS, 3.33: AHEAD}, [10, 3.33], Cosine(10.0, 1.0)),
        ({10: FITS, 3.33: FITS, 1: FAR_AHEAD}, [10, 3.33, 1], Cosine(3.33, 0.333)),
        ({10: FITS, 3.33: FITS, 1: FITS}, [10, 3.33, 1], Cosine(1.0, 0.1)),
        ({10: FITS, 3.33: BROKEN}, [10, 3.33], Cosine(10.0, 1.0)),
        ({10: AHEAD, 30: FITS}, [10, 30], Cosine(30.0, 3.0)),
        ({10: BROKEN, 30: FAR_AHEAD}, [10, 30], Cosine(30.0, 3.0)),
        ({10: AHEAD, 30: BROKEN}, [10, 30], Cosine(10.0, 1.0)),
    ],
)
def test_the_smallest_that_fits(outcomes: dict[float, tuple[float, float]], tried: list[float], chosen: Cosine) -> None:
    lines: list[str] = []
    trainers = Simulated(outcomes)
    assert probe_gamma(S64, trainers, lines.append) == chosen
    assert [gamma.start for gamma in trainers.made] == tried
    assert trainers.steps == PROBE_STEPS
    assert sum(line.startswith("gamma ") for line in lines) == len(tried), "a line for each"
    assert lines[-1] == f"taking gamma {chosen}"


def test_one_bad_step_in_the_middle_counts() -> None:
    class Stumbles(Simulated):
        def step(self) -> dict[str, Tensor]:
            stats = super().step()
            return stats | {"d_loss": torch.tensor(math.inf)} if self.steps == 40 else stats

    with pytest.raises(UserError, match="did not stay finite with any"):
        probe_gamma(S64, Stumbles({10: FITS, 30: FITS}), lambda line: None)


@pytest.mark.parametrize("config", [preset("dcgan64"), preset("dcgan64-tricks"), replace(S64, gamma=OFF)])
def test_runs_that_the_limits_do_not_fit_are_refused(config: Config) -> None:
    def never(_: Config) -> Simulated:
        raise AssertionError("nothing is tried")

    with pytest.raises(UserError, match="give gamma as a number"):
        probe_gamma(config, never, lambda line: None)


def test_a_slow_probe_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 3))
    monkeypatch.setattr(gamma_probe.time, "monotonic", lambda: float(next(clock)))
    lines: list[str] = []
    probe_gamma(S64, Simulated({10: AHEAD, 30: FITS}), lines.append)
    assert sum("of 160" in line for line in lines) >= 20


def test_the_probe_repeats_itself() -> None:
    """The same seed gives the same answer; a small real game stands for a trainer."""

    class Game:
        def __init__(self, config: Config) -> None:
            self.rng = torch.Generator().manual_seed(config.seed)
            self.lead, self.gamma = 0.0, config.gamma.start

        def step(self) -> dict[str, Tensor]:
            self.lead = 0.95 * self.lead + 1.0 / (1.0 + self.gamma)
            margin = self.lead + torch.randn(32, generator=self.rng)
            softplus: Callable[[Tensor], Tensor] = torch.nn.functional.softplus
            return {
                "pair_accuracy": (margin > 0).float().mean(),
                "g_loss": softplus(margin).mean(),
                "d_loss": softplus(-margin).mean(),
            }

    answers = []
    for _ in range(2):
        lines: list[str] = []
        answers.append((probe_gamma(replace(S64, gamma=Cosine(30.0, 3.0)), Game, lines.append), lines))
    assert answers[0] == answers[1]
    # A lead of 20 / (1 + gamma): 0.65 at 30, 1.8 at 10 (accuracy 0.96).
    assert answers[0][0] == Cosine(30.0, 3.0)

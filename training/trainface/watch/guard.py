"""Sees divergence and collapse coming, says so in plain words, and answers: a state machine over the ticks of a run.

The alarms and answers are the table `guard_rules.RULES`; one alarm is answered a tick. It must last 20 kimg before it
counts, nothing but numbers that are not finite counts in the first tenth of a run (early collapse is known to heal),
and after an answer the run gets 40 kimg to follow it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from trainface.config import OFF, Config
from trainface.watch.guard_rules import RULES, Rule

MAX_ROLL_BACKS = 3
_EARLY_SHARE = 0.1
_LASTING_NIMG = 20_000
_COOL_DOWN_NIMG = 40_000
_FEW_STEPS = 5
"""Dropped steps in a tick that are no storm yet, however short the tick."""
_RISING = 1.05
_NORMS_KEPT, _NORMS_NEEDED = 20, 3
_KID_FLOOR = 0.01
"""KID below it is not told from 0 by a few hundred images; a rise is measured from here."""
_STEEP_ENOUGH = 0.1
"""Penalty below which the proportion of R1 and R2 says nothing."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What a tick showed."""

    cur_nimg: int
    means: Mapping[str, float]
    """Means of the step's scalars over the tick, each over the steps in which it was finite; NaN where it never was.

    Read are d_loss (without its penalty), g_loss, pair_accuracy, r1, r2, d_grad_norm, g_grad_norm, and the shares of
    steps that were left out for their gradients, d_dropped and g_dropped. What is missing raises no alarm.
    """
    overfit_gap: float
    """`measures.overfit_gap`; 0 where nothing is held out."""
    diversity: float
    """`measures.diversity`."""
    out_of_range: float
    """`measures.out_of_range`, beyond what the faces explain."""
    kid: float | None
    """KID of the best averaged generator; None in ticks without a score."""
    finite_weights: float = 1.0
    """0 where weights hold NaN or infinity."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What the guard has changed: schedules are multiplied by these from now on, and `augment` is added to theirs."""

    gamma: float = 1.0
    g_lr: float = 1.0
    d_lr: float = 1.0
    augment: float = 0.0


_BOUNDS = {"gamma": (1 / 8, 8.0), "g_lr": (1 / 8, 1.0), "d_lr": (1 / 8, 2.0), "augment": (0.0, 0.3)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows from a tick."""

    messages: list[str]
    """Lines for people: what was seen, and what is done about it."""
    roll_back: bool
    """Take the newest kept checkpoint, all but the guard's own state, and go on with other random numbers."""
    stop: bool
    """End the run; the newest kept checkpoint is the last good state."""
    good: bool
    """Nothing is pending that may lead to a roll-back: a checkpoint of this tick is worth keeping."""


class Guard:
    """Judges tick after tick; `factors` are in force from the last verdict on, `roll_backs` counts those asked for."""

    def __init__(self, config: Config) -> None:
        self.factors = Factors()
        self._config = config
        self._rules = [rule for rule in RULES if not rule.losses or config.loss in rule.losses]
        self._last_nimg = 0
        self.roll_backs = 0
        self._cool_until = 0
        # By the rule's key: observations in a row with the alarm, and images seen before the first of them.
        self._pending: dict[str, tuple[int, int]] = {}
        self._unanswerable: list[str] = []
        self._norms: dict[str, list[float]] = {"d_grad_norm": [], "g_grad_norm": []}
        self._last_diversity = 0.0
        self._best_kid: float | None = None

    def observe(self, signals: Signals) -> Verdict:
        """Judge a tick. With `config.guard` off, only numbers that are not finite are answered, by a stop."""
        if signals.cur_nimg <= self._last_nimg:
            self._begin_again(signals.cur_nimg)
        values, dropped_steps = self._quantities(signals), self._dropped_steps(signals)
        lasting = self._lasting(values, signals.cur_nimg)
        self._remember(signals)
        if not self._config.guard:
            broken = values["broken"] > 0
            messages = ["weights or losses are not finite, and the guard is off: stopping"] if broken else []
            return Verdict(messages=messages, roll_back=False, stop=broken, good=not broken)

        messages = []
        if 0 < dropped_steps < _FEW_STEPS:
            messages.append(f"{dropped_steps:.0f} step(s) left out, as their gradients were not finite")
        for rule in lasting:
            seen = rule.means.format(values[rule.quantity])
            if rule.roll_back and self.roll_backs == MAX_ROLL_BACKS:
                messages.append(f"{seen}; {MAX_ROLL_BACKS} roll-backs did not help: stopping")
                return Verdict(messages=messages, roll_back=False, stop=True, good=False)
            changes = self._answer(rule)
            if changes or rule.roll_back:
                messages.append("; ".join([seen, *changes]))
                self._pending.clear()
                self._cool_until = signals.cur_nimg + _COOL_DOWN_NIMG
                return Verdict(messages=messages, roll_back=rule.roll_back, stop=False, good=False)
            if rule.key not in self._unanswerable:
                self._unanswerable.append(rule.key)
                messages.append(f"{seen}; the guard has nothing left to change about it")
        dangers = {rule.key for rule in self._rules if rule.roll_back}
        return Verdict(messages=messages, roll_back=False, stop=False, good=dangers.isdisjoint(self._pending))

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "factors": asdict(self.factors),
            "last_nimg": self._last_nimg,
            "roll_backs": self.roll_backs,
            "cool_until": self._cool_until,
            "pending": {key: list(streak) for key, streak in self._pending.items()},
            "unanswerable": list(self._unanswerable),
            "norms": {name: list(values) for name, values in self._norms.items()},
            "last_diversity": self._last_diversity,
            "best_kid": self._best_kid,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.factors = Factors(**state["factors"])
        self._last_nimg, self.roll_backs = state["last_nimg"], state["roll_backs"]
        self._cool_until = state["cool_until"]
        self._pending = {key: (ticks, nimg) for key, (ticks, nimg) in state["pending"].items()}
        self._unanswerable = list(state["unanswerable"])
        self._norms = {name: list(values) for name, values in state["norms"].items()}
        self._last_diversity, self._best_kid = state["last_diversity"], state["best_kid"]

    def _quantities(self, signals: Signals) -> dict[str, float]:
        """What the rules look at; NaN where this tick or this run tells nothing of it."""
        means = signals.means
        gamma = self._config.gamma.at(self._config.progress(signals.cur_nimg)) * self.factors.gamma
        r1, r2 = means.get("r1", math.nan), means.get("r2", math.nan)
        penalty = 0.5 * gamma * max(r1, r2 if "r2" in means else r1)
        finite = signals.finite_weights > 0 and all(map(math.isfinite, means.values()))
        storm = self._dropped_steps(signals) >= _FEW_STEPS
        rising = signals.diversity > _RISING * self._last_diversity
        return {
            "broken": 0.0 if finite else 1.0,
            "dropped": max(means.get("d_dropped", 0.0), means.get("g_dropped", 0.0)) if storm else 0.0,
            "diversity_unless_rising": math.inf if rising else signals.diversity,
            "out_of_range": signals.out_of_range,
            "kid_over_best": self._over_best(signals.kid),
            "pair_accuracy": means.get("pair_accuracy", math.nan),
            "d_grad_ratio": self._over_usual("d_grad_norm", means),
            "g_grad_ratio": self._over_usual("g_grad_norm", means),
            "penalty": penalty,
            "r2_over_r1": r2 / r1 if r1 > 0 and penalty > _STEEP_ENOUGH else math.nan,
            "g_loss": means.get("g_loss", math.nan),
            "d_loss": means.get("d_loss", math.nan),
            "overfit_gap": signals.overfit_gap,
        }

    def _lasting(self, values: Mapping[str, float], cur_nimg: int) -> list[Rule]:
        """The rules to answer now, most trusted first; counts how long each alarm has lasted."""
        early = cur_nimg < _EARLY_SHARE * 1000 * self._config.kimg
        lasting: list[Rule] = []
        for rule in self._rules:
            value = values[rule.quantity]
            if rule.at_once and rule.alarms(value):
                lasting.append(rule)
            if rule.at_once or early or math.isnan(value):
                continue
            if not rule.alarms(value):
                self._pending.pop(rule.key, None)
                continue
            ticks, since = self._pending.get(rule.key, (0, self._last_nimg))
            self._pending[rule.key] = ticks + 1, since
            lasts = ticks + 1 >= rule.ticks and cur_nimg - since >= _LASTING_NIMG
            if lasts and cur_nimg >= self._cool_until:
                lasting.append(rule)
        return lasting

    def _remember(self, signals: Signals) -> None:
        self._last_nimg = signals.cur_nimg
        self._last_diversity = signals.diversity
        if signals.kid is not None and (self._best_kid is None or signals.kid < self._best_kid):
            self._best_kid = signals.kid
        for name, norms in self._norms.items():
            if math.isfinite(norm := signals.means.get(name, math.nan)):
                norms.append(norm)
                del norms[:-_NORMS_KEPT]

    def _begin_again(self, cur_nimg: int) -> None:
        """Rolled back: the tick at hand began at the checkpoint, and the time to follow an answer counts from there."""
        self._pending.clear()
        self._last_nimg = max(0, cur_nimg - round(1000 * self._config.tick_kimg))
        self._cool_until = min(self._cool_until, self._last_nimg + _COOL_DOWN_NIMG)

    def _answer(self, rule: Rule) -> list[str]:
        """Move the factors within their bounds, where the run has what they act on; returns what changed, in words."""
        config, old = self._config, asdict(self.factors)
        acts = {"gamma": config.gamma != OFF, "augment": config.augment != OFF or config.augment_target > 0}
        new = {
            name: min(max(value + rule.augment if name == "augment" else value * getattr(rule, name), low), high)
            if acts.get(name, True)
            else value
            for (name, value), (low, high) in zip(old.items(), _BOUNDS.values(), strict=True)
        }
        self.factors = Factors(**new)
        changes = [
            f"{name} now {f'{value:+.2f} on' if name == 'augment' else f'{value:.3g} times'} its schedule"
            for name, value in new.items()
            if value != old[name]
        ]
        if rule.roll_back:
            self.roll_backs += 1
            changes.insert(0, f"back to the last good checkpoint ({self.roll_backs} of at most {MAX_ROLL_BACKS} times)")
        return changes

    def _dropped_steps(self, signals: Signals) -> float:
        steps = (signals.cur_nimg - self._last_nimg) / (self._config.batch * self._config.d_steps)
        return steps * max(signals.means.get("d_dropped", 0.0), signals.means.get("g_dropped", 0.0))

    def _over_best(self, kid: float | None) -> float:
        if kid is None or self._best_kid is None:
            return math.nan
        return kid / max(self._best_kid, _KID_FLOOR)

    def _over_usual(self, name: str, means: Mapping[str, float]) -> float:
        """A gradient norm over its median in earlier ticks."""
        norms = self._norms[name]
        usual = median(norms) if len(norms) >= _NORMS_NEEDED else 0.0
        return means.get(name, math.nan) / usual if usual > 0 else math.nan

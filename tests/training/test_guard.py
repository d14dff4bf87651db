"""The guard on simulated runs: quiet where training is healthy, and the right answer to each way of failing."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from trainface.config import OFF, Config
from trainface.presets import preset
from trainface.schedules import Cosine
from trainface.watch.guard import MAX_ROLL_BACKS, Factors, Guard, Signals, Verdict
from trainface.watch.guard_rules import RULES

S64 = replace(preset("s64"), kimg=400.0)
DCGAN = replace(preset("dcgan64"), kimg=140.0)
HEALTHY = {"d_loss": 0.64, "g_loss": 0.85, "pair_accuracy": 0.78, "r1": 0.004, "r2": 0.004,
           "d_grad_norm": 0.3, "g_grad_norm": 0.2, "d_dropped": 0.0, "g_dropped": 0.0}  # fmt: skip


def tick(
    kimg: float,
    *,
    diversity: float = 0.9,
    gap: float = 0.05,
    out: float = 0.02,
    kid: float | None = None,
    weights: float = 1.0,
    **means: float,
) -> Signals:
    return Signals(
        cur_nimg=round(kimg * 1000),
        means=HEALTHY | means,
        overfit_gap=gap,
        diversity=diversity,
        out_of_range=out,
        kid=kid,
        finite_weights=weights,
    )


def observe(guard: Guard, ticks: list[Signals]) -> list[Verdict]:
    return [guard.observe(signals) for signals in ticks]


def after_the_start(config: Config = S64) -> Guard:
    """A guard that has seen 100 healthy kimg."""
    guard = Guard(config)
    assert not any(verdict.messages for verdict in observe(guard, [tick(kimg) for kimg in range(10, 101, 10)]))
    return guard


def test_a_healthy_s64_run_is_left_alone() -> None:
    # Of a run of 2026-11-22 on AFHQ-cat.
    logged = [(0.423, 0.858, 0.090, 1.863), (0.636, 0.713, 0.011, 0.954), (0.637, 0.750, 0.005, 0.878),
              (0.648, 0.755, 0.004, 0.838), (0.656, 0.780, 0.002, 0.798), (0.494, 0.889, 0.072, 1.122)]  # fmt: skip
    guard = Guard(S64)
    for step in range(40):
        d_loss, accuracy, r1, g_loss = logged[min(step // 7, 5)]
        kid = 0.08 - 0.001 * step if step % 5 == 0 else None
        means = {"d_loss": d_loss, "pair_accuracy": accuracy, "r1": r1, "r2": r1 * 0.98, "g_loss": g_loss}
        verdict = guard.observe(tick(10 * (step + 1), kid=kid, diversity=0.85 + 0.002 * step, **means))
        assert verdict == Verdict(messages=[], roll_back=False, stop=False, good=True)
    assert guard.factors == Factors()


def test_a_healthy_dcgan_is_not_crippled() -> None:
    guard = Guard(DCGAN)
    # Of a run of 2026-11-22 on AFHQ-cat, in ticks of 20 kimg: d_loss, pair accuracy, g_loss, diversity.
    logged = [(0.696, 0.958, 10.0, 0.366), (0.632, 0.961, 5.09, 0.639), (0.698, 0.951, 5.14, 0.759),
              (0.618, 0.963, 5.11, 0.812), (0.645, 0.968, 5.20, 0.847)]  # fmt: skip
    for step in range(7):
        d_loss, accuracy, g_loss, spread = logged[min(step, 4)]
        verdict = guard.observe(
            tick(20 * (step + 1), diversity=spread, out=0.0, d_loss=d_loss, pair_accuracy=accuracy, g_loss=g_loss)
        )
        assert verdict == Verdict(messages=[], roll_back=False, stop=False, good=True)


def test_a_wasserstein_critic_has_no_level() -> None:
    guard = after_the_start(replace(S64, loss="wgan"))
    bad = [tick(kimg, pair_accuracy=0.999, d_loss=-12.0, g_loss=30.0) for kimg in range(110, 200, 10)]
    bad += [tick(kimg, pair_accuracy=0.3, d_loss=0.001) for kimg in range(200, 300, 10)]
    assert not any(verdict.messages for verdict in observe(guard, bad))


def test_d_too_strong_is_answered_after_it_has_lasted_and_again_after_the_cool_down() -> None:
    guard = after_the_start()
    verdicts = observe(guard, [tick(kimg, pair_accuracy=0.985) for kimg in range(110, 180, 10)])
    assert [bool(verdict.messages) for verdict in verdicts] == [False, True, False, False, False, True, False]
    assert "98.5% of the pairs" in verdicts[1].messages[0]
    assert "gamma now 2 times its schedule" in verdicts[1].messages[0]
    assert not any(verdict.roll_back or verdict.stop for verdict in verdicts)
    assert guard.factors == Factors(gamma=4.0, d_lr=pytest.approx(1 / 1.5**2), augment=pytest.approx(0.1))


def test_a_passing_alarm_is_no_alarm() -> None:
    guard = after_the_start()
    flickering = [tick(kimg, pair_accuracy=0.99 if kimg % 20 else 0.9) for kimg in range(110, 310, 10)]
    assert not any(verdict.messages for verdict in observe(guard, flickering))


def test_short_ticks_do_not_shorten_the_patience() -> None:
    guard = after_the_start()
    verdicts = observe(guard, [tick(100 + step, pair_accuracy=0.99) for step in range(1, 21)])
    assert [bool(verdict.messages) for verdict in verdicts] == [False] * 19 + [True]


def test_d_lost() -> None:
    guard = after_the_start()
    verdicts = observe(guard, [tick(kimg, pair_accuracy=0.5, d_loss=0.693) for kimg in (110, 120)])
    assert "no better than by chance" in verdicts[1].messages[0]
    assert guard.factors == Factors(gamma=0.5, d_lr=1.5)


def test_bce_d_that_has_won() -> None:
    guard = Guard(DCGAN)
    verdicts = observe(guard, [tick(kimg, d_loss=0.01, g_loss=12.0) for kimg in (20, 40, 60)])
    assert "it has won" in verdicts[1].messages[0]
    # It has no penalty and no augmentation: what is off stays off.
    assert guard.factors == Factors(d_lr=pytest.approx(1 / 1.5))


@pytest.mark.parametrize(
    ("means", "words", "factors"),
    [
        ({"r1": 2.0, "r2": 2.1}, "too steep", Factors(gamma=2.0)),
        ({"r1": 0.01, "r2": 0.5}, "50 times as steep", Factors(gamma=2.0)),
        ({"d_grad_norm": 30.0}, "100 times as long", Factors(d_lr=0.5)),
        ({"g_grad_norm": 30.0}, "150 times as long", Factors(g_lr=0.5)),
        ({"g_loss": 5.0}, "loss is 5.0", Factors(gamma=2.0, d_lr=1 / 1.5, augment=0.05)),
    ],
)
def test_single_signals(means: dict[str, float], words: str, factors: Factors) -> None:
    guard = after_the_start()
    verdicts = observe(guard, [tick(kimg, **means) for kimg in (110, 120)])
    assert not verdicts[0].messages
    assert words in verdicts[1].messages[0]
    assert guard.factors == factors


def test_overfitting_raises_augmentation_only_where_there_is_some() -> None:
    guard = after_the_start()
    observe(guard, [tick(kimg, gap=0.6) for kimg in (110, 120)])
    assert guard.factors == Factors(augment=0.05)

    plain = after_the_start(replace(S64, augment=OFF))
    verdicts = observe(plain, [tick(kimg, gap=0.6) for kimg in range(110, 300, 10)])
    said = [message for verdict in verdicts for message in verdict.messages]
    assert len(said) == 1, "what cannot be answered is said once"
    assert "nothing left to change" in said[0]
    assert all(verdict.good for verdict in verdicts)
    assert plain.factors == Factors()
    # And it keeps nothing else waiting.
    assert observe(plain, [tick(kimg, diversity=0.2, gap=0.6) for kimg in (300, 310)])[1].roll_back


def test_collapse_rolls_back_and_the_run_goes_on() -> None:
    guard = after_the_start()
    first, second = observe(guard, [tick(110, diversity=0.35), tick(120, diversity=0.2)])
    assert not first.messages
    assert not first.good, "a checkpoint of a collapse in the making is not worth keeping"
    assert second.roll_back
    assert not second.stop
    assert "0.20 times as diverse" in second.messages[0]
    assert "1 of at most 3" in second.messages[0]
    assert guard.factors == Factors(gamma=2.0, g_lr=0.5)
    again = observe(guard, [tick(kimg) for kimg in range(110, 200, 10)])
    assert all(verdict.good and not verdict.messages for verdict in again)


def test_little_diversity_that_grows_is_a_beginning() -> None:
    guard = Guard(S64)
    rising = [tick(10 * step, diversity=0.02 * 1.1**step) for step in range(1, 35)]
    assert not any(verdict.messages for verdict in observe(guard, rising))


def test_the_first_tenth_is_left_alone_but_for_numbers_that_are_not_finite() -> None:
    guard = Guard(S64)
    wild = [tick(kimg, diversity=0.01, pair_accuracy=1.0, out=0.9, g_loss=20.0) for kimg in (10, 20, 30)]
    assert not any(verdict.messages for verdict in observe(guard, wild))
    assert guard.observe(tick(39.9, weights=0.0)).roll_back


@pytest.mark.parametrize("means", [{"d_dropped": 0.05}, {"g_dropped": 0.5}, {"d_loss": math.nan}])
def test_a_storm_of_nan_rolls_back_at_once(means: dict[str, float]) -> None:
    guard = after_the_start()
    verdict = guard.observe(tick(110, **means))
    assert verdict.roll_back
    assert "not finite" in verdict.messages[0]
    assert guard.factors == Factors(g_lr=0.5, d_lr=0.5)


def test_a_few_dropped_steps_are_said_and_no_more() -> None:
    guard = after_the_start()
    # 3 of the 312 steps of a tick of 10 kimg at batch 32.
    verdict = guard.observe(tick(110, d_dropped=3 / 312.5))
    assert verdict.messages == ["3 step(s) left out, as their gradients were not finite"]
    assert verdict.good
    assert guard.factors == Factors()


def test_kid_that_rises_for_three_scores_rolls_back() -> None:
    guard = after_the_start()
    kids = {110: 0.04, 150: 0.07, 200: 0.08, 250: 0.09}
    verdicts = {kimg: guard.observe(tick(kimg, kid=kids.get(kimg))) for kimg in range(110, 251, 10)}
    assert [kimg for kimg, verdict in verdicts.items() if verdict.messages] == [250]
    assert verdicts[250].roll_back
    assert "KID is 2.2 times its best" in verdicts[250].messages[0]
    assert verdicts[140].good
    assert not verdicts[190].good, "after the first bad score no checkpoint is kept"


def test_kid_near_zero_does_not_alarm_by_its_noise() -> None:
    guard = after_the_start()
    kids = [-0.001, 0.003, 0.004, 0.006, 0.005, 0.007]
    assert not any(v.messages for v in observe(guard, [tick(110 + 10 * i, kid=kid) for i, kid in enumerate(kids)]))


def test_three_roll_backs_then_stop() -> None:
    guard = after_the_start()
    for count in range(1, MAX_ROLL_BACKS + 1):
        verdict = guard.observe(tick(110, weights=0.0))
        assert verdict.roll_back
        assert f"({count} of at most 3 times)" in verdict.messages[0]
    assert guard.factors == Factors(g_lr=1 / 8, d_lr=1 / 8)
    last = guard.observe(tick(110, weights=0.0))
    assert last.stop
    assert not last.roll_back
    assert "3 roll-backs did not help" in last.messages[0]


def test_factors_stay_within_bounds() -> None:
    guard = after_the_start(replace(S64, kimg=1000.0))
    observe(guard, [tick(kimg, pair_accuracy=0.99) for kimg in range(110, 900, 10)])
    assert guard.factors == Factors(gamma=8.0, d_lr=1 / 8, augment=pytest.approx(0.3))


def test_without_a_guard_only_numbers_that_are_not_finite_stop() -> None:
    guard = Guard(replace(S64, guard=False))
    bad = [tick(kimg, pair_accuracy=0.99, diversity=0.0) for kimg in range(100, 400, 10)]
    assert not any(verdict.messages or verdict.stop for verdict in observe(guard, bad))
    verdict = guard.observe(tick(400, weights=0.0))
    assert verdict.stop
    assert not verdict.roll_back
    assert guard.factors == Factors()


def test_a_resumed_guard_judges_like_the_uninterrupted_one() -> None:
    bumpy = [
        tick(kimg, pair_accuracy=0.985 if kimg > 130 else 0.8, diversity=0.3 if kimg in (260, 270, 280) else 0.9,
             kid=0.05 * (1 + kimg / 100) if kimg % 50 == 0 else None, d_grad_norm=0.3 + kimg / 1000)
        for kimg in range(10, 400, 10)
    ]  # fmt: skip
    whole, part = Guard(S64), Guard(S64)
    expected = observe(whole, bumpy)
    got = []
    for signals in bumpy:
        got.append(part.observe(signals))
        state = part.state_dict()
        part = Guard(S64)
        part.load_state_dict(json.loads(json.dumps(state)))
    assert got == expected
    assert part.factors == whole.factors
    assert any(verdict.roll_back for verdict in expected)
    assert sum(bool(verdict.messages) for verdict in expected) >= 3


def test_the_table_is_sound() -> None:
    quantities = Guard(S64)._quantities(tick(10))
    keys = [
        (rule.key, loss) for rule in RULES for loss in rule.losses or ("relativistic", "bce", "lsgan", "hinge", "wgan")
    ]
    assert len(set(keys)) == len(keys), "two rows of one loss share a place in the checkpoint"
    for rule in RULES:
        assert rule.quantity in quantities
        assert math.isinf(rule.above) != math.isinf(rule.below), f"{rule.key} alarms on one side"
        assert not rule.alarms(math.nan)
        assert "{" not in rule.means.format(0.5)


def test_a_penalty_of_length_one_is_no_squared_norm() -> None:
    config = replace(S64, loss="wgan", penalty="length-one", gamma=Cosine(10.0, 10.0))
    guard = Guard(config)
    without = {key: value for key, value in HEALTHY.items() if key not in ("r1", "r2")} | {"penalty": 50.0}
    ticks = [replace(tick(kimg), means=without) for kimg in range(50, 200, 10)]
    assert not any(verdict.messages for verdict in observe(guard, ticks))

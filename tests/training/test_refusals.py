"""Every rule about settings that contradict each other, and the presets, which break none."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genface.errors import UserError
from trainface.config import Config
from trainface.game.losses import LOSSES
from trainface.presets import PRESETS, preset
from trainface.refusals import CHANCE, IMPOSSIBLE, LABELLED_LOSSES, UNWISE, Rule, warnings

R3 = {"architecture": "r3", "g_widths": "8,8,8", "d_widths": "8,8,8"}
PYRAMID = R3 | {"architecture": "pyramid"}

# (preset, settings that are refused, what the message names, settings beside them that work)
REFUSED: list[tuple[str, dict[str, str], str, dict[str, str]]] = [
    ("tiny", {"d_norm": "batch", "gamma": "0"}, "only dcgan's D", {"d_norm": "none"}),
    ("tiny", {"g_noise": "0.1:0"}, "take instance_noise", {"g_noise": "0", "instance_noise": "0.1:0"}),
    ("tiny", {"d_noise": "0:0.1"}, "take instance_noise", {"d_noise": "0", "instance_noise": "0:0.1"}),
    ("tiny", {"blocks": "2"}, "architecture=r3", R3),
    ("tiny-dcgan", {"gamma": "10:0"}, "take d_norm=instance", {"d_norm": "instance"}),
    ("tiny-dcgan", {"gamma": "0:10", "penalty": "length-one"}, "d_norm=batch", {"d_norm": "spectral"}),
    ("tiny-dcgan", {"loss": "wgan"}, "penalty=length-one", {"gamma": "10", "penalty": "length-one", "d_norm": "none"}),
    ("tiny-dcgan", {"loss": "wgan", "gamma": "10:0", "d_norm": "none"}, "at all times", {"d_norm": "spectral"}),
    ("tiny", {"loss": "wgan", "skip_d_below": "0.5:0"}, "stop for good", {"skip_d_below": "0"}),
    ("tiny", {"loss": "lsgan", "skip_d_below": "0.5"}, "no better than chance", {"skip_d_below": "0.4"}),
    ("tiny", {"skip_d_below": "0.8"}, "0.69 (relativistic)", {"loss": "bce"}),
    ("tiny", {"soft_labels": "0.1"}, "take loss=bce", {"loss": "bce"}),
    ("tiny", {"label_noise": "0.1:0"}, "take loss=bce", {"loss": "lsgan"}),
    ("tiny", {"label_flips": "0:0.1"}, "take loss=bce", {"loss": "hinge"}),
    ("tiny", {"real_as_fake": "0.1"}, "take loss=bce", {"loss": "bce"}),
    ("tiny", {"g_label_swap": "1:0.5"}, "g_label_swap=1:0.5, loss=relativistic", {"loss": "bce"}),
    ("tiny", {"loss": "wgan", "soft_labels": "0.1"}, "loss=wgan", {"loss": "bce"}),
    ("tiny-dcgan", {"label_flips": "0.5"}, "coin", {"label_flips": "0.5:0"}),
    ("tiny-dcgan", {"real_as_fake": "0.1", "batch": "1"}, "both sides", {"batch": "2"}),
    ("tiny", {**PYRAMID, "replay": "0.1"}, "reads them all", {"replay": "0"}),
    ("tiny", {"augment_target": "0.3", "holdout": "0"}, "take holdout=0.05", {"holdout": "0.05"}),
]

# (preset, unwise settings, what the message names, settings beside them that are fine)
WARNED: list[tuple[str, dict[str, str], str, dict[str, str]]] = [
    ("tiny", {"gamma": "0"}, "tends to collapse", {"gamma": "1"}),
    ("tiny", {"gamma": "1:0"}, "gamma=1:0", {"gamma": "1:0.1"}),
    ("tiny-dcgan", {"loss": "relativistic"}, "d_norm other than batch", {"gamma": "1", "d_norm": "none"}),
    ("tiny", {"penalty": "r1"}, "take penalty=r1r2", {"penalty": "r1r2"}),
    ("tiny-dcgan", {"skip_d_below": "0.5", "d_lr": "4e-4"}, "oscillate", {"g_lr": "4e-4"}),
    ("tiny", {"loss": "wgan"}, "take d_steps=5", {"d_steps": "5"}),
    ("tiny", {"loss": "wgan", "d_steps": "5", "beta1": "0.5"}, "take beta1=0", {"beta1": "0"}),
    ("tiny-dcgan", {"loss": "lsgan", "g_label_swap": "0.9"}, "loss=bce", {"loss": "bce"}),
    ("tiny-dcgan", {"g_label_swap": "0"}, "minimax", {"g_label_swap": "0:1"}),
    ("tiny-dcgan", {"label_flips": "0.4:0"}, "D learns little", {"label_flips": "0.2:0"}),
    ("tiny-dcgan", {"replay": "0:0.9"}, "draws now", {"replay": "0:0.5"}),
    ("tiny-dcgan", {"augment_target": "0.3"}, "BatchNorm adapts", {"d_norm": "none"}),
]


@pytest.mark.parametrize(("name", "bad", "says", "mended"), REFUSED)
def test_refused_with_the_reason_and_a_way_out(
    name: str, bad: dict[str, str], says: str, mended: dict[str, str]
) -> None:
    with pytest.raises(UserError) as refusal:
        preset(name).with_settings(bad)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    preset(name).with_settings(bad | mended)


@pytest.mark.parametrize(("name", "bad", "says", "mended"), WARNED)
def test_unwise_settings_are_told_and_allowed(
    name: str, bad: dict[str, str], says: str, mended: dict[str, str]
) -> None:
    lines = warnings(preset(name).with_settings(bad))
    assert len([line for line in lines if says in line]) == 1
    assert not [line for line in warnings(preset(name).with_settings(bad | mended)) if says in line]


def broken(rules: tuple[Rule, ...], name: str, settings: dict[str, str]) -> set[int]:
    """Which of the rules hold for settings that no configuration has checked."""
    values = vars(preset(name))
    kinds = {key: getattr(type(values[key]), "parse", type(values[key])) for key in settings}
    unchecked: Any = SimpleNamespace(**values | {key: kinds[key](text) for key, text in settings.items()})
    return {index for index, rule in enumerate(rules) if rule.holds(unchecked)}


def test_every_rule_is_tried_above() -> None:
    refused = set().union(*(broken(IMPOSSIBLE, name, bad) for name, bad, _, _ in REFUSED))
    without_kinds = {index for index, rule in enumerate(IMPOSSIBLE) if "augment_kinds" in rule.settings}
    assert refused | without_kinds == set(range(len(IMPOSSIBLE)))
    assert set().union(*(broken(UNWISE, name, bad) for name, bad, _, _ in WARNED)) == set(range(len(UNWISE)))


def test_augmentation_of_no_kind_is_refused() -> None:
    record = preset("tiny").to_dict() | {"augment_kinds": []}
    with pytest.raises(UserError, match="no kind of augmentation"):
        Config.from_dict(record)
    Config.from_dict(record | {"augment": "0"})


def test_adaptive_augmentation_may_start_from_nothing() -> None:
    preset("tiny").with_settings({"augment": "0", "augment_target": "0.3"})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_break_no_rule(name: str) -> None:
    assert warnings(preset(name)) == []


def test_the_tables_know_every_loss() -> None:
    assert {name for name, loss in LOSSES.items() if loss.labelled} == LABELLED_LOSSES
    assert set(CHANCE) == set(LOSSES) - {"wgan"}


@pytest.mark.parametrize(("name", "level"), [("bce", 0.0), ("lsgan", 0.5), ("hinge", 0.0), ("relativistic", 0.0)])
def test_chance_is_the_loss_of_a_d_that_tells_nothing_apart(name: str, level: float) -> None:
    logits = torch.full((4, 1), level)
    assert LOSSES[name].discriminator(logits, logits, None).item() == pytest.approx(CHANCE[name])

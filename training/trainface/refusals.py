"""Combinations of settings that cannot work, and those that seldom do: what, why, and what to take instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genface.errors import UserError

if TYPE_CHECKING:
    from trainface.config import Config
    from trainface.schedules import Cosine

# As `losses.LOSSES` has it; written here too, because that table needs torch and a configuration does not.
LABELLED_LOSSES = frozenset({"bce", "lsgan", "hinge"})

# The loss of a D that tells nothing apart, with hard labels: two sides of ln 2, of (1/2)^2, of 1; one ln 2 for a pair.
CHANCE = {"bce": 2 * math.log(2), "lsgan": 0.5, "hinge": 2.0, "relativistic": math.log(2)}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One combination of settings."""

    settings: tuple[str, ...]
    """The settings that meet in it; the message quotes them with their values."""
    holds: Callable[[Config], bool]
    """Whether a configuration has it."""
    reason: str
    """What goes wrong."""
    instead: str
    """The nearest that works."""

    def message(self, config: Config) -> str:
        """One line that names the values, the reason and the way out."""
        values = ", ".join(f"{name}={_text(getattr(config, name))}" for name in self.settings)
        return f"{values}: {self.reason}; {self.instead}"


def refuse_impossible(config: Config) -> None:
    """Raise UserError for a configuration whose parts contradict each other."""
    for rule in IMPOSSIBLE:
        if rule.holds(config):
            raise UserError(rule.message(config))


def warnings(config: Config) -> list[str]:
    """A line for each part of a possible configuration that is known to end badly."""
    return [rule.message(config) for rule in UNWISE if rule.holds(config)]


def _most(schedule: Cosine) -> float:
    return max(schedule.start, schedule.end)


def _least(schedule: Cosine) -> float:
    return min(schedule.start, schedule.end)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _label_trick(name: str, is_on: Callable[[Cosine], bool]) -> Rule:
    return Rule(
        settings=(name, "loss"),
        holds=lambda c: is_on(getattr(c, name)) and c.loss not in LABELLED_LOSSES,
        reason="this loss compares no image with a label, so there is none to change",
        instead=f"take loss=bce (or lsgan, hinge), or leave {name} at its default",
    )


def _noise_layer(name: str) -> Rule:
    return Rule(
        settings=(name, "architecture"),
        holds=lambda c: _most(getattr(c, name)) > 0 and c.architecture != "dcgan",
        reason="only dcgan has noise layers",
        instead="take instance_noise, which is on D's input and works everywhere, or architecture=dcgan",
    )


IMPOSSIBLE: tuple[Rule, ...] = (
    # The networks.
    Rule(
        settings=("d_norm", "architecture"),
        holds=lambda c: c.d_norm != "none" and c.architecture != "dcgan",
        reason="only dcgan's D has a place for a normalisation",
        instead="take d_norm=none, or architecture=dcgan",
    ),
    _noise_layer("g_noise"),
    _noise_layer("d_noise"),
    Rule(
        settings=("blocks", "architecture"),
        holds=lambda c: c.blocks > 1 and c.architecture != "r3",
        reason="only r3 is made of residual blocks",
        instead="take blocks=1, or architecture=r3",
    ),
    # The game.
    Rule(
        settings=("gamma", "d_norm"),
        holds=lambda c: _most(c.gamma) > 0 and c.d_norm == "batch",
        reason="a gradient penalty is one image's own, and BatchNorm lets every logit depend on the whole batch",
        instead="take d_norm=instance (or spectral, none), or gamma=0",
    ),
    Rule(
        settings=("loss", "gamma", "d_norm"),
        holds=lambda c: c.loss == "wgan" and _least(c.gamma) == 0 and c.d_norm != "spectral",
        reason="without a bound on D's slope at all times its loss falls without end",
        instead="take penalty=length-one with gamma=10 and d_norm other than batch, or dcgan with d_norm=spectral",
    ),
    Rule(
        settings=("skip_d_below", "loss"),
        holds=lambda c: _most(c.skip_d_below) > 0 and c.loss == "wgan",
        reason="this loss is minus a distance, so the worse the pictures the lower it is, and D would stop for good",
        instead="take skip_d_below=0, or loss=bce",
    ),
    Rule(
        settings=("skip_d_below", "loss"),
        holds=lambda c: _least(c.skip_d_below) >= CHANCE.get(c.loss, math.inf),
        reason="a D that is no better than chance has a lower loss already, so it would hardly ever learn",
        instead=f"take less than {', '.join(f'{chance:.2g} ({loss})' for loss, chance in CHANCE.items())}",
    ),
    # The tricks.
    _label_trick("soft_labels", lambda s: _most(s) > 0),
    _label_trick("label_noise", lambda s: _most(s) > 0),
    _label_trick("label_flips", lambda s: _most(s) > 0),
    _label_trick("real_as_fake", lambda s: _most(s) > 0),
    _label_trick("g_label_swap", lambda s: _least(s) < 1),
    Rule(
        settings=("label_flips",),
        holds=lambda c: _least(c.label_flips) >= 0.5,
        reason="half of the labels flipped is a coin thrown for each, which teaches nothing",
        instead="take label_flips=0.05",
    ),
    Rule(
        settings=("real_as_fake", "batch"),
        holds=lambda c: _most(c.real_as_fake) > 0 and c.batch < 2,
        reason="the only real of a batch would stand on both sides of its pair",
        instead="take batch=2 or more, or real_as_fake=0",
    ),
    Rule(
        settings=("replay", "architecture"),
        holds=lambda c: _most(c.replay) > 0 and c.architecture == "pyramid",
        reason="the buffer keeps one scale of an image, and a pyramid's D reads them all",
        instead="take replay=0, or architecture=normfree or r3",
    ),
    # The augmentation.
    Rule(
        settings=("augment_target", "holdout"),
        holds=lambda c: c.augment_target > 0 and c.holdout == 0,
        reason="the strength follows how D judges held-out faces, and none are held out",
        instead="take holdout=0.05, or augment_target=0",
    ),
    Rule(
        settings=("augment_kinds", "augment", "augment_target"),
        holds=lambda c: not c.augment_kinds and (_most(c.augment) > 0 or c.augment_target > 0),
        reason="there is no kind of augmentation to apply",
        instead="take augment_kinds=shift, or augment=0 with augment_target=0",
    ),
)

UNWISE: tuple[Rule, ...] = (
    Rule(
        settings=("loss", "gamma"),
        # BatchNorm in D belongs here: its two batches are judged apart, as Jolicoeur-Martineau 2019 has it, but no
        # penalty can stand beside it.
        holds=lambda c: c.loss == "relativistic" and _least(c.gamma) == 0,
        reason="without a penalty at all times this game does not converge and tends to collapse (Huang et al. 2024)",
        instead="take gamma above 0 from start to end (and d_norm other than batch)",
    ),
    Rule(
        settings=("loss", "penalty"),
        holds=lambda c: c.loss == "relativistic" and _most(c.gamma) > 0 and c.penalty == "r1",
        reason="the penalty on reals alone fails where modes are many (Huang et al. 2024, StackedMNIST)",
        instead="take penalty=r1r2",
    ),
    Rule(
        settings=("skip_d_below", "g_lr", "d_lr"),
        holds=lambda c: _most(c.skip_d_below) > 0 and c.g_lr != c.d_lr,
        reason="two ways to balance the players work against each other and oscillate",
        instead="take equal rates, or skip_d_below=0",
    ),
    Rule(
        settings=("loss", "d_steps", "g_lr", "d_lr"),
        holds=lambda c: c.loss == "wgan" and c.d_steps == 1 and c.d_lr.start <= c.g_lr.start,
        reason="G needs a critic that has nearly converged, and this one gets no head start",
        instead="take d_steps=5 (Gulrajani et al. 2017), or d_lr at a multiple of g_lr",
    ),
    Rule(
        settings=("loss", "beta1"),
        holds=lambda c: c.loss == "wgan" and _most(c.beta1) > 0,
        reason="momentum unsettles a critic whose target keeps moving (Arjovsky et al. 2017)",
        instead="take beta1=0",
    ),
    Rule(
        settings=("g_label_swap", "loss"),
        holds=lambda c: _least(c.g_label_swap) < 1 and c.loss == "lsgan",
        reason="an image that keeps its 0 is rewarded for any logit far from 0, the negative ones too",
        instead="take g_label_swap=1, or loss=bce",
    ),
    Rule(
        settings=("g_label_swap",),
        holds=lambda c: _most(c.g_label_swap) == 0,
        reason="the pure minimax game gives G next to no gradient once D wins (Goodfellow et al. 2014)",
        instead="take g_label_swap=1, or a share in between",
    ),
    Rule(
        settings=("label_flips",),
        holds=lambda c: _most(c.label_flips) > 0.25,
        reason="with so many labels flipped D learns little",
        instead="take label_flips=0.05",
    ),
    Rule(
        settings=("replay",),
        holds=lambda c: _most(c.replay) > 0.5,
        reason="D sees more of what G used to draw than of what it draws now",
        instead="take replay=0.1",
    ),
    Rule(
        settings=("augment_target", "d_norm"),
        holds=lambda c: c.augment_target > 0 and c.d_norm == "batch",
        reason="BatchNorm adapts to the held-out faces, so the gap that steers the strength is blurred",
        instead="take d_norm=instance (or spectral, none), or augment_target=0",
    ),
)

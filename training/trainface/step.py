"""One training step: the discriminator's phase, then the generator's, written as the papers have it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainface.config import Config
from trainface.game.label_tricks import Labels
from trainface.game.losses import LOSSES, pair_accuracy
from trainface.game.penalties import length_one_penalty, zero_centred_penalty
from trainface.game.view import View, see
from trainface.networks import Scales, generate_scales, judges_batches

Stats = dict[str, Tensor]

_VERSIONS = 64
"""Versions of a function for Dynamo to compile; each may have kernels for its own shapes alone."""


class Step:
    """The two phases over a pair of networks; gradients are left in `.grad`, no optimiser in here.

    Images are float32 [N, 3, h, w] in about [-1, 1] at each scale that the networks know. With `compiled`, each phase
    is one compiled function; the networks stay raw modules either way, so checkpoints never see a compiled handle.
    """

    def __init__(
        self, G: nn.Module, D: nn.Module, config: Config, *, device: torch.device, bf16: bool, compiled: bool
    ) -> None:
        self.G, self.D = G, D
        self._loss, self._penalty = LOSSES[config.loss], config.penalty
        self._autocast: dict[str, Any] = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": bf16}
        self._batchwise_d = judges_batches(D)
        if compiled:
            # Dynamo looks at .grad of the generated images while it traces, then warns of its own doing.
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor", UserWarning)
            # A progressive pyramid has other shapes at every stage, each with and without a penalty. That is more than
            # the 8 versions of a function after which Dynamo goes on uncompiled, and does not say so.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VERSIONS)
        wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda function: function
        self._generate = wrap(self._generate_eagerly)
        self._d_loss = wrap(self._d_loss_eagerly)
        self._g_loss = wrap(self._g_loss_eagerly)

    def generate(self, z: Tensor) -> Scales:
        """z float32 [N, z_dim] -> images, with a graph back to G's weights."""
        images: Scales = self._generate(z)
        return images

    def discriminator_phase(
        self,
        reals: Scales,
        fakes: Scales,
        view: View,
        labels: Labels | None,
        penalty_weight: Tensor | None,
        mix: Tensor | None,
    ) -> Stats:
        """Leave D's gradients.

        `view` is of the reals, then the fakes. The penalty is taken where it has a weight; `mix` float32 [N, 1, 1, 1]
        in [0, 1] says where between real and fake the length-one penalty looks.
        """
        self.D.requires_grad_(True)
        loss, stats = self._d_loss(reals, tuple(level.detach() for level in fakes), view, labels, penalty_weight, mix)
        loss.backward()
        return {name: value.detach() for name, value in stats.items()}

    def generator_phase(self, reals: Scales, fakes: Scales, view: View, labels: Labels | None) -> Stats:
        """Leave G's gradients, through a frozen D."""
        self.D.requires_grad_(False)
        loss = self._g_loss(reals, fakes, view, labels)
        loss.backward()
        return {"g_loss": loss.detach()}

    def _generate_eagerly(self, z: Tensor) -> Scales:
        with torch.autocast(**self._autocast):
            images = generate_scales(self.G, z)
        return tuple(level.to(torch.float32) for level in images)

    def _critic(self, images: Scales, view: View) -> Tensor:
        images = see(images, view)
        with torch.autocast(**self._autocast):
            logits: Tensor = self.D(*images)
        return logits

    def _judge(self, reals: Scales, fakes: Scales, view: View) -> tuple[Tensor, Tensor]:
        """Logits float32 [N, 1] of reals and of fakes; in two calls where D's BatchNorm would mix them."""
        if self._batchwise_d:
            for_reals, for_fakes = view.halves()
            return self._critic(reals, for_reals), self._critic(fakes, for_fakes)
        real_logits, fake_logits = self._critic(_join(reals, fakes), view).chunk(2)
        return real_logits, fake_logits

    def _judge_with_penalty(
        self, reals: Scales, fakes: Scales, view: View, mix: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Stats]:
        """Logits of reals and fakes, the penalty's mean, and its parts.

        Gradients are taken at the plain images, through the view (Huang et al. 2024).
        """
        for_reals, for_fakes = view.halves()
        if self._penalty == "r1r2":
            both = _join(reals, fakes)
            logits, squared_norms = zero_centred_penalty(lambda *x: self._critic(x, view), both)
            r1, r2 = (half.mean() for half in squared_norms.chunk(2))
            real_logits, fake_logits = logits.chunk(2)
            return real_logits, fake_logits, 0.5 * (r1 + r2), {"r1": r1, "r2": r2}
        if self._penalty == "r1":
            real_logits, squared_norms = zero_centred_penalty(lambda *x: self._critic(x, for_reals), reals)
            r1 = squared_norms.mean()
            return real_logits, self._critic(fakes, for_fakes), 0.5 * r1, {"r1": r1}
        assert mix is not None, "the length-one penalty looks between the images"
        real_logits, fake_logits = self._judge(reals, fakes, view)
        penalty = length_one_penalty(lambda *x: self._critic(x, for_reals), reals, fakes, mix).mean()
        return real_logits, fake_logits, penalty, {"penalty": penalty}

    def _d_loss_eagerly(
        self,
        reals: Scales,
        fakes: Scales,
        view: View,
        labels: Labels | None,
        penalty_weight: Tensor | None,
        mix: Tensor | None,
    ) -> tuple[Tensor, Stats]:
        if penalty_weight is None:
            real_logits, fake_logits = self._judge(reals, fakes, view)
            loss = self._loss.discriminator(real_logits, fake_logits, labels)
            return loss, {"d_loss": loss, "pair_accuracy": pair_accuracy(real_logits, fake_logits)}
        real_logits, fake_logits, penalty, parts = self._judge_with_penalty(reals, fakes, view, mix)
        loss = self._loss.discriminator(real_logits, fake_logits, labels)
        stats = {"d_loss": loss, "pair_accuracy": pair_accuracy(real_logits, fake_logits), **parts}
        return loss + penalty_weight * penalty, stats

    def _g_loss_eagerly(self, reals: Scales, fakes: Scales, view: View, labels: Labels | None) -> Tensor:
        if self._loss.needs_real_logits:
            real_logits, fake_logits = self._judge(reals, fakes, view)
        else:
            fake_logits = real_logits = self._critic(fakes, view.halves()[1])
        return self._loss.generator(fake_logits, real_logits, labels)


def _join(reals: Scales, fakes: Scales) -> Scales:
    return tuple(torch.cat(pair) for pair in zip(reals, fakes, strict=True))

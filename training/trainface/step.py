"""One training step: the discriminator's phase, then the generator's, written as the papers have it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainface import augment
from trainface.losses import AdversarialLoss, pair_accuracy
from trainface.penalties import zero_centred_penalty

Stats = dict[str, Tensor]


class Step:
    """The two phases over a pair of networks; gradients are left in `.grad`, no optimiser in here.

    Images are float32 [N, 3, H, W] in about [-1, 1]. With `compiled`, each phase is one compiled function; the networks
    stay raw modules either way, so checkpoints never see a compiled handle.
    """

    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        loss: AdversarialLoss,
        *,
        device: torch.device,
        bf16: bool,
        batchwise_d: bool,
        compiled: bool,
    ) -> None:
        self.G, self.D, self.loss = G, D, loss
        self._autocast: dict[str, Any] = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": bf16}
        self._batchwise_d = batchwise_d
        if compiled:
            # Dynamo looks at .grad of the generated images while it traces, then warns of its own doing.
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor", UserWarning)
        wrap: Callable[[Any], Any] = torch.compile if compiled else lambda function: function
        self._generate = wrap(self._generate_eagerly)
        self._d_loss = wrap(self._d_loss_eagerly)
        self._g_loss = wrap(self._g_loss_eagerly)

    def generate(self, z: Tensor) -> Tensor:
        """z float32 [N, z_dim] -> images float32 [N, 3, H, W], with a graph back to G's weights."""
        images: Tensor = self._generate(z)
        return images

    def discriminator_phase(
        self, reals: Tensor, fakes: Tensor, drawn: augment.Draw | None, penalty_weight: Tensor | None
    ) -> Stats:
        """Leave D's gradients; `drawn` augments reals then fakes; the penalty is half its weight times R1 + R2."""
        self.D.requires_grad_(True)
        loss, stats = self._d_loss(reals, fakes.detach(), drawn, penalty_weight)
        loss.backward()
        return {name: value.detach() for name, value in stats.items()}

    def generator_phase(self, reals: Tensor, fakes: Tensor, drawn: augment.Draw | None) -> Stats:
        """Leave G's gradients, through a frozen D."""
        self.D.requires_grad_(False)
        loss = self._g_loss(reals, fakes, drawn)
        loss.backward()
        return {"g_loss": loss.detach()}

    def _generate_eagerly(self, z: Tensor) -> Tensor:
        with torch.autocast(**self._autocast):
            images: Tensor = self.G(z)
        return images.to(torch.float32)

    def _judge(self, reals: Tensor, fakes: Tensor, drawn: augment.Draw | None) -> Tensor:
        """Logits float32 [2N, 1] of reals, then fakes; two calls where D's BatchNorm would mix them."""
        if self._batchwise_d:
            for_reals, for_fakes = drawn.halves() if drawn is not None else (None, None)
            return torch.cat([self._critic(reals, for_reals), self._critic(fakes, for_fakes)])
        return self._critic(torch.cat([reals, fakes]), drawn)

    def _critic(self, images: Tensor, drawn: augment.Draw | None) -> Tensor:
        if drawn is not None:
            images = augment.apply(images, drawn)
        with torch.autocast(**self._autocast):
            logits: Tensor = self.D(images)
        return logits

    def _d_loss_eagerly(
        self, reals: Tensor, fakes: Tensor, drawn: augment.Draw | None, penalty_weight: Tensor | None
    ) -> tuple[Tensor, Stats]:
        if penalty_weight is None:
            logits = self._judge(reals, fakes, drawn)
        else:
            # The gradient is taken at the plain images, through the augmentation (Huang et al. 2024).
            both = torch.cat([reals, fakes])
            logits, squared_norms = zero_centred_penalty(lambda x: self._critic(x, drawn), both)
        real_logits, fake_logits = logits.chunk(2)
        loss = self.loss.discriminator(real_logits, fake_logits)
        stats = {"d_loss": loss, "pair_accuracy": pair_accuracy(real_logits, fake_logits)}
        if penalty_weight is not None:
            r1, r2 = (half.mean() for half in squared_norms.chunk(2))
            loss = loss + 0.5 * penalty_weight * (r1 + r2)
            stats |= {"r1": r1, "r2": r2}
        return loss, stats

    def _g_loss_eagerly(self, reals: Tensor, fakes: Tensor, drawn: augment.Draw | None) -> Tensor:
        if not self.loss.needs_real_logits:
            fake_logits = self._critic(fakes, drawn.halves()[1] if drawn is not None else None)
            return self.loss.generator(fake_logits, fake_logits)
        real_logits, fake_logits = self._judge(reals, fakes, drawn).chunk(2)
        return self.loss.generator(fake_logits, real_logits)

"""The weak game that keeps a mixer's pictures sharp: a relativistic critic with R1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainface.game.losses import pair_accuracy, relativistic_discriminator, relativistic_generator
from trainface.game.penalties import zero_centred_penalty
from trainface.mixer.config import MixerConfig
from trainface.networks.normfree import Discriminator
from trainface.step import Stats
from trainface.supervised.task import Part, Turn

CRITIC = "critic"


class Adversary:
    """The critic, its step, and what it thinks of reconstructions. Pictures are float32 [N, 3, H, W] in [-1, 1].

    Each picture plays against its own reconstruction (Jolicoeur-Martineau 2019; R1: Mescheder et al. 2018).
    """

    def __init__(self, config: MixerConfig, device: torch.device) -> None:
        self._config = config
        self.critic = Discriminator(widths=config.critic_widths).to(device).to(memory_format=torch.channels_last)

    def part(self) -> Part:
        """What the loop trains beside the mixer."""
        networks: dict[str, nn.Module] = {CRITIC: self.critic}
        return Part(networks=networks, lr=self._config.critic_lr, beta1=0.0, beta2=0.99, averaged=False)

    def train(self, reals: Tensor, fakes: Tensor, turn: Turn) -> Stats:
        """The critic's step."""
        config = self._config
        self.critic.requires_grad_(True)
        gamma = config.gamma.at(turn.at)
        if gamma == 0 or turn.cur_nimg // config.batch % config.penalty_every:
            real_logits, fake_logits = self._judge(torch.cat([reals, fakes.detach()]), turn).chunk(2)
            penalty, stats = torch.zeros((), device=reals.device), {}
        else:
            real_logits, squared_norms = zero_centred_penalty(lambda images: self._judge(images, turn), (reals,))
            fake_logits = self._judge(fakes.detach(), turn)
            r1 = squared_norms.mean()
            penalty, stats = 0.5 * gamma * config.penalty_every * r1, {"r1": r1.detach()}
        loss = relativistic_discriminator(real_logits, fake_logits, None)
        stats |= {"critic_loss": loss.detach(), "pair_accuracy": pair_accuracy(real_logits, fake_logits)}
        return stats | turn.descend(CRITIC, loss + penalty)

    def loss(self, reals: Tensor, fakes: Tensor, turn: Turn) -> Tensor:
        """What the mixer minimises; no gradient reaches the critic's weights."""
        self.critic.requires_grad_(False)
        with torch.no_grad():  # the mixer had no part in these
            real_logits = self._judge(reals, turn)
        return relativistic_generator(self._judge(fakes, turn), real_logits, None)

    def _judge(self, images: Tensor, turn: Turn) -> Tensor:
        with turn.autocast():
            logits: Tensor = self.critic(images)
        return logits

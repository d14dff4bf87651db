"""What a reconstruction is worth: pixels, features and the critic's opinion, weighed and logged."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from trainface.config import OFF
from trainface.mixer.adversary import CRITIC, Adversary
from trainface.mixer.config import MixerConfig
from trainface.mixer.losses import PIXEL_LOSSES, perceptual
from trainface.mixer.networks import Decoder
from trainface.step import Stats
from trainface.style.lite0 import Lite0Features
from trainface.supervised.task import Part, Turn

SEEN = ("stem", "block1", "block2", "block4", "block6")
"""Feature maps that are compared, from strokes to parts of faces."""


class Objective:
    """The loss of a mixer's pictures. Reals are float32 [N, 3, H, W] in [-1, 1]."""

    def __init__(self, config: MixerConfig, device: torch.device) -> None:
        self._config = config
        self._features = _features(device) if config.perceptual > 0 else None
        self._adversary = Adversary(config, device) if config.adversarial != OFF else None

    def parts(self) -> Mapping[str, Part]:
        """What is trained beside the mixer."""
        return {CRITIC: self._adversary.part()} if self._adversary is not None else {}

    def weigh(self, raw: Tensor, reals: Tensor, decoder: Decoder, turn: Turn) -> tuple[Tensor, Stats]:
        """(loss, its parts for the log) of what `decoder.raw` gave for `reals`; the critic takes its step in here."""
        config = self._config
        raw = raw.to(torch.float32)
        pixels = PIXEL_LOSSES[config.pixel_loss](raw, reals)
        loss, stats = pixels, {"pixel_loss": pixels.detach()}
        fakes = signed(decoder.finish(raw), decoder)
        if self._features is not None:
            distance = self._distance(fakes, reals, turn)
            loss, stats = loss + config.perceptual * distance, stats | {"perceptual": distance.detach()}
        weight = config.adversarial.at(turn.at)
        if self._adversary is not None and weight > 0:
            stats |= self._adversary.train(reals, fakes, turn)
            opinion = self._adversary.loss(reals, fakes, turn)
            loss, stats = loss + weight * opinion, stats | {"adversarial": opinion.detach()}
        return loss, stats

    @torch.no_grad()
    def compare(self, images: Tensor, reals: Tensor) -> Stats:
        """Two batches of pictures in [-1, 1] for the log: mean absolute error of [0, 1], distance in features."""
        stats = {"l1": 0.5 * (images - reals).abs().mean()}
        if self._features is not None:
            stats["perceptual"] = perceptual(self._maps(images), self._maps(reals))
        return stats

    def _distance(self, fakes: Tensor, reals: Tensor, turn: Turn) -> Tensor:
        # The order of the batch is random, so its beginning is a fair sample of it.
        compared = math.ceil(self._config.perceptual_share * len(reals))
        with turn.autocast():
            maps = self._maps(fakes[:compared])
            with torch.no_grad():
                targets = self._maps(reals[:compared])
        return perceptual(maps, targets)

    def _maps(self, images: Tensor) -> list[Tensor]:
        assert self._features is not None, "a weight above 0 brings the features"
        maps = self._features(images)
        return [maps[name] for name in SEEN]


def _features(device: torch.device) -> Lite0Features:
    features = Lite0Features().eval().requires_grad_(False).to(device)
    return features.to(memory_format=torch.channels_last)


def signed(images: Tensor, decoder: Decoder) -> Tensor:
    """A decoder's pictures as float32 in [-1, 1]."""
    low, high = decoder.output_range
    return (images.to(torch.float32) - low) * (2.0 / (high - low)) - 1.0

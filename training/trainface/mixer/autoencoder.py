"""An encoder and a decoder that learn together; variational where the code has a `kl`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainface.data.dataset import FaceSet
from trainface.mixer.config import MixerConfig
from trainface.mixer.losses import kl_from_normal
from trainface.mixer.networks import build_decoder, build_encoder
from trainface.mixer.task import MixerTask, place
from trainface.step import Stats
from trainface.supervised.task import Networks, Turn


class AutoencoderTask(MixerTask):
    """Hinton & Salakhutdinov 2006 (classic); Kingma & Welling 2014 with losses in features (modern)."""

    def __init__(self, config: MixerConfig, faces: FaceSet, device: torch.device) -> None:
        self._encoder, self._decoder = build_encoder(config), build_decoder(config)
        networks = {"encoder": place(self._encoder, device), "decoder": place(self._decoder, device)}
        super().__init__(config, faces, device, networks)

    def step(self, turn: Turn) -> Stats:
        reals = self.batches.draw(turn.cur_nimg, turn.rng).images
        with turn.autocast():
            mean, log_var = self._encoder.distribution(reals)
            codes = mean if log_var is None else sample(mean, log_var, turn.rng)
            raw = self._decoder.raw(codes)
        loss, stats = self.objective.weigh(raw, reals, self._decoder, turn)
        if log_var is not None:
            kl = kl_from_normal(mean.to(torch.float32), log_var.to(torch.float32))
            loss, stats = loss + self.config.kl * kl, stats | {"kl": kl.detach()}
        return stats | turn.descend("mixer", loss)

    def encode(self, networks: Networks, indices: NDArray[np.int64]) -> Tensor:
        codes: Tensor = networks["encoder"](self.reals(indices))
        return codes


def sample(mean: Tensor, log_var: Tensor, rng: torch.Generator) -> Tensor:
    """A draw from N(mean, exp(log_var)), both [N, D], that gradients pass through (Kingma & Welling 2014)."""
    noise = torch.randn(mean.shape, generator=rng, device=mean.device)
    return mean + (0.5 * log_var).exp() * noise

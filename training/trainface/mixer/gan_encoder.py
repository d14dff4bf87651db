"""An encoder into the latent space of a generator that is trained already and stays as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evalface.files import sha256_of
from genface.errors import UserError
from genface.photos import Preparation
from trainface import checkpoint
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.ema import averaged_generator
from trainface.mixer.config import MixerConfig
from trainface.mixer.losses import latent_error, sphere_pull
from trainface.mixer.networks import GeneratorDecoder, build_encoder
from trainface.mixer.task import MixerTask, place
from trainface.networks.pyramid import Growing
from trainface.step import Stats
from trainface.supervised.task import Networks, Turn


@dataclass(frozen=True, kw_only=True)
class GivenGenerator:
    """A generator from its file."""

    network: nn.Module
    """z float32 [N, z_dim] -> RGB [N, 3, size, size], about [-1, 1]; in eval mode, frozen."""
    config: Config
    preparation: Preparation
    facts: dict[str, Any]
    """What the checkpoint of a mixer says of it: SHA-256 of the file, data, images seen."""


def open_generator(path: Path) -> GivenGenerator:
    """The averaged generator of a checkpoint or of a file of weights alone.

    Raises UserError for a file that holds none, and for one that is not fully grown.
    """
    state = checkpoint.load(path)
    try:
        network, config = averaged_generator(state)
        if isinstance(network, Growing) and (network.scale < network.scales - 1 or network.blends):
            raise UserError(f"{path}: has not grown to its own {config.size} px yet; let it train on")
        data = state["data"]["name"]
        facts = {"sha256": sha256_of(path), "data": data, "cur_nimg": int(state["cur_nimg"]), "preset": config.preset}
        preparation = Preparation.from_dict(state["preparation"])
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, it lacks or garbles {reason}; take an earlier checkpoint") from error
    return GivenGenerator(network=network, config=config, preparation=preparation, facts=facts)


def fitted(config: MixerConfig, given: GivenGenerator, path: Path) -> MixerConfig:
    """The configuration with what the generator decides; raises UserError for one that asks for something else."""
    for name, wanted, there in (
        ("size", config.size, given.config.size),
        ("code_dim", config.code_dim, given.config.z_dim),
    ):
        if wanted not in (None, there):
            raise UserError(f"{path}: the generator has {name}={there}, this run {wanted}; give --set {name}={there}")
    record = json.dumps(given.config.to_dict(), sort_keys=True)
    return config.with_settings({"code_dim": str(given.config.z_dim), "generator": record})


class GanEncoderTask(MixerTask):
    """Synthetic pairs (z, G(z)) first, real faces through the frozen generator then.

    The second stage is that of in-domain inversion (Zhu et al. 2020, section 3.1), without its discriminator: the
    generator cannot draw much but faces.
    """

    def __init__(self, config: MixerConfig, faces: FaceSet, given: GivenGenerator, device: torch.device) -> None:
        if given.preparation != faces.preparation:
            raise UserError(
                f"the generator learned from faces prepared as {given.preparation}, these are prepared as"
                f" {faces.preparation}; give the same --crop"
            )
        self._given = given
        self._encoder = build_encoder(config)
        self._decoder = GeneratorDecoder(given.network)
        self.frozen = {"decoder": place(self._decoder, device).eval().requires_grad_(False)}
        super().__init__(config, faces, device, {"encoder": place(self._encoder, device)})

    def step(self, turn: Turn) -> Stats:
        config, stats = self.config, Stats()
        loss = torch.zeros((), device=self.device)
        if (weight := config.latent.at(turn.at)) > 0:
            error = latent_error(*self._synthetic(turn))
            loss, stats = loss + weight * error, stats | {"latent": error.detach()}
        if turn.cur_nimg >= config.synthetic_kimg * 1000:
            reals = self.batches.draw(turn.cur_nimg, turn.rng).images
            with turn.autocast():
                codes = self._encoder(reals).to(torch.float32)
                raw = self._decoder.raw(codes)
            quality, parts = self.objective.weigh(raw, reals, self._decoder, turn)
            pull = sphere_pull(codes)
            loss = loss + quality + config.sphere * pull
            stats |= parts | {"sphere": pull.detach()}
        return stats | turn.descend("mixer", loss)

    def encode(self, networks: Networks, indices: NDArray[np.int64]) -> Tensor:
        codes: Tensor = networks["encoder"](self.reals(indices))
        return codes

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"generator": self._given.facts}

    def identity(self) -> dict[str, str]:
        return super().identity() | {"generator": str(self._given.facts["sha256"])}

    def _synthetic(self, turn: Turn) -> tuple[Tensor, Tensor]:
        """Codes of drawn faces and the latents that they were drawn from, both float32 [N, code_dim]."""
        z = torch.randn(self.config.batch, self.config.code_size, generator=turn.rng, device=self.device)
        with turn.autocast():
            with torch.no_grad():
                # A photo has no values beyond black and white.
                images = self._decoder.raw(z).clamp(-1.0, 1.0)
            codes: Tensor = self._encoder(images)
        return codes.to(torch.float32), z

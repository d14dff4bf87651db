"""What all mixers' tasks share: the data parted by identity, the objective, progress pictures, held-out numbers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genface.errors import UserError
from genface.mixing import mix
from trainface.data.batches import Batches
from trainface.data.dataset import FaceSet
from trainface.mixer.config import MixerConfig
from trainface.mixer.identities import RULE, split_identities
from trainface.mixer.networks import Decoder
from trainface.mixer.objective import Objective, signed
from trainface.mixer.show import COLUMNS, pick_pairs, rows
from trainface.pixels import to_floats, to_levels
from trainface.supervised.task import Networks, Part, Task

KIND = "trainface-mixer"
FORMAT_VERSION = 1
MEASURED = 256
"""Held-out pictures that a tick's numbers are taken on, at most."""
_AT_ONCE = 64
_MIXER = "mixer"
_HALVES = np.array([[0.5, 0.5]])


class MixerTask(Task):
    """A mixer that learns from a folder of faces."""

    kind = KIND
    format_version = FORMAT_VERSION
    said = ("pixel_loss", "perceptual", "kl", "latent", "pair_accuracy", "holdout_l1", "holdout_perceptual")
    columns = COLUMNS

    def __init__(self, config: MixerConfig, faces: FaceSet, device: torch.device, trained: Networks) -> None:
        """`trained`: what the mixer's own optimiser trains."""
        self.config, self.faces, self.device = config, faces, device
        self.split = split_identities(faces.names, config.holdout)
        if len(self.split.train) < max(config.batch, 2):
            raise UserError(
                f"{faces.name}: {len(self.split.train)} faces to train on ({len(self.split.holdout)} held out) are"
                f" fewer than one batch of {config.batch}; add faces, or give a smaller one by --set batch=N"
            )
        self.batches = Batches(faces.images, self.split.train, config, device)
        self.objective = Objective(config, device)
        mixer = Part(networks=trained, lr=config.lr, beta1=config.beta1, beta2=config.beta2)
        self.parts = {_MIXER: mixer, **self.objective.parts()}
        seen = self.split.holdout if len(self.split.holdout) >= 2 else self.split.train
        self._pairs = pick_pairs(faces.names, seen)

    @abstractmethod
    def encode(self, networks: Networks, indices: NDArray[np.int64]) -> Tensor:
        """Codes of the faces at `indices` of the set, not mirrored: float32 [N, code_dim] on the device."""

    @torch.no_grad()
    def pictures(self, networks: Networks) -> NDArray[np.uint8]:
        faces = np.asarray(self.faces.images[self._pairs.ravel()]).reshape(
            *self._pairs.shape, *self.faces.images.shape[1:]
        )
        codes = self.encode(networks, self._pairs.ravel())
        pairs = codes.cpu().numpy().reshape(*self._pairs.shape, -1)
        mixed = torch.from_numpy(np.concatenate([mix(pair, _HALVES, self.config.mixing) for pair in pairs]))
        decoded = to_levels(self.decode(networks, codes)).cpu().numpy().reshape(faces.shape)
        return rows(faces, decoded, to_levels(self.decode(networks, mixed.to(self.device))).cpu().numpy())

    @torch.no_grad()
    def measure(self, networks: Networks) -> dict[str, float]:
        """`holdout_l1`, mean absolute error of values in [0, 1], and with features `holdout_perceptual`."""
        held = self.split.holdout[:MEASURED]
        totals: dict[str, float] = {}
        for start in range(0, len(held), _AT_ONCE):
            indices = held[start : start + _AT_ONCE]
            decoded = self.decode(networks, self.encode(networks, indices))
            for name, value in self.objective.compare(decoded, self.reals(indices)).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(indices)
        return {f"holdout_{name}": total / len(held) for name, total in totals.items()}

    def decode(self, networks: Networks, codes: Tensor) -> Tensor:
        """Codes [N, code_dim] -> pictures float32 [N, 3, S, S] in [-1, 1], by those of `networks`."""
        decoder = _decoder(networks["decoder"])
        return signed(decoder(codes), decoder)

    def reals(self, indices: NDArray[np.int64]) -> Tensor:
        """Faces of the set as float32 [N, 3, S, S] in [-1, 1] on the device."""
        return to_floats(torch.from_numpy(np.array(self.faces.images[indices])).to(self.device))

    def facts(self) -> dict[str, Any]:
        faces, split = self.faces, self.split
        held = {
            "held_out_identities": list(split.identities),
            "held_out_rule": RULE,
            "held_out_share": self.config.holdout,
        }
        return {
            "preparation": faces.preparation.to_dict(),
            "data": {"name": faces.name, "key": faces.key, "images": len(faces), **held},
            "embedder": None,
            "generator": None,
        }

    def identity(self) -> dict[str, str]:
        return {"preparation": str(self.faces.preparation), "data": self.faces.key}

    def opening(self) -> str:
        return (
            f"{len(self.split.train)} faces ({len(self.split.holdout)} held out, of {len(self.split.identities)}"
            " identities)"
        )


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """A network in the memory layout in which it trains."""
    return network.to(device).to(memory_format=torch.channels_last)


def _decoder(network: nn.Module) -> Decoder:
    assert isinstance(network, Decoder)
    return network

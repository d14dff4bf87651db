"""The state of a supervised run and its step: optimisers, averages, random stream, pictures seen."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genface.errors import UserError
from trainface import ema
from trainface.device import use_bf16
from trainface.optimise import adam, apply_gradients, set_rates
from trainface.step import Stats
from trainface.sums import Sums
from trainface.supervised.config import RESUME_MAY_CHANGE, SupervisedConfig
from trainface.supervised.task import Networks, Part, Task, Turn


class Learner:
    """Everything of a run that changes; a resumed one equals the uninterrupted one bit for bit on a CPU."""

    def __init__(self, config: SupervisedConfig, task: Task, device: torch.device) -> None:
        self.config, self.task, self.device = config, task, device
        self.networks = {name: net for part in task.parts.values() for name, net in part.networks.items()}
        self.averages = {
            name: copy.deepcopy(network).eval().requires_grad_(False)
            for part in task.parts.values()
            if part.averaged
            for name, network in part.networks.items()
        }
        self.optimizers = {name: adam(_parameters(part)) for name, part in task.parts.items()}
        self.rng = torch.Generator(device).manual_seed(config.seed)
        self.sums = Sums()
        self.cur_nimg = 0
        self.bf16 = use_bf16(config.precision, device)

    def step(self) -> Stats:
        """Train on one batch; returns detached scalars."""
        at = self.config.progress(self.cur_nimg)
        for name, part in self.task.parts.items():
            set_rates(self.optimizers[name], lr=part.lr.at(at), beta1=part.beta1, beta2=part.beta2)
        turn = Turn(cur_nimg=self.cur_nimg, at=at, rng=self.rng, autocast=self._autocast, descend=self._descend)
        stats = self.task.step(turn)
        self.cur_nimg += self.config.batch
        keep = ema.decay(self.config.batch, self.cur_nimg, self.config.ema_halflife_kimg)
        for name, average in self.averages.items():
            ema.update(average, self.networks[name], keep)
        return stats

    @torch.no_grad()
    def pictures(self) -> NDArray[np.uint8]:
        """Progress pictures of the averaged networks, uint8 [N, H, W, 3]."""
        return self.task.pictures({**self.averages, **self.task.frozen})

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Numbers on pictures that are held out."""
        return self.task.measure({**self.averages, **self.task.frozen})

    def schedules(self) -> dict[str, float]:
        """The learning rates in force now, by part."""
        at = self.config.progress(self.cur_nimg)
        return {f"{name}_lr": part.lr.at(at) for name, part in self.task.parts.items()}

    def has_finite_weights(self) -> bool:
        """Whether no network and no average holds a NaN or an infinity."""
        networks = [*self.networks.values(), *self.averages.values()]
        return all(
            bool(tensor.isfinite().all())
            for network in networks
            for tensor in network.state_dict().values()
            if tensor.is_floating_point()
        )

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run and an export need, as plain values and tensors."""
        rng: dict[str, Any] = {
            "device": self.device.type,
            "stream": self.rng.get_state(),
            "torch": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "kind": self.task.kind,
            "format_version": self.task.format_version,
            "config": self.config.to_dict(),
            **self.task.facts(),
            "identity": self.task.identity(),
            "cur_nimg": self.cur_nimg,
            "networks": _weights({**self.networks, **self.task.frozen}),
            "ema": _weights({**self.averages, **self.task.frozen}),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "sums": self.sums.state_dict(),
            "rng": rng,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same configuration and data; raises UserError if they differ."""
        stored, mine = type(self.config).from_dict(state["config"]).to_dict(), self.config.to_dict()
        differing = [key for key in mine if mine[key] != stored[key] and key not in RESUME_MAY_CHANGE]
        if differing:
            changes = ", ".join(f"{key}: {stored[key]} there, {mine[key]} now" for key in differing)
            raise UserError(f"the run's checkpoint has other settings ({changes}); take them back, or another --run")
        for name, value in self.task.identity().items():
            if state["identity"][name] != value:
                raise UserError(
                    f"the run has another {name} ({state['identity'][name]} there, {value} now); give the same, or"
                    " another --run"
                )
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["ema"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.sums.load_state_dict(state["sums"])
        self.cur_nimg = int(state["cur_nimg"])
        if state["rng"]["device"] != self.device.type:
            # A GPU's stream cannot go on in a CPU's generator: begin a new one that this place in the run owns.
            words = np.random.SeedSequence((self.config.seed, self.cur_nimg)).generate_state(2)
            self.rng.manual_seed(int(words[0]) << 31 | int(words[1]))
            return
        self.rng.set_state(state["rng"]["stream"])
        torch.set_rng_state(state["rng"]["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng"]["cuda"], self.device)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def _descend(self, name: str, loss: Tensor) -> Stats:
        optimizer = self.optimizers[name]
        # What another part's loss has left here.
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        return apply_gradients(optimizer, _parameters(self.task.parts[name]), name)


def _weights(networks: Networks) -> dict[str, Any]:
    return {name: network.state_dict() for name, network in networks.items()}


def _parameters(part: Part) -> list[nn.Parameter]:
    return [parameter for network in part.networks.values() for parameter in network.parameters()]

"""What a supervised run learns: the networks, a step's losses, and what is shown and measured of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainface.schedules import Cosine
from trainface.step import Stats

Networks = Mapping[str, nn.Module]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Networks that one Adam trains, by the names under which checkpoints hold them."""

    networks: Networks
    lr: Cosine
    beta1: float
    beta2: float
    averaged: bool = True
    """Whether they ship, and so have averages; a critic has none."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the loop gives to a step."""

    cur_nimg: int
    """Pictures seen before this step."""
    at: float
    """Progress of the schedules, 0 to 1."""
    rng: torch.Generator
    """The run's random stream on the run's device; nothing else may be random in a step."""
    autocast: Callable[[], AbstractContextManager[Any]]
    """A context for forward passes: bf16 where the run computes in it. Losses belong outside, in float32."""
    descend: Callable[[str, Tensor], Stats]
    """(name of a part, its loss): back-propagate and let its Adam step; gives the norm of the gradients.

    Gradients of a loss that reach another part's networks are thrown away before that part's next step.
    """


class Task(ABC):
    """One thing to be learnt. The subclass builds its networks on the device, with weights from torch's seeded stream.

    The learner seeds torch before the task is opened, holds optimisers, averages, random stream and counters, and calls
    the methods below. A task keeps nothing that changes in training but its networks.
    """

    kind: ClassVar[str]
    """Of its checkpoints, `trainface-...`."""
    format_version: ClassVar[int] = 1
    said: ClassVar[Sequence[str]]
    """The means that a tick's line for people tells, of those that `step` and `measure` give."""
    columns: int | None = None
    """Columns of the sheet of progress pictures; None: as many as make it square."""
    parts: Mapping[str, Part]
    """What is trained, by names that `Turn.descend` takes."""
    frozen: Networks = MappingProxyType({})
    """Networks that ship as they are: checkpoints hold them among the trained ones, `identity` tells them apart."""

    @abstractmethod
    def step(self, turn: Turn) -> Stats:
        """Train on the next batch: a forward pass, the losses, `turn.descend` once for each part.

        Returns detached scalars for the log.
        """

    @abstractmethod
    def pictures(self, networks: Networks) -> NDArray[np.uint8]:
        """Progress pictures of the averaged and frozen `networks`, uint8 [N, H, W, 3]: the same views every time.

        They are in eval mode, no gradient is kept, and no random stream may move.
        """

    def measure(self, networks: Networks) -> dict[str, float]:
        """Numbers of the same `networks` on pictures that are held out; nothing by default."""
        return {}

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Plain values that the checkpoint holds beside the weights: `preparation`, `data` and the like."""

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """What a resumed run must find again, by a name for people, e.g. {"data": key, "embedder": SHA-256}."""

    def opening(self) -> str:
        """What the run works on, for the line with which it begins, e.g. `1,200 pictures (130 held out)`."""
        return "its pictures"

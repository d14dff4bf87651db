"""The averaged generators: the ones that are looked at, scored and shipped."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from genface.errors import UserError
from trainface.config import Config
from trainface.networks import build_generator, set_progress
from trainface.schedules import Cosine


class EmaBank:
    """Exponential moving averages of one generator over several half-lives, in `models` under the half-life's text."""

    def __init__(self, G: nn.Module, halflives_kimg: tuple[Cosine, ...]) -> None:
        """Begin every average as a copy of G; the one of middling half-life is best until a score says otherwise."""
        self._halflives = {str(halflife): halflife for halflife in halflives_kimg}
        self.models: dict[str, nn.Module] = {key: _frozen_copy(G) for key in self._halflives}
        by_length = sorted(self._halflives, key=lambda key: (self._halflives[key].end, self._halflives[key].start))
        self.best_key = by_length[(len(by_length) - 1) // 2]

    @property
    def best(self) -> nn.Module:
        """The average that is sampled and exported."""
        return self.models[self.best_key]

    def update(self, G: nn.Module, batch: int, cur_nimg: int, at: float) -> None:
        """Move every average towards G after a step of `batch` images that brought the run to `cur_nimg` images.

        `at` is the progress of the schedules, 0 to 1.
        """
        for key, model in self.models.items():
            update(model, G, decay(batch, cur_nimg, self._halflives[key].at(at)))

    def restart(self, G: nn.Module) -> None:
        """Let every average be G again, e.g. after other weights were put into it."""
        for model in self.models.values():
            update(model, G, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """`ema`: the state of each average; `best_ema`: the key of the best."""
        return {"ema": {key: model.state_dict() for key, model in self.models.items()}, "best_ema": self.best_key}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, from among other keys; raises UserError for other half-lives."""
        if set(state["ema"]) != set(self.models) or state["best_ema"] not in self.models:
            raise UserError(
                f"averages of other half-lives ({', '.join(state['ema'])} there, {', '.join(self.models)} here);"
                " take back ema_halflives_kimg"
            )
        for key, model in self.models.items():
            model.load_state_dict(state["ema"][key])
        self.best_key = state["best_ema"]


def averaged_generator(state: dict[str, Any]) -> tuple[nn.Module, Config]:
    """The averaged generator that scored best, in eval mode, and its configuration, of what `checkpoint.load` gave."""
    config = Config.from_dict(state["config"])
    generator = build_generator(config)
    set_progress(generator, config.progress(int(state["cur_nimg"])))
    generator.load_state_dict(state["ema"][state["best_ema"]])
    return generator.eval().requires_grad_(False), config


def decay(batch: int, cur_nimg: int, halflife_kimg: float) -> float:
    """Share of the old average that a step of `batch` images keeps.

    The half-life grows with the run to a tenth of the images seen, so that the first pictures are not of the
    untrained generator (Karras et al. 2020, there 5 %).
    """
    halflife = min(halflife_kimg * 1000, cur_nimg * 0.1)
    return float(0.5 ** (batch / halflife)) if halflife > 0 else 0.0


@torch.no_grad()
def update(average: nn.Module, model: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * model, weights and floating-point buffers; counters are copied.

    BatchNorm's running statistics are averaged like weights: they belong to the averaged network only nearly.
    """
    pairs: list[tuple[Tensor, Tensor]] = list(zip(average.parameters(), model.parameters(), strict=True))
    for into, buffer in zip(average.buffers(), model.buffers(), strict=True):
        if buffer.is_floating_point():
            pairs.append((into, buffer))
        else:
            into.copy_(buffer)
    torch._foreach_lerp_([into for into, _ in pairs], [new for _, new in pairs], 1.0 - keep)


def _frozen_copy(G: nn.Module) -> nn.Module:
    return copy.deepcopy(G).eval().requires_grad_(False)

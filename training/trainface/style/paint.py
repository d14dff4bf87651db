"""One photo in the manner of one painting, by optimising the picture itself (Gatys, Ecker and Bethge 2016)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from genface.errors import UserError
from trainface.style.features import Features, look
from trainface.style.losses import out_of_range, total_variation

OptimizerName = Literal["lbfgs", "adam"]
Start = Literal["content", "noise"]

_RANGE_WEIGHT = 10.0
_NOISE_STD = 0.3
_ADAM_LR = 0.02
"""In units of half the range of a pixel: two to three levels a step."""
_LBFGS_HISTORY = 20


@dataclass(frozen=True, kw_only=True)
class PaintConfig:
    """What is wanted of a picture, and how it is looked for."""

    content_weight: float = 1.0
    """Of the distance from the photo's content, 0 or more."""
    style_weight: float = 20.0
    """Of the distance from the painting's Gram matrices, 0 or more."""
    tv_weight: float = 0.5
    """Of the total variation: more is smoother."""
    optimizer: OptimizerName = "lbfgs"
    """L-BFGS with a line search as Gatys et al. have it, or Adam: more steps, less memory."""
    start: Start = "content"
    """The photo, or noise."""
    steps: int = 200
    """Steps of the optimiser; one of L-BFGS looks at the picture once or a few times."""
    seed: int = 0
    """Of the noise to start from."""

    def __post_init__(self) -> None:
        for name in ("content_weight", "style_weight", "tv_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"{name}={value}: must be a number from 0")
        if self.content_weight + self.style_weight <= 0:
            raise UserError("the weights of content and style are both 0: there is nothing to paint")
        for name, value, known in (("optimizer", self.optimizer, OptimizerName), ("start", self.start, Start)):
            if value not in get_args(known):
                raise UserError(f"{name}={value}: must be {' or '.join(get_args(known))}")
        if self.steps < 1:
            raise UserError(f"steps={self.steps}: must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class PaintStep:
    """What a step left, by the losses before it."""

    step: int
    """From 1 on."""
    content: float
    style: float
    tv: float
    total: float
    """The weighted sum, that of the pixels out of range included."""
    picture: Tensor
    """float32 [1, 3, H, W] after the step, detached, about [-1, 1]; the next step changes it in place."""


def paint(
    photo: Tensor,
    painting: Tensor,
    features: Features,
    config: PaintConfig,
    on_step: Callable[[PaintStep], None] = lambda step: None,
) -> Tensor:
    """Optimise a picture that has the photo's content and the painting's style.

    Args:
        photo: float32 [1, 3, H, W] in [-1, 1], on the device of `features`.
        painting: float32 [1, 3, h, w] in [-1, 1], of any size; the size decides how large its strokes are.
        features: what content and style are seen by.
        config: weights and method.
        on_step: told of each step.

    Returns:
        float32 [1, 3, H, W], cut to [-1, 1].

    Raises UserError where the losses are no longer finite.
    """
    with torch.no_grad():
        wanted, manner = look(features, photo), look(features, painting).grams
    picture = _start(photo, config).requires_grad_(True)
    optimizer = _optimizer(picture, config)
    seen: dict[str, float] = {}

    def closure() -> float:
        optimizer.zero_grad()
        now = look(features, picture)
        losses = {
            "content": now.content_loss(wanted).mean(),
            "style": now.style_loss(manner).mean(),
            "tv": total_variation(picture).mean(),
        }
        total = config.content_weight * losses["content"] + config.style_weight * losses["style"]
        total = total + config.tv_weight * losses["tv"] + _RANGE_WEIGHT * out_of_range(picture).mean()
        # By the pixel, since torch's L-BFGS takes curvatures under 1e-10 for none.
        scaled = total * picture.numel()
        scaled.backward()  # type: ignore[no-untyped-call]
        if not seen:  # a line search looks several times; the first look is at the picture before the step
            seen.update({name: loss.item() for name, loss in losses.items()} | {"total": total.item()})
        return scaled.item()

    before = math.inf
    for step in range(1, config.steps + 1):
        seen.clear()
        optimizer.step(closure)
        if not math.isfinite(seen["total"]):
            raise UserError(f"the loss is {seen['total']} at step {step}; give smaller weights, or --optimizer adam")
        if config.optimizer == "lbfgs" and seen["total"] >= before:
            # At a kink of a rectifier the remembered curvature can point nowhere, and would do so for ever.
            optimizer.state.clear()
        before = seen["total"]
        on_step(PaintStep(step=step, picture=picture.detach(), **seen))
    return picture.detach().clamp(-1, 1)


def _start(photo: Tensor, config: PaintConfig) -> Tensor:
    if config.start == "content":
        return photo.clone()
    generator = torch.Generator().manual_seed(config.seed)  # on the CPU, so that every device starts alike
    return (_NOISE_STD * torch.randn(photo.shape, generator=generator)).to(photo.device)


def _optimizer(picture: Tensor, config: PaintConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam([picture], lr=_ADAM_LR)
    # One iteration a step, and none of torch's rules for being done: the number of steps is given.
    return torch.optim.LBFGS(
        [picture],
        max_iter=1,
        history_size=_LBFGS_HISTORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

"""A compiled step that has been compared with the eager one before it is trusted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainface.config import Config
from trainface.game import view as views
from trainface.layers import set_noise
from trainface.networks import reals_at_scales
from trainface.step import Step

# Relative error of all gradients together. fp32 differs by the order of sums; bf16 keeps 8 bits, of which a double
# backward loses some more (3e-2 was measured for R1 + R2 against fp32).
TOLERANCE = {"fp32": 1e-3, "bf16": 1e-1}


def checked_step(
    G: nn.Module, D: nn.Module, config: Config, *, device: torch.device, bf16: bool, compiled: bool
) -> tuple[Step, list[str]]:
    """The step to train with, and a line on what was given up: eager, if compiling fails or changes the gradients."""
    plain: dict[str, Any] = {"device": device, "bf16": bf16}
    eager = Step(G, D, config, **plain, compiled=False)
    if not compiled:
        return eager, []
    step = Step(G, D, config, **plain, compiled=True)
    try:
        error = largest_gradient_error(step, eager, config, device)
    except Exception as failure:
        # Dynamo, Inductor and the C compiler each fail in their own way; eager is right in all of these cases.
        first = next((line.strip() for line in str(failure).splitlines() if line.strip()), type(failure).__name__)
        return eager, [f"torch.compile failed ({first[:200]}): training goes on uncompiled"]
    tolerance = TOLERANCE["bf16" if bf16 else "fp32"]
    if not error <= tolerance:
        return eager, [
            f"torch.compile changes the gradients by {error:.1e} (allowed {tolerance:.0e}): training goes on uncompiled"
        ]
    return step, []


def largest_gradient_error(step: Step, eager: Step, config: Config, device: torch.device) -> float:
    """Relative difference of the gradients that two steps leave on one batch, the larger of D's and G's.

    The networks keep their weights, buffers and modes; the random streams are left as they were.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        found = []
        for each in (step, eager):
            with _left_as_they_were(eager.G, eager.D):
                found.append(_gradients(each, config, device))
    return max(_relative_error(one, other) for one, other in zip(*found, strict=True))


@contextmanager
def _left_as_they_were(*networks: nn.Module) -> Iterator[None]:
    """Put buffers back, which BatchNorm and spectral norm move, and let no gradient stay, whatever fails inside."""
    before = [copy.deepcopy(network.state_dict()) for network in networks]
    try:
        yield
    finally:
        for network, state in zip(networks, before, strict=True):
            network.load_state_dict(state)
            network.zero_grad(set_to_none=True)


def _gradients(step: Step, config: Config, device: torch.device) -> tuple[Tensor, Tensor]:
    """All gradients of D and of G on a made-up batch, each in a row; noise layers keep still."""
    set_noise(step.G, 0.0)
    set_noise(step.D, 0.0)
    rng = torch.Generator(device).manual_seed(config.seed)
    shape = (config.batch, 3, config.size, config.size)
    images = torch.randn(shape, generator=rng, device=device).mul(0.5).to(memory_format=torch.channels_last)
    reals = reals_at_scales(step.D, images)
    z = torch.randn(config.batch, config.z_dim, generator=rng, device=device)
    view = views.draw(
        [torch.Size((2 * config.batch, *level.shape[1:])) for level in reals],
        strength=max(config.augment.start, config.augment.end),
        kinds=config.augment_kinds,
        noise_std=config.instance_noise.start,
        rng=rng,
    )
    mix = torch.rand(config.batch, 1, 1, 1, generator=rng, device=device)
    gamma = max(config.gamma.start, config.gamma.end)
    weight = torch.full((), gamma, device=device) if gamma > 0 else None
    fakes = step.generate(z)
    step.discriminator_phase(reals, fakes, view, None, weight, mix if config.penalty == "length-one" else None)
    of_d = _flat_gradients(step.D)
    step.generator_phase(reals, fakes, view, None)
    return of_d, _flat_gradients(step.G)


def _flat_gradients(network: nn.Module) -> Tensor:
    gradients = [p.grad.flatten().to(torch.float32) for p in network.parameters() if p.grad is not None]
    network.zero_grad(set_to_none=True)
    return torch.cat(gradients)


def _relative_error(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp(min=1e-12))

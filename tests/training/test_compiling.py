"""Compiling is trusted only after a comparison, and given up aloud."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainface import compiling
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.game.view import View
from trainface.networks import build_discriminator, build_generator, set_progress
from trainface.presets import preset
from trainface.step import Step
from trainface.trainer import Trainer

CPU = torch.device("cpu")


class Skewed(Step):
    """A compiler that gets D's loss a little wrong, or fails."""

    wrong = 1.1

    def __init__(self, *args: Any, compiled: bool, **options: Any) -> None:
        super().__init__(*args, compiled=False, **options)
        if compiled:
            plain = self._d_loss

            def skewed(*inputs: Any) -> Any:
                if self.wrong == 0:
                    raise RuntimeError("no working C++ compiler\nand a hundred lines more")
                loss, stats = plain(*inputs)
                return loss * self.wrong, stats

            self._d_loss = skewed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(1.1, "changes the gradients by 1.0e-01"), (0, "torch.compile failed (no working C++ compiler)"), (1.0, None)],
)
def test_a_wrong_or_failing_compiler_is_given_up(
    wrong: float, said: str | None, faces: FaceSet, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "Step", Skewed)
    monkeypatch.setattr(Skewed, "wrong", wrong)
    trainer = Trainer(tiny.with_settings({"compile": "on", "precision": "fp32"}), faces, CPU)
    assert trainer.compiled == (said is None)
    assert (said is None and not trainer.notes) or (said is not None and said in trainer.notes[0])
    trainer.step()


def test_the_comparison_leaves_networks_and_streams_alone(tiny: Config) -> None:
    torch.manual_seed(0)
    G, D = build_generator(tiny), build_discriminator(tiny)
    before = [tensor.clone() for network in (G, D) for tensor in network.state_dict().values()]
    stream = torch.get_rng_state()
    eager = Step(G, D, tiny, device=CPU, bf16=False, compiled=False)
    assert compiling.largest_gradient_error(eager, eager, tiny, CPU) == 0.0
    after = [tensor for network in (G, D) for tensor in network.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert torch.equal(stream, torch.get_rng_state())
    assert all(parameter.grad is None for network in (G, D) for parameter in network.parameters())


def test_the_comparison_leaves_nothing_behind_when_it_fails(faces: FaceSet) -> None:
    """A gradient left by a phase that failed half way would be added to the first step's."""
    config = preset("tiny-dcgan").with_settings({"d_norm": "spectral", "precision": "fp32"})
    torch.manual_seed(0)
    G, D = build_generator(config), build_discriminator(config)
    before = [tensor.clone() for network in (G, D) for tensor in network.state_dict().values()]
    eager = Step(G, D, config, device=CPU, bf16=False, compiled=False)
    assert compiling.largest_gradient_error(eager, eager, config, CPU) == 0.0, "spectral norm's vectors are put back"

    class Failing(Step):
        def generator_phase(self, *inputs: Any) -> Any:
            super().generator_phase(*inputs)
            raise RuntimeError("out of memory, say")

    with pytest.raises(RuntimeError):
        compiling.largest_gradient_error(
            Failing(G, D, config, device=CPU, bf16=False, compiled=False), eager, config, CPU
        )
    after = [tensor for network in (G, D) for tensor in network.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(parameter.grad is None for network in (G, D) for parameter in network.parameters())


@pytest.mark.slow
def test_every_stage_of_a_growing_pyramid_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """More versions of D's loss than Dynamo compiles by itself; traced only, which takes seconds, not minutes."""
    real, traced = torch.compile, []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function, **options: real(function, backend=backend, **options))
    widths = {"g_widths": "8,8,8,8,8", "d_widths": "8,8,8,8,8", "size": "64", "architecture": "pyramid"}
    config = preset("tiny").with_settings(widths | {"regime": "progressive", "penalty_every": "2", "batch": "2"})
    torch.manual_seed(0)
    G, D = build_generator(config), build_discriminator(config)
    step = Step(G, D, config, device=CPU, bf16=False, compiled=True)
    counts = []
    for at in (0.0, 0.15, 0.25, 0.35, 0.45):
        for network in (G, D):
            set_progress(network, at)
        for weight in (None, torch.tensor(1.0)):
            before = len(traced)
            fakes = step.generate(torch.randn(2, 8))
            step.discriminator_phase(fakes, fakes, View(augmentation=None, noise=None), None, weight, None)
            counts.append(len(traced) - before)
    assert fakes[0].shape[-1] == 64
    assert min(counts) >= 1, counts

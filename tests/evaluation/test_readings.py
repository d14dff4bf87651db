"""The plain sentence on a leave-one-out score says what the figures say."""

from __future__ import annotations

import pytest

from evalface.neighbours import LeaveOneOut
from evalface.readings import read_one_nn


@pytest.mark.parametrize(
    ("real", "fake", "n", "words"),
    [
        (0.50, 0.51, 1000, "cannot be told from the reals"),
        (0.45, 0.56, 100, "cannot be told from the reals"),
        (1.0, 1.0, 12, "too few pictures"),
        (0.0, 0.0, 12, "too few pictures"),
        (1.0, 1.0, 16, "too few pictures"),
        (1.0, 1.0, 17, "can be told apart"),
        (0.0, 0.0, 17, "copied training pictures"),
        (0.98, 0.99, 1000, "can be told apart"),
        (0.02, 0.01, 1000, "copied training pictures"),
        (0.20, 0.95, 1000, "mode collapse"),
        (0.95, 0.20, 1000, "near-copies"),
        (0.50, 0.90, 1000, "crowd together"),
        (0.90, 0.50, 1000, "not covered"),
        (0.50, 0.10, 1000, "near-copies"),
        (0.10, 0.50, 1000, "less spread"),
        (0.57, 0.58, 5000, "faintly, reals and fakes keep to themselves"),
    ],
)
def test_reading(real: float, fake: float, n: int, words: str) -> None:
    score = LeaveOneOut(
        accuracy=(real + fake) / 2,
        real_accuracy=real,
        fake_accuracy=fake,
        chance=(n - 1) / (2 * n - 1),
        n_per_side=n,
    )
    sentence = read_one_nn(score)
    assert words in sentence
    assert f"{(real + fake) / 2:.0%}" in sentence

"""Which faces a step sees: every face once an epoch, the held-out ones never."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainface.config import Config
from trainface.data.dataset import FaceSet, split_holdout
from trainface.trainer import Trainer

CPU = torch.device("cpu")


def test_every_face_is_seen_once_an_epoch(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"batch": "7"}), faces, CPU)
    n = len(trainer.train_indices)
    seen = np.concatenate(list(trainer.batches.stretches(0, 3 * n)))
    epochs = seen.reshape(3, n)
    for epoch in epochs:
        assert sorted(epoch) == sorted(trainer.train_indices)
    assert not np.array_equal(epochs[0], epochs[1])
    np.testing.assert_array_equal(np.concatenate(list(trainer.batches.stretches(n - 3, 9))), seen[n - 3 : n + 6])


def test_holdout_follows_content_and_stays_out(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"holdout": "0.3"}), faces, CPU)
    held = set(trainer.holdout_indices)
    assert 5 < len(held) < 35
    assert not held & set(np.concatenate(list(trainer.batches.stretches(0, 500))))
    recorded = trainer.state()["data"]["holdout"]["sha256"]
    assert recorded == [faces.digests[i] for i in sorted(held)]
    # Another order and more pictures: the same contents are held out.
    order = list(reversed(faces.digests))
    _, reordered = split_holdout([*order, "f" * 64], 0.3)
    assert {order[i] for i in reordered} == set(recorded)


def test_holdout_share_is_met_on_average() -> None:
    rng = np.random.default_rng(0)
    digests = [rng.bytes(32).hex() for _ in range(4000)]
    _, held = split_holdout(digests, 0.05)
    assert len(held) / 4000 == pytest.approx(0.05, abs=0.015)  # four standard deviations

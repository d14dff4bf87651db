"""Every preset and every trick, at a size of seconds: trains two ticks, exports, and the export is the network."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from exportface.export import export
from genface.photos import Preparation
from trainface import cartoons
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.logbook import Logbook
from trainface.loop import train
from trainface.presets import PRESETS, preset
from trainface.trainer import Trainer

CPU = torch.device("cpu")

# Each classroom trick alone, on the plain DCGAN unless it needs another loss or norm; the schedules move.
TRICKS: dict[str, dict[str, str]] = {
    "instance noise": {"instance_noise": "0.2:0"},
    "noise layers": {"g_noise": "0.1:0", "d_noise": "0.1:0"},
    "soft labels": {"soft_labels": "0.1"},
    "noisy labels": {"label_noise": "0.1:0"},
    "flipped labels": {"label_flips": "0.1:0"},
    "minimax generator": {"g_label_swap": "0:1"},
    "reals as fakes": {"real_as_fake": "0.2:0"},
    "replay": {"replay": "0.5", "replay_size": "16"},
    "skipping D": {"skip_d_below": "1.3"},
    "two rates": {"d_lr": "4e-4:1e-4"},
    "more D steps": {"d_steps": "2"},
    "lsgan": {"loss": "lsgan"},
    "hinge": {"loss": "hinge"},
    "wgan-gp": {"loss": "wgan", "d_norm": "none", "penalty": "length-one", "gamma": "10", "d_steps": "2"},
    "wgan spectral": {"loss": "wgan", "d_norm": "spectral"},
    "r1": {"d_norm": "instance", "penalty": "r1", "gamma": "1"},
    "r1 + r2, spectral": {"d_norm": "spectral", "gamma": "1"},
    "no norm": {"d_norm": "none"},
    "cutout": {"augment": "0.5", "augment_kinds": "cutout"},
    "adaptive augmentation": {"augment": "0.1", "augment_target": "0.3", "holdout": "0.3"},
}


def shrunk(config: Config) -> Config:
    """The same recipe at 16 px and a few channels, two ticks of two steps."""
    stages = {"dcgan": 1, "normfree": 2, "r3": 3, "pyramid": 3}[config.architecture]
    return replace(
        config, size=16, z_dim=8, g_widths=(8,) * stages, d_widths=(8,) * stages, batch=8, kimg=0.032 * config.d_steps,
        tick_kimg=0.016 * config.d_steps, score_kimg=0.0, precision="fp32", compile="off",
    )  # fmt: skip


def faces(count: int = 48) -> FaceSet:
    images = np.stack([cartoons.render(0, index, 16) for index in range(count)])
    return FaceSet(
        name="drawn faces",
        images=images,
        names=[f"{index}.png" for index in range(count)],
        digests=[f"{index * 0x9E3779B97F4A7C15 % 2**64:016x}" + "0" * 48 for index in range(count)],
        preparation=Preparation(size=16),
        key="0" * 64,
        notes=[],
    )


def train_and_export(config: Config, folder: Path) -> None:
    torch.set_num_threads(1)
    trainer = Trainer(config, faces(), CPU)
    assert train(trainer, folder, Logbook(folder, 0))
    ticks = [
        entry
        for entry in map(json.loads, (folder / "log.jsonl").read_text().splitlines())
        if "images_per_second" in entry
    ]
    assert len(ticks) == 2
    assert all(math.isfinite(tick[name]) for tick in ticks for name in ("d_loss", "g_loss"))
    exported = export(folder / "checkpoint.pt", folder / "gen.onnx", licence="none: a test")
    assert not exported.parity.failures


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset(name: str, tmp_path: Path) -> None:
    train_and_export(shrunk(preset(name)), tmp_path)


@pytest.mark.parametrize("name", TRICKS)
def test_every_trick(name: str, tmp_path: Path) -> None:
    train_and_export(shrunk(preset("tiny-dcgan").with_settings(TRICKS[name])), tmp_path)

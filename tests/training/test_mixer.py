"""Runs of mixers: each method learns, resumes to the bit, keeps strangers out, and refuses what does not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from evalface.identities import identity_of
from genface.errors import UserError
from genface.photos import Preparation
from trainface import checkpoint
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.history import read_history
from trainface.mixer.autoencoder import AutoencoderTask
from trainface.mixer.config import MixerConfig
from trainface.mixer.embedding_decoder import EmbeddingTask
from trainface.mixer.embeddings import embed_all
from trainface.mixer.gan_encoder import open_generator
from trainface.mixer.identities import RULE
from trainface.mixer.networks import build_decoder, build_encoder
from trainface.mixer.presets import preset
from trainface.mixer.run import train_mixer
from trainface.mixer.task import FORMAT_VERSION, KIND
from trainface.pixels import to_levels
from trainface.supervised.learner import Learner
from trainface.supervised.task import Turn
from trainface.trainer import Trainer
from trainface.weights import write_weights

CPU = torch.device("cpu")
HOLDOUT = 0.4
"""Of so few people a tenth may be none; these are 6 of 32."""
LEARNED = {
    "tiny-ae-classic": "holdout_l1",
    "tiny-ae": "holdout_perceptual",
    "tiny-embed-classic": "holdout_l1",
    "tiny-embed": "holdout_l1",
    "tiny-gan-encoder": "latent",
}
"""What falls within 50 steps, on people that were never seen where it is measured on people. A generator that has
hardly begun draws none of them, but its latents can be found."""


@pytest.fixture
def people() -> FaceSet:
    """96 smooth pictures of 16 px: 32 people, three of each."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (96, 3, 3, 3)).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(c).resize((16, 16), Image.Resampling.BICUBIC)) for c in coarse])
    return FaceSet(
        name="people",
        images=images,
        names=[f"Person_{i // 3}_{i % 3 + 1:04d}.png" for i in range(96)],
        digests=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        preparation=Preparation(size=16),
        key="5" * 64,
        notes=[],
    )


class Coarse:
    """An embedder: the picture at 3x3 pixels."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {"sha256": "e" * 64, "title": "coarse"}

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return faces[:, 2:16:6, 2:16:6].reshape(len(faces), -1).astype(np.float32) / 255 - 0.5


@pytest.fixture
def generator(people: FaceSet, tiny: Config, tmp_path: Path) -> Path:
    """The weights of a GAN that has seen 16 pictures."""
    trainer = Trainer(tiny, people, CPU)
    trainer.step()
    trainer.step()
    checkpoint.save(trainer.state(), tmp_path / "gan.pt")
    write_weights(tmp_path / "gan.pt", tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


Start = Callable[..., bool]


@pytest.fixture
def start(people: FaceSet, generator: Path) -> Start:
    """Run a preset with what its method needs."""

    def run(path: Path, config: MixerConfig, **options: Any) -> bool:
        given: dict[str, Any] = {"device_name": "cpu", "open_faces": lambda _: people}
        if config.method == "embedding":
            given["open_embedder"] = Coarse
        if config.method == "gan":
            given["generator"] = generator
        return train_mixer(path, config, **(given | options))

    return run


def state_of(path: Path) -> dict[str, Any]:
    return checkpoint.load_kind(path / "checkpoint.pt", KIND, FORMAT_VERSION)


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    state = state_of(path)
    nets = {f"{kind}/{name}": net for kind in ("networks", "ema") for name, net in state[kind].items()}
    return {f"{name}/{key}": tensor for name, net in nets.items() for key, tensor in net.items()}


@pytest.mark.parametrize("name", LEARNED)
def test_every_method_learns_and_a_resumed_run_is_the_uninterrupted_one(
    name: str, start: Start, people: FaceSet, tmp_path: Path
) -> None:
    config = replace(preset(name), decay_kimg=0.4, holdout=HOLDOUT)
    assert start(tmp_path / "whole", config)
    assert start(tmp_path / "parted", replace(config, kimg=0.2))
    assert start(tmp_path / "parted", config)
    whole, parted = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parted")
    assert whole.keys() == parted.keys()
    assert all(torch.equal(whole[key], parted[key]) for key in whole)

    ticks = read_history(tmp_path / "whole").ticks
    assert ticks[-1][LEARNED[name]] < ticks[0][LEARNED[name]]
    with Image.open(tmp_path / "whole" / "grids" / "000000400.png") as grid:
        assert grid.size == (5 * 16, 3 * 16), "six strangers make three pairs"

    state = state_of(tmp_path / "whole")
    held = state["data"]["held_out_identities"]
    assert held
    assert set(held) < {identity_of(each) for each in people.names}
    assert state["data"]["held_out_rule"] == RULE
    assert state["preparation"] == {"size": 16, "crop": "center", "resample": "lanczos"}
    assert (state["embedder"] is not None, state["generator"] is not None) == ("embed" in name, "gan" in name)

    # What an export does: rebuild the averaged networks from the record alone.
    stored = MixerConfig.from_dict(state["config"])
    decoder = build_decoder(stored)
    decoder.load_state_dict(state["ema"]["decoder"])
    pictures = decoder.eval()(torch.randn(2, stored.code_size))
    assert pictures.shape == (2, 3, 16, 16)
    assert set(state["ema"]) == ({"decoder"} if "embed" in name else {"encoder", "decoder"})
    if "embed" not in name:
        encoder = build_encoder(stored)
        encoder.load_state_dict(state["ema"]["encoder"])
        assert encoder.eval()(torch.zeros(2, 3, 16, 16)).shape == (2, stored.code_size)


def test_strangers_are_never_trained_on(people: FaceSet) -> None:
    config = replace(preset("tiny-ae-classic"), holdout=HOLDOUT)
    task = AutoencoderTask(config, people, CPU)
    seen: set[int] = set()
    draw = task.batches.draw

    def watched(cur_nimg: int, rng: torch.Generator) -> Any:
        batch = draw(cur_nimg, rng)
        seen.update(batch.indices.tolist())
        return batch

    task.batches.draw = watched  # type: ignore[method-assign]
    learner = Learner(config, task, CPU)
    for _ in range(30):
        learner.step()
    assert seen == set(task.split.train.tolist())
    assert {identity_of(people.names[index]) for index in seen}.isdisjoint(task.split.identities)


def test_mirrored_faces_have_the_embeddings_of_their_mirror_images(people: FaceSet) -> None:
    """Through the whole table: what the decoder is shown for a batch is what the embedder says of its pictures."""
    config = preset("tiny-embed").with_settings({"code_dim": "27", "batch": "32"})
    task = EmbeddingTask(config, people, embed_all(people, Coarse()), CPU)
    batch = task.batches.draw(0, torch.Generator().manual_seed(1))
    assert 0 < int(batch.flipped.sum()) < 32
    shown: list[torch.Tensor] = []
    raw = task._decoder.raw
    task._decoder.raw = lambda codes: shown.append(codes) or raw(codes)  # type: ignore
    task.step(
        Turn(
            cur_nimg=0,
            at=0.0,
            rng=torch.Generator().manual_seed(1),
            autocast=nullcontext,
            descend=lambda name, loss: {},
        )
    )
    np.testing.assert_allclose(shown[0].numpy(), Coarse().embed(to_levels(batch.images).numpy()), atol=1e-6)


def test_the_critic_is_trained_and_leaves_no_gradient_behind(people: FaceSet) -> None:
    config = preset("tiny-ae")
    task = AutoencoderTask(config, people, CPU)
    learner = Learner(config, task, CPU)
    critic = task.parts["critic"].networks["critic"]
    before = {name: tensor.clone() for name, tensor in critic.state_dict().items()}
    first, second = learner.step(), learner.step()
    assert "r1" in first
    assert "r1" not in second, "every other step has no penalty"
    assert {"perceptual", "adversarial", "kl", "critic_loss"} <= first.keys()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in critic.state_dict().items())
    assert all(parameter.grad is None for parameter in critic.parameters())
    assert "critic" not in learner.averages


def test_a_generator_stays_as_it_is_and_real_faces_come_after_the_synthetic_ones(
    start: Start, generator: Path, people: FaceSet, tmp_path: Path
) -> None:
    start(tmp_path / "run", preset("tiny-gan-encoder"))
    given = open_generator(generator)
    stored = state_of(tmp_path / "run")
    for kind in ("networks", "ema"):
        for name, tensor in given.network.state_dict().items():
            assert torch.equal(stored[kind]["decoder"][f"generator.{name}"], tensor)
    ticks = read_history(tmp_path / "run").ticks
    assert ["pixel_loss" in tick for tick in ticks] == [False, False, True, True]
    assert all("latent" in tick for tick in ticks)
    assert stored["generator"]["data"] == people.name
    assert MixerConfig.from_dict(stored["config"]).code_dim == 8


def test_what_does_not_fit_is_refused(start: Start, generator: Path, people: FaceSet, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError, match="the method embedding needs --embedder FILE"):
        start(run, preset("tiny-embed"), open_embedder=None)
    with pytest.raises(UserError, match="the method gan needs --generator FILE"):
        start(run, preset("tiny-gan-encoder"), generator=None)
    with pytest.raises(UserError, match="--generator belongs to the method gan, and this one is autoencoder"):
        start(run, preset("tiny-ae"), generator=generator)
    with pytest.raises(UserError, match="code_dim=5: the embedder's vectors have 27 numbers"):
        start(run, preset("tiny-embed").with_settings({"code_dim": "5"}))
    with pytest.raises(UserError, match=r"has size=16, this run 64; give --set size=16"):
        start(run, preset("gan-encoder64"))
    with pytest.raises(UserError, match="has code_dim=8, this run 9"):
        start(run, preset("tiny-gan-encoder").with_settings({"code_dim": "9"}))
    other = replace(people, preparation=Preparation(size=16, crop="face"))
    with pytest.raises(UserError, match=r"learned from faces prepared as 16 px, center.*these .* face crop"):
        start(run, preset("tiny-gan-encoder"), open_faces=lambda _: other)
    with pytest.raises(UserError, match=r"faces to train on \(\d+ held out\) are fewer than one batch of 500"):
        start(run, preset("tiny-ae-classic").with_settings({"batch": "500"}))
    assert not run.exists(), "nothing began"


def test_another_embedder_or_other_faces_do_not_go_on_with_a_run(start: Start, people: FaceSet, tmp_path: Path) -> None:
    class Other(Coarse):
        def __init__(self) -> None:
            self.facts = {"sha256": "f" * 64, "title": "another"}

    config = replace(preset("tiny-embed-classic"), kimg=0.1, decay_kimg=0.4)
    start(tmp_path / "run", config)
    longer = replace(config, kimg=0.2)
    with pytest.raises(UserError, match="another embedder"):
        start(tmp_path / "run", longer, open_embedder=Other)
    with pytest.raises(UserError, match="another data"):
        start(tmp_path / "run", longer, open_faces=lambda _: replace(people, key="6" * 64))


def test_a_set_without_identities_or_holdout_can_be_trained_on(faces: FaceSet, start: Start, tmp_path: Path) -> None:
    config = replace(preset("tiny-ae-classic"), kimg=0.1, holdout=0.0)
    assert start(tmp_path / "run", config, open_faces=lambda _: faces)
    assert state_of(tmp_path / "run")["data"]["held_out_identities"] == []
    assert "holdout_l1" not in read_history(tmp_path / "run").ticks[0]

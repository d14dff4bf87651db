"""The parts of mixers: identities, losses, networks, settings, embeddings."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evalface.identities import identity_of
from genface.errors import UserError
from trainface.data.dataset import FaceSet
from trainface.mixer import losses
from trainface.mixer.config import MixerConfig
from trainface.mixer.embeddings import FOLDER, embed_all
from trainface.mixer.identities import split_identities
from trainface.mixer.networks import Decoder, Encoder, build_decoder, build_encoder, spread_out
from trainface.mixer.presets import PRESETS, preset
from trainface.mixer.show import pick_pairs, rows
from trainface.presets import preset as gan_preset
from trainface.settings import meanings, table_of


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("Aaron_Eckhart_0001.jpg", "Aaron_Eckhart"),
        ("lfw/Aaron_Eckhart/Aaron_Eckhart_0002.png", "Aaron_Eckhart"),
        ("flickr_cat_000002.jpg", "flickr_cat_000002.jpg"),
        ("photo.jpg", "photo.jpg"),
        ("_0001.jpg", "_0001.jpg"),
        ("a/1.png", "a/1.png"),
    ],
)
def test_identities_are_read_from_file_names(name: str, identity: str) -> None:
    assert identity_of(name) == identity


def test_identities_are_held_out_whole_by_a_hash_of_the_name() -> None:
    people = [f"Person_{chr(65 + i % 26)}{i}" for i in range(400)]
    names = [f"{person}_{k:04d}.jpg" for person in people for k in range(1, 4)]
    split = split_identities(names, 0.1)
    held = {identity_of(names[index]) for index in split.holdout}
    assert held == set(split.identities)
    assert not held & {identity_of(names[index]) for index in split.train}
    assert len(split.train) + len(split.holdout) == len(names)
    assert len(held) / 400 == pytest.approx(0.1, abs=0.06), "four standard deviations"
    # The rule as it is written down, and independence of everything else in the set.
    assert held == {p for p in people if int(hashlib.sha256(p.encode()).hexdigest()[:16], 16) < 0.1 * 2**64}
    assert set(split_identities([*reversed(names), "New_Face_0001.jpg"], 0.1).identities) - {"New_Face"} == held
    assert split_identities(names, 0.0).identities == ()
    split_identities(["bytes_\udcff_0001.jpg"], 0.1)  # a name that is no text


def test_losses_by_hand() -> None:
    raw, reals = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[-1.0, 1.0]]]])
    assert float(losses.l1(raw, reals)) == 1.0
    half = 1 / (1 + math.exp(-2.0))
    assert float(losses.mse(raw, reals)) == pytest.approx((0.25 + (half - 1) ** 2) / 2, rel=1e-6)
    assert float(losses.bce(raw, reals)) == pytest.approx((math.log(2) - math.log(half)) / 2, rel=1e-6)

    zeros = torch.zeros(2, 3)
    assert float(losses.kl_from_normal(zeros, zeros)) == 0.0
    mean, log_var = torch.tensor([[0.7, -1.0]]), torch.tensor([[0.3, -0.4]])
    q = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean()
    assert float(losses.kl_from_normal(mean, log_var)) == pytest.approx(float(expected), rel=1e-5)

    codes = torch.tensor([[3.0, 4.0], [0.0, math.sqrt(2)]])
    assert float(losses.sphere_pull(codes)) == pytest.approx((5 / math.sqrt(2) - 1) ** 2 / 2, rel=1e-5)
    assert float(losses.latent_error(codes, codes + 2)) == 4.0
    at_zero = torch.zeros(1, 4, requires_grad=True)
    losses.sphere_pull(at_zero).backward()
    assert at_zero.grad is not None
    assert at_zero.grad.isfinite().all()


def test_perceptual_distance_looks_at_directions_of_features() -> None:
    x = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    assert float(losses.perceptual([x], [7.0 * x])) == pytest.approx(0.0, abs=1e-10)
    one, other = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    one[0, 0], other[0, 1] = 2.0, 3.0
    assert float(losses.perceptual([one, one], [other, one])) == pytest.approx(1.0, rel=1e-6), "mean of 2 and 0"


def resolved(name: str) -> MixerConfig:
    """A preset with what embedder or generator would fill in."""
    config = preset(name)
    if config.method == "gan":
        record = json.dumps(gan_preset("tiny" if config.size == 16 else "s64").to_dict())
        return config.with_settings({"code_dim": "8" if config.size == 16 else "64", "generator": record})
    return replace(config, code_dim=config.code_dim or 12)


@pytest.mark.parametrize("name", PRESETS)
def test_networks_of_every_preset(name: str) -> None:
    config = resolved(name)
    torch.manual_seed(0)
    decoder = build_decoder(config).eval()
    codes = torch.randn(3, config.code_size)
    images = decoder(codes)
    assert images.shape == (3, 3, config.size, config.size)
    low, high = decoder.output_range
    assert (low, high) == ((0.0, 1.0) if config.design == "classic" else (-1.0, 1.0))
    if config.design == "classic":
        assert images.min() >= 0
        assert images.max() <= 1
    assert torch.equal(decoder.finish(decoder.raw(codes)), images)
    assert_rows_apart(decoder, codes)
    if config.method == "embedding":
        assert torch.allclose(decoder(5 * codes), images, atol=1e-5), "only the direction of an embedding counts"
        with pytest.raises(UserError, match="no encoder of its own"):
            build_encoder(config)
        return
    encoder = build_encoder(config).eval()
    faces = torch.rand(3, 3, config.size, config.size) * 2 - 1
    assert encoder(faces).shape == (3, config.code_size)
    assert torch.equal(encoder(faces), encoder.distribution(faces)[0])
    assert (encoder.distribution(faces)[1] is not None) == (config.kl > 0)
    assert_rows_apart(encoder, faces)


def assert_rows_apart(network: Encoder | Decoder, inputs: torch.Tensor) -> None:
    """Each row is a function of its own input: no statistics of the batch."""
    assert torch.allclose(network(inputs)[1:2], network(inputs[1:2]), atol=1e-5)


def test_signals_keep_their_size_through_the_modern_networks() -> None:
    config = resolved("ae64")
    torch.manual_seed(0)
    faces = torch.randn(8, 3, 64, 64) * 0.5
    with torch.no_grad():
        assert 0.2 < build_encoder(config)(faces).std() < 2.0
        assert 0.1 < build_decoder(config)(torch.randn(8, 256)).std() < 1.5


def test_spread_out_codes_have_numbers_of_size_one() -> None:
    codes = spread_out(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert torch.allclose(codes, torch.tensor([[0.6, 0.8], [0.0, 0.0]]) * math.sqrt(2))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("ae64", {"wdths": "3"}, "unknown setting 'wdths'; did you mean widths?"),
        ("ae64", {"size": "48"}, "size=48: must be 16, 32, 64, 128, 256"),
        ("ae64", {"widths": "8,8"}, r"widths=8,8: must be 4 positive number\(s\) at 64 px"),
        ("ae64", {"critic_widths": "8"}, "critic_widths=8: must be 4"),
        ("ae64", {"code_dim": "none"}, r"code_dim=none: must be a number \(autoencoder\)"),
        ("ae64", {"code_dim": "many"}, "code_dim=many: not a value of kind int"),
        ("ae64", {"pixel_loss": "bce"}, r"pixel_loss=bce: must be l1 \(modern\)"),
        ("ae64", {"sphere": "1"}, "sphere=1.0: must be 0, but for the method gan"),
        ("ae64-classic", {"kl": "1"}, "kl=1.0: must be 0 with a classic encoder"),
        ("embed64", {"kl": "1"}, "kl=1.0: must be 0, but for the method autoencoder"),
        ("gan-encoder64", {"design": "classic", "pixel_loss": "mse"}, r"design=classic: must be modern \(gan\)"),
        ("gan-encoder64", {"latent": "0"}, "latent=0: must be more than 0 while"),
        ("ae64", {"holdout": "0.9"}, "holdout=0.9: must be 0 to 0.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        preset(name).with_settings(settings)


@pytest.mark.parametrize("name", PRESETS)
def test_a_record_survives_the_checkpoint(name: str) -> None:
    assert MixerConfig.from_dict(json.loads(json.dumps(resolved(name).to_dict()))) == resolved(name)


def test_every_setting_has_a_meaning() -> None:
    found = meanings(MixerConfig)
    assert set(found) == set(preset("ae64").to_dict())
    assert all(len(meaning) > 10 for meaning in found.values())
    assert "kl=0.0003" in table_of(preset("ae64"))
    with pytest.raises(UserError, match="unknown preset 'ae'; known: ae64-classic, ae64"):
        preset("ae")


def test_pairs_are_of_two_identities_and_spread_over_the_set() -> None:
    names = [f"P{i // 3}_000{i % 3}.png" for i in range(90)]
    pairs = pick_pairs(names, np.arange(90))
    assert pairs.shape == (8, 2)
    assert all(identity_of(names[a]) != identity_of(names[b]) for a, b in pairs)
    assert pairs.min() == 0
    assert pairs.max() == 87
    assert pick_pairs(names, np.arange(3)).shape == (1, 2), "one identity: its own pictures"


def test_progress_pictures_are_laid_out_in_rows_of_five() -> None:
    faces = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1, 1).repeat(3, axis=-1)
    sheet = rows(faces, faces + 10, np.full((2, 1, 1, 3), 99, np.uint8))
    assert sheet[:, 0, 0, 0].tolist() == [0, 10, 99, 11, 1, 2, 12, 99, 13, 3]


class Means:
    """An embedder that answers with the colours of the left and of the right half."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {"sha256": "0" * 64, "title": "halves"}
        self.asked = 0

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked += len(faces)
        halves = [faces[:, :, : faces.shape[2] // 2], faces[:, :, faces.shape[2] // 2 :]]
        return np.concatenate([half.mean(axis=(1, 2)) for half in halves], axis=1).astype(np.float32)


def test_embeddings_are_computed_once_for_faces_and_their_mirror_images(faces: FaceSet, tmp_path: Path) -> None:
    embedder = Means()
    heard: list[tuple[int, int]] = []
    found = embed_all(faces, embedder, cache_dir=tmp_path, progress=lambda done, total: heard.append((done, total)))
    assert found.rows.shape == (2, 64, 6)
    assert found.dim == 6
    assert heard[-1] == (64, 64)
    np.testing.assert_array_equal(found.rows[0, :, :3], found.rows[1, :, 3:])
    np.testing.assert_array_equal(found.rows[0], embedder.embed(np.asarray(faces.images)))

    asked = embedder.asked
    again = embed_all(faces, embedder, cache_dir=tmp_path)
    assert embedder.asked == asked
    np.testing.assert_array_equal(again.rows, found.rows)
    embedder.facts = embedder.facts | {"sha256": "1" * 64}
    assert embed_all(faces, embedder, cache_dir=tmp_path).key != found.key
    assert embedder.asked > asked
    (tmp_path / FOLDER / f"{found.key}.npy").write_bytes(b"cut short")
    embedder.facts = embedder.facts | {"sha256": "0" * 64}
    np.testing.assert_array_equal(embed_all(faces, embedder, cache_dir=tmp_path).rows, found.rows)


@pytest.mark.parametrize("bad", [0.0, float("nan")])
def test_vectors_of_nothing_are_refused(faces: FaceSet, tmp_path: Path, bad: float) -> None:
    class Bad(Means):
        def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
            rows = super().embed(faces)
            rows[3] = bad
            return rows

    with pytest.raises(UserError, match=r"no usable vector for 3\.png \(1 of 64 faces\)"):
        embed_all(faces, Bad(), cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.npy"))

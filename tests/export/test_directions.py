from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exportface import directions as module
from exportface.directions import MAX_DIRECTIONS, NUM_LATENTS, SIDE, false_directions, principal_directions
from exportface.export import export
from genface.latents import latents
from genface.model import Generator
from trainface.config import Config
from trainface.networks import build_generator, set_progress
from trainface.presets import preset

Z_DIM = 16
LARGE = [4.0, 3.0, 2.0, 1.0]


class Known(nn.Module):
    """Features of 8 px that move by LARGE[k] along column k of an orthogonal matrix, in a rectifier's bend if asked."""

    def __init__(self, gains: Sequence[float] = LARGE, *, bent: bool = False, size: int = 16) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.axes = np.linalg.qr(rng.normal(size=(Z_DIM, Z_DIM)))[0].T
        maps = np.linalg.qr(rng.normal(size=(SIDE * SIDE, len(gains))))[0].T
        weight = (self.axes[: len(gains)].T * np.array(gains)) @ maps
        self.register_buffer("weight", torch.from_numpy(weight.astype(np.float32)))
        self.bend = nn.LeakyReLU(0.2) if bent else nn.Identity()
        self.up = nn.Upsample(scale_factor=size / SIDE)
        self.to_rgb = nn.Conv2d(1, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.to_rgb(self.up(self.bend((z @ self.weight).reshape(-1, 1, SIDE, SIDE))))
        return images


def _cosines(found: Sequence[Sequence[float]], axes: np.ndarray) -> np.ndarray:
    return np.abs(np.sum(np.array(found) * axes[: len(found)], axis=1))


def test_known_directions_are_found_in_their_order() -> None:
    network = Known()
    found = principal_directions(network, Z_DIM)
    assert len(found) == len(LARGE)  # the features answer to no others
    # The fit of a linear map is exact but for float32 of its products and six decimals.
    np.testing.assert_allclose(_cosines(found, network.axes), 1.0, atol=1e-5)


def test_a_bend_moves_them_little() -> None:
    network = Known(bent=True)
    found = principal_directions(network, Z_DIM)
    # 2,048 latents tell the mean slopes of bent features to some hundredths.
    assert _cosines(found[:4], network.axes).min() > 0.95


def test_they_are_orthogonal_unit_vectors_of_fixed_sign() -> None:
    found = np.array(principal_directions(Known([4.0 * 0.9**k for k in range(Z_DIM)], bent=True), Z_DIM))
    assert found.shape == (MAX_DIRECTIONS, Z_DIM)
    np.testing.assert_allclose(found @ found.T, np.eye(MAX_DIRECTIONS), atol=1e-5)
    assert (found[np.arange(MAX_DIRECTIONS), np.abs(found).argmax(axis=1)] > 0).all()
    assert np.array_equal(found, found.round(6))


def test_they_do_not_depend_on_the_gain_or_the_sign_of_the_features() -> None:
    network = Known(bent=False)
    found = principal_directions(network, Z_DIM)
    network.weight.mul_(-7.0)
    np.testing.assert_allclose(principal_directions(network, Z_DIM), found, atol=2e-6)


def test_features_that_do_not_move_have_none() -> None:
    assert principal_directions(Known([0.0]), Z_DIM) == ()


def test_as_many_latents_as_promised_reach_the_features_and_no_further() -> None:
    network = Known()
    seen = {"features": 0, "pictures": 0}
    network.bend.register_forward_hook(lambda *given: seen.update(features=seen["features"] + len(given[2])))
    network.to_rgb.register_forward_hook(lambda *given: seen.update(pictures=seen["pictures"] + len(given[2])))
    principal_directions(network, Z_DIM)
    assert seen == {"features": NUM_LATENTS + 1, "pictures": 1}  # one tells where the features are
    assert not any(part._forward_pre_hooks for part in network.modules())


SMALL: dict[str, dict[str, Any]] = {
    "normfree": dict(g_widths=(16, 8, 8), d_widths=(8, 8, 16)),
    "dcgan": dict(g_widths=(8,), d_widths=(8,)),
    "r3": dict(g_widths=(16, 8, 8, 8), d_widths=(8, 8, 8, 16), blocks=1),
    "pyramid": dict(g_widths=(16, 8, 8, 8), d_widths=(8, 8, 8, 16)),
}


def _network(architecture: str, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    rows = SMALL[architecture] | {"size": 32, "z_dim": Z_DIM, "architecture": architecture} | changes
    return build_generator(_config(rows)).eval().requires_grad_(False)


def _config(changes: dict[str, Any]) -> Config:
    return replace(preset("tiny-dcgan" if changes["architecture"] == "dcgan" else "tiny"), **changes)


@pytest.mark.parametrize(("architecture", "channels"), [("normfree", 8), ("dcgan", 16), ("r3", 8), ("pyramid", 8)])
def test_every_architecture_gives_them_of_8_px(
    architecture: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(architecture)
    shapes = []
    original = module.middle_features

    def watched(*given: Any) -> Any:
        for part, features in original(*given):
            shapes.append(features.shape)
            yield part, features

    monkeypatch.setattr(module, "middle_features", watched)
    found = principal_directions(network, Z_DIM)
    assert len(found) == MAX_DIRECTIONS
    assert {shape[1] for shape in shapes} == {channels * SIDE * SIDE}
    assert sum(shape[0] for shape in shapes) == NUM_LATENTS
    assert false_directions(network, Z_DIM, found) is None


@pytest.mark.parametrize("architecture", SMALL)
def test_the_first_moves_pictures_more_than_the_last(architecture: str) -> None:
    network = _network(architecture)
    found = np.array(principal_directions(network, Z_DIM), dtype=np.float32)
    z = latents(0, range(64), Z_DIM)

    def effect(direction: np.ndarray) -> float:
        there, back = (network(torch.from_numpy(z + step * direction)) for step in (2.0, -2.0))
        return float((there - back).abs().mean())

    assert effect(found[0]) > effect(found[-1])


def test_a_pyramid_that_has_not_grown_yet() -> None:
    """Its highest maps are of 4 px, so those are taken."""
    network = _network("pyramid", regime="progressive")
    set_progress(network, 0.0)
    assert len(principal_directions(network, Z_DIM)) == MAX_DIRECTIONS


def test_two_equal_variances_may_be_told_apart_otherwise() -> None:
    """Any two orthogonal vectors of the plane are right, so a turn in it is no lie; a turn out of it is."""
    network = Known([4.0, 4.0, 1.0])
    first, second, third = (np.array(direction) for direction in principal_directions(network, Z_DIM))
    turned = [0.6 * first + 0.8 * second, 0.8 * first - 0.6 * second, third]
    assert false_directions(network, Z_DIM, [tuple(one) for one in turned]) is None
    turned = [0.6 * first + 0.8 * third, second, 0.8 * first - 0.6 * third]
    assert false_directions(network, Z_DIM, [tuple(one) for one in turned]) is not None


def test_an_exported_file_carries_them(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    exported = export(make_checkpoint(), tmp_path / "gen.onnx", licence="CC0")
    card = Generator(tmp_path / "gen.onnx").info.card
    assert card is not None
    assert len(card.directions) == min(MAX_DIRECTIONS, card.z_dim)
    assert card.directions == exported.card.directions

"""Generators of others: what is not in the file is inferred, measured or asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T

from genface.errors import UserError
from genface.latents import latents
from genface.model import Generator

SaveVariant = Callable[..., Path]


@pytest.mark.parametrize("form", ["uint8 NCHW", "float -1 to 1", "float 0 to 1", "float NHWC", "half"])
@pytest.mark.parametrize("latent_tail", [(8,), (8, 1, 1)])
@pytest.mark.parametrize("batch", ["N", 5, 1])
def test_a_strangers_generator_draws_the_same_pictures(
    generator: Generator, save_variant: SaveVariant, form: str, latent_tail: tuple[int, ...], batch: int | str
) -> None:
    stranger = Generator(save_variant(form, card=None, latent_tail=latent_tail, batch=batch))
    ours = generator.draw(seed=0, indices=range(21)).astype(int)
    # The same network by another way out: at most the rounding of a tie apart; float16 keeps 11 digits, 8 are needed.
    assert np.abs(stranger.draw(seed=0, indices=range(21)) - ours).max() <= 1
    assert stranger.info.card is None
    assert stranger.info.preparation is None
    assert stranger.block == (16 if batch == "N" else batch)


@pytest.mark.parametrize("latent_type", [T.FLOAT16, T.DOUBLE])
def test_latents_of_other_types(generator: Generator, save_variant: SaveVariant, latent_type: int) -> None:
    stranger = Generator(save_variant(latent_type=latent_type))
    differences = stranger.draw(seed=0, indices=range(21)).astype(int) - generator.draw(seed=0, indices=range(21))
    # A latent rounded to 11 digits moves a layer's sums by up to 0.05 %, 127.5 levels by a fraction of one.
    assert np.abs(differences).max() <= (1 if latent_type == T.FLOAT16 else 0)


def test_gray_pictures_become_rgb(generator: Generator, save_variant: SaveVariant) -> None:
    red = generator.draw(seed=0, indices=range(20))[..., :1].astype(int)
    for form in ("float gray", "float gray NHWC"):
        gray = Generator(save_variant(form, card=None))
        assert gray.info.contract.channels == 1
        assert np.abs(gray.draw(seed=0, indices=range(20)) - red).max() <= 1  # red in all three channels


def test_pictures_that_are_not_square(generator: Generator, save_variant: SaveVariant) -> None:
    wide = Generator(save_variant("float wide", card=None))
    assert (wide.info.height, wide.info.width, wide.info.contract.size) == (16, 32, (16, 32))
    ours = generator.draw(seed=0, indices=range(20)).astype(int)
    assert np.abs(wide.draw(seed=0, indices=range(20)) - np.concatenate([ours, ours], axis=2)).max() <= 1


def test_a_range_that_is_said(generator: Generator, save_variant: SaveVariant) -> None:
    ours = generator.draw(seed=0, indices=range(20)).astype(int)
    said = Generator(save_variant("float 0 to 255", card=None), value_range="0:255")
    assert said.info.value_range == "0 to 255"
    assert np.abs(said.draw(seed=0, indices=range(20)) - ours).max() <= 1
    # What is said goes before what is measured.
    overridden = Generator(save_variant("float -1 to 1", card=None), value_range="0:1")
    assert (overridden.draw(seed=0, indices=range(20)) == 0).mean() > 0.3


@pytest.mark.parametrize(
    ("kind", "value"),
    [(T.FLOAT, 0.5), (T.FLOAT16, 0.5), (T.DOUBLE, 0.5), (T.INT32, 1), (T.INT64, -1), (T.BOOL, 1)],
)
@pytest.mark.parametrize("shape", [[], [1], ["N"], ["N", 1]])
def test_a_further_scalar_input(
    generator: Generator, save_variant: SaveVariant, kind: int, value: float, shape: list[int | str]
) -> None:
    """It is added to the latent, so the pictures are those of latents with the value added."""
    path = save_variant(card=None, scalars={"psi": (kind, shape)})
    with pytest.raises(UserError, match=r"needs a value for its input psi.*--input psi=VALUE"):
        Generator(path)
    stranger = Generator(path, inputs={"psi": value})
    z = latents(0, range(21), 8)
    np.testing.assert_array_equal(stranger.from_latents(z), generator.from_latents(z + np.float32(value)))
    assert dict(stranger.info.inputs) == {"psi": value}


def test_a_scalar_input_with_a_default(generator: Generator, save_variant: SaveVariant) -> None:
    path = save_variant(card=None, scalars={"psi": (T.FLOAT, []), "phi": (T.FLOAT, [1])}, defaults={"psi": 0.25})
    z = latents(0, range(21), 8)
    left_out = Generator(path, inputs={"phi": 0})
    np.testing.assert_array_equal(left_out.from_latents(z), generator.from_latents(z + np.float32(0.25)))
    given = Generator(path, inputs={"phi": 0.5, "psi": -0.5})
    np.testing.assert_array_equal(given.from_latents(z), generator.from_latents(z))
    assert left_out.info.inputs == {"phi": 0}
    assert given.info.inputs == {"phi": 0.5, "psi": -0.5}


def test_a_latent_whose_length_is_open_is_measured(generator: Generator, save_variant: SaveVariant) -> None:
    for tail in (("C",), ("C", 1, 1)):
        stranger = Generator(save_variant(card=None, latent_tail=tail))
        assert stranger.info.contract.latent_shape == (8, *tail[1:])
        np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_a_latent_of_any_length_is_asked_for(save_variant: SaveVariant) -> None:
    path = save_variant(card=None, latent_tail=("C",), pooled=True)
    with pytest.raises(
        UserError, match=r"how long its latent z is, and takes 1 and 2 numbers alike: say it by --z-dim"
    ):
        Generator(path)
    assert Generator(path, z_dim=5).info.z_dim == 5
    with pytest.raises(UserError, match="gave 14 pictures for 16 latents"):
        Generator(save_variant(card=None, latent_tail=("C",)), z_dim=7)


def test_an_output_without_sides_is_measured(generator: Generator, save_variant: SaveVariant) -> None:
    stranger = Generator(save_variant(card=None, open_output=True))
    assert stranger.info.contract.picture_shape == (16, 16, 3)
    np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_the_only_output_that_can_be_pictures_is_taken(generator: Generator, save_variant: SaveVariant) -> None:
    stranger = Generator(save_variant(card=None, extra_output=True))
    contract = stranger.info.contract
    assert (contract.output_name, contract.unused_outputs) == ("images", ("h1",))
    np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_one_of_several_outputs_by_name(generator: Generator, save_variant: SaveVariant) -> None:
    path = save_variant("float -1 to 1", card=None, second_pictures=True)
    with pytest.raises(UserError, match=r"several outputs that may be .*: say which by --output images or mask"):
        Generator(path)
    ours = generator.draw(seed=0, indices=range(9)).astype(int)
    for name, expected in (("images", ours), ("mask", ours[..., :1])):
        chosen = Generator(path, output=name)
        assert chosen.info.contract.output_name == name
        assert np.abs(chosen.draw(seed=0, indices=range(9)) - expected).max() <= 1


def test_one_of_several_latents_by_name(save_variant: SaveVariant) -> None:
    path = save_variant(card=None, second_latent=True)
    with pytest.raises(UserError, match=r"several inputs that may be .*: say which by --latent z or w"):
        Generator(path)
    with pytest.raises(UserError, match=r"takes w: float \[N, 8\] beside the latent"):
        Generator(path, latent="z")


@pytest.mark.parametrize(
    ("form", "options", "answers", "message"),
    [
        ("float 0 to 255", {}, {}, r"values from .* to 255; genface knows .*--range"),
        ("float flat", {}, {}, r"values from -0\.01 to 0\.01"),
        ("float four", {}, {}, r"gives images: float \[N, 4, 16, 16\]; pictures are"),
        ("uint8 NHWC", {"extra_input": True}, {}, r"needs a value for its input psi: float \[\]"),
        ("uint8 NHWC", {"extra_input": True}, {"inputs": {"phi": 1}}, r"no further input 'phi'; it has: psi"),
        ("uint8 NHWC", {}, {"output": "mask"}, r"no output 'mask'; it gives images: uint8 \[N, 16, 16, 3\]"),
        ("uint8 NHWC", {}, {"value_range": "0:1"}, "gives uint8 pictures, whose range is 0:255, not 0:1"),
        ("uint8 NHWC", {}, {"z_dim": 9}, "takes latents of 8 numbers"),
        ("uint8 NHWC", {"latent_tail": (2, 2, 2)}, {}, r"z: float \[N, 2, 2, 2\]; a latent is"),
        ("uint8 NHWC", {"latent_type": T.INT64}, {}, r"z: int64 \[N, 8\]"),
    ],
)
def test_what_cannot_be_inferred_is_said(
    save_variant: SaveVariant, form: str, options: dict[str, Any], answers: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"variant\.onnx: .*{message}"):
        Generator(save_variant(form, card=None, **options), **answers)

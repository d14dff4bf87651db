"""What is read from a graph's ports alone, and how its output becomes RGB; strangers are drawn in test_strangers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genface.contract import Answers, Port, measured_range, possible_pictures, read_layout, to_rgb
from genface.errors import UserError
from genface.feed import Feed, read_feed


def port(name: str, shape: Sequence[int | str | None], kind: str = "float") -> Port:
    return Port(name=name, type=f"tensor({kind})", shape=tuple(shape))


Z = port("z", ["N", 64])


def feed_of(*required: Port, optional: tuple[Port, ...] = (), **answers: Any) -> Feed:
    return read_feed(required, optional, Answers(**answers))


@pytest.mark.parametrize(
    ("shape", "latent_shape", "batch"),
    [
        (["N", 64], (64,), None),
        ([None, 100, 1, 1], (100, 1, 1), None),
        ([-1, 8], (8,), None),
        ([5, 8], (8,), 5),
        (["N", 1], (1,), None),
    ],
)
def test_the_only_input_is_the_latent(shape: Any, latent_shape: tuple[int, ...], batch: int | None) -> None:
    feed = feed_of(port("noise", shape))
    assert (feed.latent_name, feed.latent_shape, feed.fixed_batch) == ("noise", latent_shape, batch)
    arrays = feed.arrays(np.zeros((5, latent_shape[0]), dtype=np.float32))
    assert {name: array.shape for name, array in arrays.items()} == {"noise": (5, *latent_shape)}


@pytest.mark.parametrize("kind", ["float16", "double", "float"])
def test_latents_are_fed_in_the_inputs_type(kind: str) -> None:
    array = feed_of(port("z", ["N", 4], kind)).arrays(np.full((2, 4), 0.5, dtype=np.float32))["z"]
    assert array.dtype == {"float16": np.float16, "double": np.float64, "float": np.float32}[kind]
    assert (array == 0.5).all()


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("float", 0.7, np.float32(0.7)),
        ("float16", 0.7, np.float16(0.7)),
        ("double", 0.7, 0.7),
        ("int32", 3.0, np.int32(3)),
        ("int64", -2, np.int64(-2)),
        ("bool", 1.0, np.True_),
    ],
)
@pytest.mark.parametrize(
    ("shape", "fed"), [([], ()), ([1], (1,)), (["N"], (6,)), ([None, 1], (6, 1)), ([1, 1], (1, 1))]
)
def test_scalars_of_every_type_and_shape(kind: str, value: float, expected: Any, shape: Any, fed: Any) -> None:
    feed = feed_of(Z, port("psi", shape, kind), inputs={"psi": value})
    array = feed.arrays(np.zeros((6, 64), dtype=np.float32))["psi"]
    assert array.shape == fed
    assert array.dtype == expected.dtype if isinstance(expected, np.generic) else np.float64
    assert (array == expected).all()


def test_a_scalar_of_a_fixed_batch() -> None:
    feed = feed_of(port("z", [4, 64]), port("label", [4], "int64"), inputs={"label": 2})
    assert feed.arrays(np.zeros((4, 64), dtype=np.float32))["label"].tolist() == [2, 2, 2, 2]


def test_what_has_a_default_may_be_left_out() -> None:
    psi = port("psi", [])
    assert feed_of(Z, optional=(psi,)).scalars == ()
    (scalar,) = feed_of(Z, optional=(psi,), inputs={"psi": 0.5}).scalars
    assert (scalar.name, scalar.value) == ("psi", 0.5)


LABEL = port("label", ["N", 10])
PSI = port("psi", [])


@pytest.mark.parametrize(
    ("ports", "answers", "message"),
    [
        ([Z, PSI], {}, r"needs a value for its input psi: float \[\]: give it by --input psi=VALUE"),
        ([Z, PSI], {"inputs": {"psi": 1, "phi": 1}}, r"no further input 'phi'; it has: psi: float \[\]"),
        ([Z], {"inputs": {"psi": 1}}, r"no further input 'psi'; it takes the latent z alone"),
        ([Z], {"inputs": {"z": 1}}, "no further input 'z'"),
        ([Z, LABEL], {}, r"several .*\(z: float \[N, 64\], label: float \[N, 10\]\): say which by --latent z or label"),
        ([Z, LABEL], {"latent": "z"}, r"takes label: float \[N, 10\] beside the latent; .*export it with that"),
        ([Z], {"latent": "w"}, r"no input 'w' that it needs; it takes z: float \[N, 64\]"),
        ([Z, PSI], {"latent": "psi"}, r"takes psi: float \[\]; a latent is"),
        ([port("x", ["N", 3, "H", "W"])], {}, r"x: float \[N, 3, H, W\]; a latent is float \[N, C\]"),
        ([port("x", [None] * 4)], {}, r"a latent is float .*: if it is one, say so by --latent x$"),
        ([port("x", ["N", 8], "int64")], {}, r"x: int64 \[N, 8\]; a latent is float \[N, C\] or \[N, C, 1, 1\]$"),
        ([], {}, "a latent is float"),
        ([Z], {"z_dim": 65}, r"takes latents of 64 numbers \(z: float \[N, 64\]\), not 65"),
        ([Z, port("k", [], "int32")], {"inputs": {"k": 0.5}}, "k is int32: it takes a whole number .*not 0.5"),
        ([Z, port("k", [], "int32")], {"inputs": {"k": 2.0**31}}, "k is int32"),
        ([Z, port("k", [], "int64")], {"inputs": {"k": 1e300}}, "k is int64"),
        ([Z, port("k", [], "bool")], {"inputs": {"k": 2}}, "k is bool: it takes 0 or 1"),
        (
            [Z, port("k", [], "float16")],
            {"inputs": {"k": 1e6}},
            "k is float16: it takes a number in that range",
        ),
        ([Z, PSI], {"inputs": {"psi": float("nan")}}, "not nan"),
        ([Z, PSI], {"inputs": {"psi": "much"}}, "not 'much'"),
    ],
)
def test_what_a_graph_leaves_open_is_asked_for(ports: list[Port], answers: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        feed_of(*ports, **answers)


def test_a_number_per_picture_is_no_latent_beside_a_longer_one() -> None:
    feed = feed_of(port("psi", ["N", 1]), Z, inputs={"psi": 0.7})
    assert feed.latent_name == "z"


def test_a_latent_asked_for_by_name() -> None:
    assert feed_of(port("z", ["N", "C", None, None]), latent="z", z_dim=7).latent_shape == (7, 1, 1)


@given(
    value=st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.none()), kind=st.integers(0, 5)
)
def test_any_value_is_fed_or_refused(value: Any, kind: int) -> None:
    name = ["float", "float16", "double", "int32", "int64", "bool"][kind]
    try:
        feed = feed_of(Z, port("k", [], name), inputs={"k": value})
    except UserError:
        return
    assert np.isfinite(feed.arrays(np.zeros((1, 64), dtype=np.float32))["k"].astype(float))


@pytest.mark.parametrize(
    ("shape", "kind", "layout"),
    [
        ((2, 16, 16, 3), "uint8", "NHWC"),
        ((2, 3, 16, 16), "uint8", "NCHW"),
        ((2, 16, 24, 3), "float32", "NHWC"),
        ((2, 1, 16, 24), "float32", "NCHW"),
        ((2, 16, 24, 1), "float16", "NHWC"),
        ((2, 3, 16, 3), "float32", None),  # 3 pixels are no side
        ((2, 1, 16, 3), "float32", None),
        ((2, 4, 16, 16), "float32", None),
        ((2, 1, 1, 128), "float32", None),
        ((2, 3, 16), "uint8", None),
    ],
)
def test_where_the_channels_are(shape: tuple[int, ...], kind: str, layout: str | None) -> None:
    assert read_layout(shape, kind) == layout


def test_outputs_that_may_be_pictures() -> None:
    images, features, open_one = port("images", ["N", 3, 64, 64]), port("h", ["N", 128]), port("x", [None] * 4)
    assert possible_pictures([features, images, open_one]) == [images, open_one]
    assert possible_pictures([features, images, open_one], "x") == [open_one]
    with pytest.raises(UserError, match=r"no output 'y'; it gives h: float \[N, 128\], images"):
        possible_pictures([features, images], "y")
    with pytest.raises(UserError, match=r"gives h: float \[N, 128\]; pictures are uint8 or float"):
        possible_pictures([features, images], "h")


@pytest.mark.parametrize("value_range", ["-1:1", "0:1", "0:255"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_levels_come_back(value_range: str, dtype: Any) -> None:
    """Every level of uint8, brought into a range and back; 10 bits of float16 are enough for 8."""
    low, high = map(float, value_range.split(":"))
    levels = np.arange(256, dtype=np.float64).reshape(1, 1, 16, 16).repeat(3, axis=1)
    pictures = (levels / 255 * (high - low) + low).astype(dtype)
    named = {"-1:1": "-1 to 1", "0:1": "0 to 1", "0:255": "0 to 255"}[value_range]
    rgb = to_rgb(pictures, "NCHW", named)  # type: ignore[arg-type]
    np.testing.assert_array_equal(rgb, levels.transpose(0, 2, 3, 1))
    assert rgb.flags.c_contiguous


def test_gray_is_repeated_and_what_is_out_of_range_clipped() -> None:
    gray = np.array([-2.0, 0.0, 2.0, 1.0], dtype=np.float32).reshape(1, 1, 2, 2)
    rgb = to_rgb(gray, "NCHW", "-1 to 1")
    assert rgb.shape == (1, 2, 2, 3)
    assert rgb[0].reshape(4, 3).tolist() == [[0] * 3, [128] * 3, [255] * 3, [255] * 3]  # 127.5 goes to even


def test_uint8_stays_as_it_is() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb(pictures, "NCHW", "0 to 255"), pictures.transpose(0, 2, 3, 1))


def test_a_range_that_is_not_evident_names_the_option() -> None:
    with pytest.raises(UserError, match=r"values from 0 to 200; .*--range -1:1, 0:1, 0:255"):
        measured_range(np.array([0.0, 200.0]))


@pytest.mark.parametrize(
    ("answers", "message"), [({"value_range": "0:2"}, "no value range '0:2'"), ({"z_dim": 0}, "z_dim")]
)
def test_answers_that_are_none(answers: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Answers(**answers)

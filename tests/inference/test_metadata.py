from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genface.errors import UserError
from genface.metadata import ModelCard
from genface.photos import Preparation

CARD = ModelCard(
    architecture="dcgan",
    resolution=64,
    z_dim=128,
    preparation=Preparation(size=64),
    dataset="gesichter, 顔",
    images_seen=25_000_000,
    licence="CC BY-NC 4.0",
    checkpoint_sha256="ab" * 32,
    parity={"max_abs": 1e-6, "levels": {"mean": 0.0}},
)


def test_a_card_survives_the_file() -> None:
    props = CARD.to_props()
    assert all(isinstance(value, str) and key.startswith("genface.") for key, value in props.items())
    assert ModelCard.from_props(props | {"onnx.infer": "someone else's"}) == CARD


def test_props_are_for_people_too() -> None:
    props = CARD.to_props()
    assert props["genface.format_version"] == "1"
    assert props["genface.dataset"] == "gesichter, 顔"
    assert props["genface.preparation"] == '{"crop": "center", "resample": "lanczos", "size": 64}'


def test_directions_survive_the_file() -> None:
    directions = ((0.6, 0.8, *[0.0] * 126), (1e-06, *[0.0] * 126, -1.0))
    props = replace(CARD, directions=directions).to_props()
    found = ModelCard.from_props(props)
    assert found is not None
    assert found.directions == directions


def test_a_file_without_directions_is_as_good_and_says_nothing_of_them() -> None:
    assert CARD.directions == ()
    assert "genface.directions" not in CARD.to_props()


@pytest.mark.parametrize(
    "text",
    [
        "[[1.0, 0.0]]",  # of another length
        "[[0.5" + ", 0.0" * 127 + "]]",  # not of length 1
        "[[1" + ", 0" * 127 + "]]",  # not written by this program
        '[["1.0"' + ", 0.0" * 127 + "]]",
        "[[1e999" + ", 0.0" * 127 + "]]",
        "[1.0]",
        "{}",
        "nonsense",
        "[" * 200_000,
    ],
)
def test_damaged_directions_are_named(text: str) -> None:
    with pytest.raises(UserError, match=r"genface\.directions is no list of unit vectors of 128 numbers"):
        ModelCard.from_props(CARD.to_props() | {"genface.directions": text})


def test_a_stranger_has_no_card() -> None:
    assert ModelCard.from_props({"author": "someone"}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genface.format_version": "2"}, "newer"),
        ({"genface.format_version": "one"}, "format_version"),
        ({"genface.z_dim": None}, "lacks genface.z_dim"),
        ({"genface.z_dim": "-1"}, "z_dim"),
        ({"genface.parity": "[1]"}, "parity"),
        ({"genface.parity": "{"}, "parity"),
        ({"genface.parity": '{"max_abs": NaN}'}, "parity"),
        ({"genface.parity": "[" * 200_000}, "parity"),
        ({"genface.preparation": '{"size": 64, "crop": "none"}'}, "crop"),
        ({"genface.preparation": '{"crop": "center"}'}, "preparation"),
    ],
)
def test_damage_is_named(changes: dict[str, Any], message: str) -> None:
    props = {key: value for key, value in (CARD.to_props() | changes).items() if value is not None}
    with pytest.raises(UserError, match=message):
        ModelCard.from_props(props)

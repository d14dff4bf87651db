"""Style files and the card in their metadata: what is refused."""

from __future__ import annotations

import json
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genface.errors import UserError
from genface.style_card import KEY, StyleCard
from genface.stylizer import Stylizer

tiny_style = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_style.py"))))
CARD, build = tiny_style.CARD, tiny_style.build


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: build(None), "is no style file: its metadata has no genface.style"),
        (lambda: build(styles=2), "names 3 styles, its graph takes 3 weights"),
        (
            lambda: build(photo="image"),
            r"takes image: uint8 .*; a style file takes photo: uint8 \[1, height, width, 3\]",
        ),
        (lambda: b"nonsense", "ONNX Runtime cannot load it"),
        (lambda: build()[:-500], "ONNX Runtime cannot load it"),
        (lambda: b"", "is empty"),
    ],
)
def test_files_that_are_none(tmp_path: Path, data: Callable[[], bytes], message: str) -> None:
    path = tmp_path / "style.onnx"
    path.write_bytes(data())
    with pytest.raises(UserError, match=rf"style\.onnx: .*{message}"):
        Stylizer(path)


def test_a_generator_is_no_style_file(tiny: Path) -> None:
    with pytest.raises(UserError, match="a style file takes photo"):
        Stylizer(tiny)


def test_the_card_comes_back() -> None:
    assert StyleCard.from_props(CARD.to_props()) == CARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"styles": []}, "not names that differ"),
        ({"styles": ["a", "a"]}, "not names that differ"),
        ({"styles": ["a", 1]}, "not names that differ"),
        ({"margin": 0}, "its 'margin' is 0, not from 1"),
        ({"stride": "2"}, "its 'stride' is '2', not a whole number"),
        ({"format_version": 2}, "newer than 1: update genface"),
    ],
)
def test_a_damaged_card(change: dict[str, Any], message: str) -> None:
    record = json.loads(CARD.to_props()[KEY]) | change
    with pytest.raises(UserError, match=message):
        StyleCard.from_props({KEY: json.dumps(record)})
    for text in ("{", "[]", '{"a": Infinity}'):
        with pytest.raises(UserError, match="its metadata is damaged"):
            StyleCard.from_props({KEY: text})

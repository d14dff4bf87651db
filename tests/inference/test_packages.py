from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("room", ["inference", "evaluation", "training", "export"])
def test_every_wheel_carries_the_licence(room: str) -> None:
    """A wheel is built from its room's folder alone, so the text is copied there; the copies must not drift."""
    project = tomllib.loads((ROOT / room / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert (ROOT / room / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()

"""The list of settings is made from the record itself."""

from __future__ import annotations

from dataclasses import fields

import pytest

from genface.errors import UserError
from trainface.config import Config
from trainface.presets import PRESETS, preset
from trainface.settings import meanings, table


def test_every_setting_has_a_meaning_and_a_line() -> None:
    names = [field.name for field in fields(Config)]
    assert list(meanings()) == names
    assert all(len(meaning) > 10 for meaning in meanings().values())
    assert [line.split("=")[0] for line in table("s64").splitlines()] == names


@pytest.mark.parametrize("name", PRESETS)
def test_what_the_table_shows_can_be_typed_back(name: str) -> None:
    shown = dict(line.split("  ")[0].split("=", 1) for line in table(name).splitlines())
    del shown["preset"]
    assert preset(name).with_settings({key: value.strip() for key, value in shown.items()}) == preset(name)


def test_a_record_survives_the_checkpoint() -> None:
    for name in PRESETS:
        assert Config.from_dict(preset(name).to_dict()) == preset(name)


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(UserError, match="unknown preset 'huge'; known: s64"):
        preset("huge")

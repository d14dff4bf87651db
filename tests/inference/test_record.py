"""Manifests of drawn archives: the run that they record, and fields that cannot be."""

from __future__ import annotations

import runpy
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genface.errors import UserError
from genface.model import Generator
from genface.record import read_record

by_hand = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("drawn_by_hand.py"))))
N, manifest_of = by_hand.N, by_hand.manifest_of


def test_shards_are_cut_as_they_are_drawn(generator: Generator, tmp_path: Path) -> None:
    records = [read_record(manifest_of(generator, shard=[k, 3]), tmp_path) for k in (1, 2, 3)]
    assert [index for record in records for index in record.indices] == list(range(N))
    assert [len(record.names) for record in records] == [6, 7, 7]


WRONG: dict[str, list[Any]] = {
    "format_version": [2, "1", None, [1]],
    "model_sha256": [None, 7, "", "0" * 63, "Z" * 64, "0" * 64 + "\n"],
    "seed": [None, -1, 2**64, 1.5, "0", True, [0]],
    "truncation": [0, -1.0, "0.5", True, [], 10**400],
    "latents_sha256": ["", 0, [], "x" * 64],
    "inputs": [None, [], {"psi": "1"}, {"psi": None}, {"psi": 10**400}, "psi"],
    "n": [None, 0, -1, 1.0, "20", True, 2**63, 10**400],
    "shard": [0, [], [1], [0, 3], [4, 3], [1, 2, 3], ["1", "3"], [True, True], {"1": 3}, [1, 21]],
    "image_format": [None, 7, "gif", "", ["png"]],
    "image_options": [None, [], {"level": "6"}, {"level": 10}, {"quality": 95}, {"colour": 1}],
    "height": [None, 0, -16, 16.0, "16", 10**9],
    "width": [None, 0, True],
    "marked": [None, 1, "yes"],
    "provider": [None, "", 7, "cpu\x1b[2J", ["cpu"]],
    "precision": [None, "", 7],
    "versions": [None, [], {"genface": 1}, {"\x1b[2J": "1"}, "0.1.0"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_a_field_of_another_type_is_named(generator: Generator, tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(UserError) as raised:
        read_record(manifest_of(generator, **{field: value}), tmp_path)
    assert ("format" if field == "format_version" else field) in str(raised.value)
    assert str(tmp_path) in str(raised.value)
    assert len(str(raised.value)) < len(str(tmp_path)) + 250


@pytest.mark.parametrize("field", ["model_sha256", "seed", "n", "height", "marked", "provider", "versions"])
def test_a_missing_field_is_named(generator: Generator, tmp_path: Path, field: str) -> None:
    manifest = manifest_of(generator)
    del manifest[field]
    with pytest.raises(UserError, match=f"lacks {field}"):
        read_record(manifest, tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_manifest_is_read_or_refused(generator: Generator, data: st.DataObject) -> None:
    manifest = manifest_of(generator)
    for field in data.draw(st.sets(st.sampled_from(sorted(manifest)), max_size=3)):
        manifest[field] = data.draw(JSON)
    try:
        record = read_record(manifest, Path("faces"))
    except UserError:
        return
    assert len(record.names) == len(record.indices) > 0
    assert isinstance(record.origin(record.indices[0]), dict)

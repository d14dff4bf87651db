"""Reports beside each other: what is refused, and what exceeds the noise."""

from __future__ import annotations

import copy
import json
import math
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evalface as api
from evalface.compare import compare
from genface.errors import UserError

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_faces.py")))
Command = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A true report, to be altered."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALFACE_CACHE", str(folder / "cache"))
        sides = [
            drawn.save(folder / f"{name}.zip", drawn.faces(30, seed)) for seed, name in enumerate(("real", "fake"))
        ]
        found: dict[str, Any] = json.loads(api.score(*sides, extractor="pixels", tsne=False).to_json())
    return found


@pytest.fixture
def save(document: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """`save(name, {"place.of.value": value})`: the report with some values altered."""

    def make(name: str, changes: dict[str, Any] | None = None) -> Path:
        altered = copy.deepcopy(document)
        for place, value in (changes or {}).items():
            *sections, key = place.split(".")
            found = altered
            for section in sections:
                found = found[section]
            found[key] = value
        path = tmp_path / name
        path.write_text(json.dumps(altered))
        return path

    return make


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [
        ("extractor.name", "inception", "extractor (pixels, here inception)"),
        ("extractor.weights_sha256", "f" * 64, "weights (none, here ffffffffffff...)"),
        ("extractor.protocol", "clean", "resize protocol"),
        ("extractor.precision", "bf16", "precision (uint8, here bf16)"),
        ("real.contents_sha256", "0" * 64, "real set"),
        ("real.record", {"size": 16, "crop": "face"}, "preparation of the reals"),
        ("real.n", 31, "N of the reals (30, here 31)"),
        ("fake.n", 29, "N of the fakes (30, here 29)"),
        ("fake.size", 32, "size of the fakes"),
        ("fake.preparation", {"size": 16}, "preparation of the fakes"),
        ("settings.neighbours_k", 3, "k (5, here 3)"),
        ("settings.neighbours_at_most", 500, "N of the neighbour scores"),
        ("settings.decoding", 99, "decoder"),
    ],
)
def test_what_is_refused_is_named(place: str, value: Any, word: str, save: Callable[..., Path]) -> None:
    first, other = save("a.json"), save("b.json", {place: value})
    with pytest.raises(UserError) as caught:
        compare([first, save("c.json"), other])
    assert f"{other} is not comparable with {first}: {word}" in str(caught.value)
    assert "c.json" not in str(caught.value)


def test_every_difference_is_named(save: Callable[..., Path]) -> None:
    changed = {"fake.n": 29, "settings.neighbours_k": 3, "extractor.precision": "bf16"}
    with pytest.raises(UserError, match=r"precision .*; N of the fakes .*; k \(5, here 3\)"):
        compare([save("a.json"), save("b.json", changed)])


def test_other_seeds_and_versions_are_noted(save: Callable[..., Path]) -> None:
    other = save("b.json", {"settings.seed": 1, "versions.torch": "9.9", "fake.contents_sha256": "0" * 64})
    notes = compare([save("a.json"), other]).notes
    assert [note.split(": ")[1].split(" (")[0] for note in notes] == ["another seed", "another version of torch"]
    assert "the same pictures" in compare([save("a.json"), save("c.json")]).notes[0]


def test_a_report_against_itself_is_noise(save: Callable[..., Path]) -> None:
    for line in compare([save("a.json"), save("b.json")]).lines:
        assert line.verdicts == ("unknown",) if line.name == "density" else ("noise",)


@pytest.mark.parametrize(
    ("section", "field", "step", "verdict"),
    [
        ("frechet", "value", -1, "better"),
        ("frechet", "value", 1, "worse"),
        ("frechet_infinity", "value", 1, "worse"),
        ("kid", "value", -1, "better"),
    ],
)
def test_the_rule_at_its_edge(
    section: str, field: str, step: int, verdict: str, document: dict[str, Any], save: Callable[..., Path]
) -> None:
    """1.96 times the root of the sum of squares, with the second error half the first."""
    score = document["scores"][section]
    error = score["standard_error"]
    edge = 1.96 * math.hypot(error, error / 2)
    for factor, expected in ((0.999, "noise"), (1.001, verdict)):
        changes = {
            f"scores.{section}.{field}": score[field] + step * factor * edge,
            f"scores.{section}.standard_error": error / 2,
        }
        lines = {line.key: line for line in compare([save("a.json"), save("b.json", changes)]).lines}
        assert lines[f"{section}.{field}"].verdicts == (expected,)


def test_shares_and_accuracies(save: Callable[..., Path]) -> None:
    n, chance = 30, 29 / 59
    first = {
        "scores.precision_recall.precision": 0.2,
        "scores.leave_one_out.accuracy": 1.0,
        "scores.leave_one_out_test.deviation": 0.05,
    }
    # 1.5 sqrt(p (1 - p) / n), p = (0.2 * 30 + 1) / 32 and (0.75 * 30 + 1) / 32.
    errors = [1.5 * math.sqrt(p * (1 - p) / n) for p in (7 / 32, 23.5 / 32)]
    assert 1.96 * math.hypot(*errors) < 0.75 - 0.2
    other = first | {"scores.precision_recall.precision": 0.75, "scores.leave_one_out.accuracy": chance - 0.1}
    found = compare([save("a.json", first), save("b.json", other)])
    lines = {line.key: line for line in found.lines}
    precision, one_nn = lines["precision_recall.precision"], lines["leave_one_out.accuracy"]
    assert [figure.standard_error for figure in precision.figures if figure] == pytest.approx(errors)
    assert precision.verdicts == ("better",)
    assert one_nn.verdicts == ("better",), "below chance, but nearer to it"
    assert one_nn.best == "chance"


def test_the_command(save: Callable[..., Path], tmp_path: Path, evalface: Command) -> None:
    first, other = save("a.json"), save("b.json", {"scores.frechet.value": 1e9})
    (tmp_path / "folder").mkdir()
    first.rename(tmp_path / "folder" / "report.json")
    code, table, _ = evalface("compare", tmp_path / "folder", other)
    assert code == 0
    row = next(line for line in table.splitlines() if line.startswith("Frechet distance"))
    assert row.endswith("worse")
    assert "1.96 sqrt(se1^2 + se2^2)" in table.splitlines()[-1]
    code, text, _ = evalface("compare", tmp_path / "folder", other, "--json")
    found = json.loads(text)
    assert (code, found["kind"], found["schema_version"]) == (0, "evalface-comparison", 1)
    assert found["lines"][0]["verdicts"] == ["worse"]
    assert set(found) == {"kind", "schema_version", "rule", "runs", "fakes", "lines", "notes"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "no JSON"),
        ("[]", "is no report of evalface"),
        ('{"kind": "genface-archive"}', "is no report of evalface"),
        ('{"kind": "evalface-report", "schema_version": 1}', "schema version 1"),
        ('{"kind": "evalface-report", "schema_version": 2}', "lacks or garbles 'extractor'"),
        ('{"kind": "evalface-report", "schema_version": 2, "extractor": 7}', "lacks or garbles"),
    ],
)
def test_bad_reports(
    text: str | None, words: str, save: Callable[..., Path], tmp_path: Path, evalface: Command
) -> None:
    bad = tmp_path / "bad.json"
    if text is not None:
        bad.write_text(text)
    code, table, said = evalface("compare", save("a.json"), bad)
    assert (code, table, len(said)) == (2, "", 1)
    assert words in said[0]


def test_one_report_is_no_comparison(save: Callable[..., Path], evalface: Command) -> None:
    code, _, said = evalface("compare", save("a.json"))
    assert (code, len(said)) == (2, 1)
    assert "at least two" in said[0]

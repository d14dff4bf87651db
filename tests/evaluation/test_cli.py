"""The command as a user meets it: results, files, and bad input in one line."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evalface as api
from genface.errors import UserError
from genface.photos import Preparation

Maker = Callable[..., Path]
Command = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def sides(make_folder: Maker, make_archive: Maker) -> tuple[Path, Path]:
    manifest = {"kind": "genface-archive", "preparation": Preparation(size=16).to_dict(), "seed": 7, "files": [1, 2]}
    return make_folder("real", n=14, size=40), make_archive("fake.zip", manifest, n=12, size=16, seed=1)


def test_the_whole_report(sides: tuple[Path, Path], tmp_path: Path, evalface: Command) -> None:
    out = tmp_path / "report"
    code, table, said = evalface(*sides, "--out", out)
    assert code == 0
    assert sorted(file.name for file in out.iterdir()) == ["report.html", "report.json", "tsne.csv", "tsne.png"]
    assert "Frechet distance (EfficientNet-Lite0)" in table
    assert "N = 14 real, 12 fake" in table
    assert "FID (" not in table
    assert any("manifest" in line and "16 px" in line for line in said)
    assert any("no number here is an FID" in line for line in said)
    assert said[-1] == f"report: {out / 'report.html'}"

    document = json.loads((out / "report.json").read_text())
    assert (document["kind"], document["schema_version"]) == ("evalface-report", 2)
    assert (document["real"]["n"], document["fake"]["n"]) == (14, 12)
    assert document["real"]["preparation"] == Preparation(size=16).to_dict()
    assert document["fake"]["manifest"]["seed"] == 7
    assert "files" not in document["fake"]["manifest"]
    assert len(document["extractor"]["weights_sha256"]) == 64
    for score in ("leave_one_out", "leave_one_out_pixels"):
        assert document["scores"][score]["n_per_side"] == 12
        assert document["scores"][score]["chance"] == pytest.approx(11 / 23)

    page = (out / "report.html").read_text()
    assert f"{document['scores']['frechet']['value']:.4g}" in page

    places = list(csv.DictReader(io.StringIO((out / "tsne.csv").read_text())))
    assert [place["side"] for place in places] == ["real"] * 12 + ["fake"] * 12
    assert {place["name"] for place in places[12:]} == {f"{i:06d}.png" for i in range(12)}
    with Image.open(out / "tsne.png") as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    assert ((colours[:, 2] - colours[:, 0]) > 60).any(), "no blue point"
    assert ((colours[:, 0] - colours[:, 2]) > 60).any(), "no orange point"


def test_same_again_is_the_same_and_overwrites_only_a_report(
    sides: tuple[Path, Path], tmp_path: Path, evalface: Command
) -> None:
    out = tmp_path / "report"
    documents = []
    for _ in range(2):
        code, text, _ = evalface(*sides, "--out", out, "--json")
        assert code == 0
        documents.append(json.loads(text))
    assert json.loads((out / "report.json").read_text()) == documents[1]
    assert documents[0]["scores"] == documents[1]["scores"]
    assert [document["real"]["features_from_cache"] for document in documents] == [False, True]
    (out / "notes.txt").write_text("mine")
    assert evalface(*sides, "--out", out, "--no-tsne")[0] == 0
    assert sorted(file.name for file in out.iterdir()) == ["notes.txt", "report.html", "report.json"]


def test_a_folder_of_something_else_is_not_touched(sides: tuple[Path, Path], tmp_path: Path, evalface: Command) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "report.json").write_text('{"kind": "my own"}')
    code, _, said = evalface(*sides, "--out", out)
    assert (code, len(said)) == (2, 1)
    assert "--force" in said[0]
    assert [file.name for file in out.iterdir()] == ["report.json"]
    assert evalface(*sides, "--out", out, "--no-tsne", "--force")[0] == 0
    assert evalface(*sides, "--out", sides[1])[0] == 2


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """After the call no file of this process can grow over 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_neither_the_scores_nor_the_earlier_report(
    sides: tuple[Path, Path], tmp_path: Path, evalface: Command, full_disk: Callable[[], None]
) -> None:
    out = tmp_path / "report"
    assert evalface(*sides, "--out", out, "--no-tsne")[0] == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    full_disk()
    code, text, said = evalface(*sides, "--out", out, "--no-tsne", "--seed", 1)
    assert code == 2
    assert "N = 14 real, 12 fake" in text
    assert said[-1].startswith(f"evalface: error: {out}: the report cannot be written (")
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert json.loads(evalface(*sides, "--out", out, "--no-tsne", "--json")[1])["kind"] == "evalface-report"


def test_an_out_that_cannot_be_written_is_told_before_the_work(
    sides: tuple[Path, Path], tmp_path: Path, evalface: Command
) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file" / "report", Path("/proc/report")):
        code, text, said = evalface(*sides, "--out", out)
        assert (code, text, len(said)) == (2, "", 1)
        assert f"{out}: cannot be written (" in said[0]


def test_an_out_inside_a_side_is_refused(
    make_folder: Maker, tmp_path: Path, evalface: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = make_folder("real"), make_folder("fake", seed=1)
    (tmp_path / "link").symlink_to(fake)
    monkeypatch.chdir(real)
    for arguments in ((".", fake), (fake, "."), (".", fake, "--out", tmp_path / "link" / "sub", "--force")):
        code, text, said = evalface(*arguments)
        assert (code, text, len(said)) == (2, "", 1)
        assert "lies inside" in said[0]
    assert not (real / "report").exists()


def test_names_that_are_no_text(make_folder: Maker, tmp_path: Path, evalface: Command) -> None:
    real, fake = make_folder("real"), make_folder("fake", seed=1)
    (fake / "000.png").rename(fake / os.fsdecode(b"b\xe9.png"))
    odd = fake.rename(tmp_path / os.fsdecode(b"f\xe9"))
    (odd / os.fsdecode(b"c\xe9.png")).write_bytes(b"no picture")
    out = tmp_path / "report"
    assert evalface(real, odd, "--out", out, "--on-broken", "skip")[0] == 0
    assert "b\\udce9.png" in (out / "tsne.csv").read_text()
    assert f"{tmp_path}/f\\udce9 against" in html.unescape((out / "report.html").read_text())
    assert json.loads((out / "report.json").read_text())["fake"]["path"] == str(odd)


def test_a_seed_out_of_range_is_told_before_the_work(sides: tuple[Path, Path], evalface: Command) -> None:
    for seed in (-1, 2**32):
        code, text, said = evalface(*sides, "--seed", seed)
        assert (code, text, len(said)) == (2, "", 1)
        assert "--seed" in said[0]
        with pytest.raises(UserError, match="seed must be"):
            api.score("missing", "too", seed=seed)


def test_equal_reals_are_refused(make_folder: Maker, tmp_path: Path, evalface: Command) -> None:
    """One real picture many times over has no neighbours to hold a copy against."""
    real = make_folder("real")
    for file in real.iterdir():
        file.write_bytes((real / "000.png").read_bytes())
    code, text, said = evalface(real, make_folder("fake", seed=1), "--out", tmp_path / "report")
    assert (code, text) == (2, "")
    assert "at least 4 different reals, not 1" in said[-1]
    assert any("byte for byte" in line for line in said)


def test_equal_fakes_are_scored(make_folder: Maker, tmp_path: Path, evalface: Command) -> None:
    """A generator that has collapsed to one picture."""
    fake = make_folder("fake", seed=1)
    for file in fake.iterdir():
        file.write_bytes((fake / "000.png").read_bytes())
    code, text, _ = evalface(make_folder("real"), fake, "--out", tmp_path / "report", "--extractor", "pixels")
    assert code == 0
    assert "7 of 8 fakes repeat an earlier fake exactly" in text
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["scores"]["precision_recall"]["recall"] == 0
    assert document["pictures"]["duplicate_fakes"][0]["caption"] == "equal, 8 times"


def test_pictures_against_themselves(sides: tuple[Path, Path]) -> None:
    """Every fake is a copy: distance 0, nobody's nearest is of its own kind, everything is covered."""
    scores = api.score(sides[1], sides[1], tsne=False).scores
    assert scores.frechet.value == pytest.approx(0, abs=1e-9)
    assert scores.leave_one_out.accuracy == 0
    assert scores.leave_one_out_pixels.accuracy == 0
    assert (scores.precision_recall.precision, scores.precision_recall.recall) == (1, 1)


def test_given_weights_name_the_number(sides: tuple[Path, Path], inception_weights: Path) -> None:
    report = api.score(*sides, weights=inception_weights, tsne=False)
    assert report.extractor["weights_sha256"] in report.scores.frechet.name
    assert report.scores.frechet.name.startswith("Frechet distance (Inception, weights sha256 ")


@pytest.mark.parametrize("damage", ["no picture", "truncated"])
def test_broken_pictures(damage: str, sides: tuple[Path, Path], tmp_path: Path, evalface: Command) -> None:
    whole = (sides[0] / "003.png").read_bytes()
    (sides[0] / "003.png").write_bytes(b"text named .png" if damage == "no picture" else whole[: len(whole) // 2])
    out = ("--out", tmp_path / "report", "--no-tsne")
    code, text, said = evalface(*sides, *out)
    assert (code, text) == (2, "")
    assert "003.png" in said[-1]
    assert "--on-broken skip" in said[-1]
    code, text, said = evalface(*sides, *out, "--on-broken", "skip")
    assert code == 0
    assert "N = 13 real, 12 fake" in text
    assert any("skipped broken picture 003.png" in line for line in said)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder, .zip or .tar"),
        (lambda path: path.mkdir(), "holds no pictures"),
        (lambda path: path.write_text("not a zip"), "neither a folder nor a readable .zip"),
        (lambda path: path.write_bytes(b""), "neither a folder nor a readable .zip"),
    ],
)
def test_bad_sides(
    make: Callable[[Path], Any], message: str, make_folder: Maker, tmp_path: Path, evalface: Command
) -> None:
    good, bad = make_folder("good"), tmp_path / "bad"
    make(bad)
    for sides in ((good, bad), (bad, good)):
        code, text, said = evalface(*sides, "--out", tmp_path / "report")
        assert (code, text, len(said)) == (2, "", 1)
        assert said[0].startswith("evalface: error: ")
        assert str(bad) in said[0]
        assert message in said[0]
    assert not (tmp_path / "report").exists()


def test_too_few_pictures(make_folder: Maker, tmp_path: Path, evalface: Command) -> None:
    code, _, said = evalface(make_folder("good"), make_folder("few", n=7), "--out", tmp_path / "report")
    assert (code, len(said)) == (2, 1)
    assert "7 pictures; a score needs at least 8" in said[0]


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    environment = os.environ | {"FORCE_COLOR": "1"}
    command = [sys.executable, "-m", "evalface"]
    done = subprocess.run(
        [*command, "missing", "too"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "evalface: error: missing: no such folder, .zip or .tar\n"
    done = subprocess.run([*command, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for word in ("REAL", "FAKE", "--n", "--extractor", "--precision", "--size", "compare", "stats", "cache"):
        assert word in done.stdout


def test_naming_the_package_does_not_load_torch() -> None:
    code = "import evalface, evalface.cli, sys; assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""`release`: one folder to publish, complete or not there, and never in the place of something else."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from exportface import release as module
from exportface.export import Exported, export
from exportface.release import release
from genface.errors import UserError
from genface.model import Generator
from genface.score_report import SCHEMA_VERSION

FILES = {
    "README.md",
    "gen.fp16.onnx",
    "gen.int8.onnx",
    "gen.onnx",
    "gen.pt2",
    "gen.ts",
    "parity.json",
    "samples.png",
}


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint("tiny")


@pytest.fixture(scope="module")
def real(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release as it is."""
    out = tmp_path_factory.mktemp("release") / "faces-16"
    assert release(checkpoint, out, licence="CC0", cost_images=16) == out / "README.md"
    return out


@pytest.fixture(scope="module")
def made(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    path = tmp_path_factory.mktemp("made") / "gen.onnx"
    return path, export(checkpoint, path, licence="CC0")


@pytest.fixture
def quick(made: tuple[Path, Exported], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let every form be a copy of one exported file: for tests that are about the folder. Gives the files asked for."""
    path, exported = made
    asked: list[Path] = []

    def copy(checkpoint: Path, out: Path, **options: Any) -> Any:
        for target in (out, options.get("torchscript"), options.get("program")):
            if target is not None:
                shutil.copy(path, target)
                asked.append(target)
        return exported

    monkeypatch.setattr(module, "export", copy)
    return asked


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_is_ready_to_upload(real: Path) -> None:
    assert {path.name for path in real.iterdir()} == FILES
    assert [path.name for path in real.parent.iterdir()] == [real.name], "nothing is left beside it"

    record = json.loads((real / "parity.json").read_bytes())
    for name, digest in record["files"].items():
        assert sha256((real / name).read_bytes()).hexdigest() == digest, name
    assert set(record["files"]) == FILES - {"README.md", "parity.json"}

    card = (real / "README.md").read_text()
    table = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \| [\d.]+ \|$", card, re.MULTILINE))
    assert set(table) == FILES - {"README.md"}
    assert all(table.values()), "every file is explained"
    assert len(re.findall(r"\) \| 16 \|$", card, re.MULTILINE)) == 2, "what the smaller forms cost, on 16 pictures"
    assert set(re.findall(r"\]\(([^):]+)\)", card)) == {"samples.png"}
    told = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \| \d+ \| [\d,]+ \| ", card, re.MULTILINE)
    assert len(told) == sum(len(parity["rows"]) for parity in record["parity"].values())
    # Each figure stands beside the file that it is of, and torch's two forms, in fp32 always, are told once.
    assert [name for name, form in told if form == "TorchScript"] == ["gen.ts"] * 3
    assert [name for name, form in told if form == "exported program"] == ["gen.pt2"] * 3
    onnx_files = {name for name, form in told if form.startswith("ONNX")}
    assert onnx_files == set(record["parity"]) == {"gen.onnx", "gen.fp16.onnx", "gen.int8.onnx"}


def test_every_form_draws_the_same_faces(real: Path) -> None:
    whole = Generator(real / "gen.onnx")
    z = np.random.default_rng(0).standard_normal((9, 8), dtype=np.float32)
    faces = whole.from_latents(z).astype(int)
    assert faces.std() > 30
    script = torch.export.load(real / "gen.pt2").module()
    with torch.inference_mode():
        assert np.abs(script(torch.from_numpy(z)).numpy() - faces).max() <= 1
    for name, mean_levels in (("gen.fp16.onnx", 1.0), ("gen.int8.onnx", 8.0)):
        assert np.abs(Generator(real / name).from_latents(z) - faces).mean() < mean_levels


def test_no_path_of_this_machine_is_in_it(real: Path) -> None:
    for name, data in contents(real).items():
        assert str(real).encode() not in data, name
        assert b".part" not in data, name


def test_force_replaces_a_release_and_nothing_else(quick: list[Path], checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    release(checkpoint, out, licence="CC0")
    before = contents(out)
    with pytest.raises(UserError, match="is a release already; --force replaces it"):
        release(checkpoint, out, licence="CC0")
    (out / "samples.png").write_bytes(b"edited")
    release(checkpoint, out, licence="CC0", force=True)
    assert contents(out) == before

    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, which no release wrote"):
        release(checkpoint, out, licence="CC0", force=True)
    assert contents(out) == before | {"notes.txt": b"mine"}


def test_the_licence_text_stays(quick: list[Path], checkpoint: Path, tmp_path: Path) -> None:
    """A release asks its publisher for it; the next one neither refuses the folder for it nor drops it."""
    out = tmp_path / "faces"
    release(checkpoint, out, licence="mine")
    before = contents(out)
    (out / "LICENSE").write_text("the terms")
    for _ in range(2):
        release(checkpoint, out, licence="mine", force=True)
        assert contents(out) == before | {"LICENSE": b"the terms"}


@pytest.mark.parametrize("record", [None, "", "[]", '{"kind": "genface-handin"}', '{"kind": "genface-release"}'])
def test_a_folder_of_something_else_is_never_taken(tmp_path: Path, checkpoint: Path, record: str | None) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    if record is not None:
        (out / "parity.json").write_text(record)
    before = contents(out)
    for force in (False, True):
        with pytest.raises(UserError, match="holds something else than a release"):
            release(checkpoint, out, licence="CC0", force=force)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_places_that_are_no_folder_or_in_none(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out, message in (
        (file, "is a file"),
        (file / "out", "does not exist"),
        (tmp_path / "a" / "b", "make it first"),
    ):
        with pytest.raises(UserError, match=message):
            release(checkpoint, out, licence="CC0", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_folder_and_a_link_to_one_are_filled(quick: list[Path], checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    release(checkpoint, tmp_path / "link", licence="CC0")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == FILES
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("step", ["export", "sample_sheet", "card_text"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_things_as_they_were(
    quick: list[Path],
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
    step: str,
    error: BaseException,
) -> None:
    out = tmp_path / "faces"
    if existing:
        release(checkpoint, out, licence="CC0")
    before = contents(out) if existing else None

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(module, step, fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError
    with pytest.raises(expected) as failed:
        release(checkpoint, out, licence="CC0", force=existing)
    if expected is UserError:
        assert str(failed.value) == f"{out}: cannot be written (No space left on device); nothing was kept"
    assert (contents(out) if out.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == (["faces"] if existing else [])


def test_a_rename_that_fails_puts_the_old_release_back(
    quick: list[Path], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    release(checkpoint, out, licence="CC0")
    before, rename = contents(out), Path.rename

    def refuse_the_new(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise PermissionError(1, "Operation not permitted")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with pytest.raises(UserError, match="Operation not permitted"):
        release(checkpoint, out, licence="CC0", force=True)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that even root cannot write to")
def test_a_folder_that_cannot_be_made(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"^/proc/faces: cannot be written"):
        release(checkpoint, Path("/proc/faces"), licence="CC0")


def test_an_error_names_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        release(tmp_path / "none.pt", tmp_path / "faces", licence="CC0")
    assert ".part" not in str(refused.value)
    assert "none.pt: no such checkpoint" in str(refused.value)


def test_a_report_is_asked_for_before_the_work(quick: list[Path], checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"report\.json: cannot be read"):
        release(checkpoint, tmp_path / "faces", licence="CC0", report=tmp_path / "report.json")
    assert quick == []
    other = {
        "kind": "evalface-report",
        "schema_version": SCHEMA_VERSION,
        "fake": {"manifest": None},
        "real": {},
        "extractor": {},
    }
    (tmp_path / "report.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match=r"pictures that gen\.onnx did not draw"):
        release(checkpoint, tmp_path / "faces", licence="CC0", report=tmp_path / "report.json")
    assert {path.name for path in quick} == {"gen.onnx", "gen.ts", "gen.pt2"}, "the longer work was not begun"


def test_a_checkpoint_that_a_run_replaces_meanwhile(
    quick: list[Path], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, hashes = module.export, iter("abc")

    def other_each_time(*arguments: Any, **options: Any) -> Any:
        copied(*arguments, **options)
        return SimpleNamespace(card=SimpleNamespace(checkpoint_sha256=next(hashes)))

    monkeypatch.setattr(module, "export", other_each_time)
    with pytest.raises(UserError, match="was replaced meanwhile"):
        release(checkpoint, tmp_path / "faces", licence="CC0")
    assert list(tmp_path.iterdir()) == []


def test_a_licence_that_the_hub_does_not_know_needs_its_text(
    quick: list[Path], checkpoint: Path, tmp_path: Path
) -> None:
    for licence, asked in (("CC0", False), ("ask me", True)):
        said: list[str] = []
        release(checkpoint, tmp_path / licence, licence=licence, say=said.append)
        assert any("a file LICENSE" in line for line in said) == asked

"""`exportface handin`: one folder, complete, honest about what it lacks, and made again only where it must be."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from evalface.one_nn import LeaveOneOut
from evalface.readings import read_one_nn
from exportface.handin_folder import HandinFolder
from exportface.handin_texts import environment, page, read_one_nn_in_russian
from genface.errors import UserError
from trainface import cartoons
from trainface.report import run_report
from trainface.report.readings import number

Run = Callable[..., tuple[int, str, str]]
N = 40


@pytest.fixture(autouse=True)
def private_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINFACE_CACHE", str(tmp_path_factory.mktemp("trainface")))
    monkeypatch.setenv("EVALFACE_CACHE", str(tmp_path_factory.mktemp("evalface")))


@pytest.fixture
def trained(make_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    """The folder of a run that has a checkpoint and a log."""
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(make_checkpoint("tiny"), folder / "checkpoint.pt")
    entry = {"kimg": 0.02, "seconds": 1.0, "images_per_second": 20.0, "d_loss": 0.5, "g_loss": 1.0}
    (folder / "log.jsonl").write_text(json.dumps(entry) + "\n")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(24):
        Image.fromarray(cartoons.render(0, index, 16)).save(folder / f"{index}.png")
    return folder


def links(folder: Path, name: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]+)\)", (folder / name).read_text()) if "://" not in link]


def test_everything_is_in_the_folder(run: Run, trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "hand"
    code, said, progress = run("handin", trained, "--out", out, "--real", photos, "--n", N, "--licence", "CC0")
    assert (code, said.strip()) == (0, str(out / "README.md"))
    assert [line[:3] for line in progress.splitlines() if line[1:3] == "/5"] == [f"{i}/5" for i in range(1, 6)]
    for name in ("README.md", "report.md"):
        assert all((out / link).is_file() for link in links(out, name)), name
    assert {"pictures/tsne.png", "pictures/curves.png"} <= set(links(out, "report.md"))
    with zipfile.ZipFile(out / "faces.zip") as archive:
        assert len(archive.namelist()) == N + 1
    record = json.loads((out / "handin.json").read_bytes())
    assert record["complete"] is True
    for name, digest in record["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest, name

    # The numbers in the report are those of the scores.
    document = json.loads((out / "scores" / "report.json").read_bytes())
    assert f"| {number(1000 * document['scores']['kid']['value'], 'en', 4)} ±" in (out / "report.md").read_text()
    assert "not, or are no longer, those" in (out / "report.md").read_text(), "these are not the faces it learned from"
    assert "Licence of the weights: CC0" in (out / "README.md").read_text()
    assert str(out) not in (out / "report.md").read_text()

    # Once more in Russian: refused, then only the texts are made anew.
    before = {name: (out / name).stat().st_mtime_ns for name in ("model/gen.onnx", "faces.zip", "scores/report.json")}
    code, _, complaint = run("handin", trained, "--out", out, "--real", photos, "--n", N, "--licence", "CC0")
    assert (code, "--force" in complaint, "preparing" in complaint) == (2, True, False), "asked before any work"
    options = ("--n", N, "--licence", "CC0", "--lang", "ru", "--force")
    code, _, progress = run("handin", trained, "--out", out, "--real", photos, *options)
    assert code == 0
    assert progress.count("kept") == 3
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}
    assert "## О чём говорят оценки" in (out / "report.md").read_text()

    # With fewer pictures the archive and its scores are made anew, the model is not; without reals scores go.
    code, _, progress = run("handin", trained, "--out", out, "--n", N - 1, "--licence", "CC0", "--force")
    assert (code, progress.count("kept")) == (0, 1)
    assert not (out / "scores" / "report.json").exists()
    assert not (out / "pictures" / "tsne.png").exists()
    assert "No real data were given or found" in (out / "README.md").read_text()


def test_the_name_of_the_data_set_is_looked_for(trained: Path, photos: Path) -> None:

    assert run_report.find_data(trained, {"name": "photos", "images": 24}) == str(photos)
    assert run_report.find_data(trained, {"name": "elsewhere", "images": 24}) is None
    assert run_report.find_data(trained, {"name": "builtin:cartoons", "images": 24}) == "builtin:cartoons:24"


def test_a_mistake_leaves_nothing_behind(run: Run, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "hand"
    for arguments in ((trained, "--n", 0), (tmp_path / "none",), (trained, "--real", tmp_path / "none")):
        code, _, complaint = run("handin", *arguments, "--out", out)
        assert (code, complaint.splitlines()[-1][:18]) == (2, "exportface: error:"), complaint
        assert not out.exists()


def test_a_folder_of_something_else_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match="something else than a hand-in"):
            HandinFolder(tmp_path, force=force)
    with pytest.raises(UserError, match="is a file"):
        HandinFolder(tmp_path / "thesis.txt", force=True)


def test_a_step_is_done_again_when_its_inputs_or_its_files_have_changed(tmp_path: Path) -> None:
    made = itertools.count()

    def step(inputs: dict[str, int]) -> bool:
        folder = HandinFolder(tmp_path / "hand", force=False)  # unfinished: goes on without force
        return folder.step("one", inputs, ["a/b"], lambda: folder.put_text("a/b", str(next(made))))

    assert step({"n": 1})
    assert not step({"n": 1})
    assert step({"n": 2})
    (tmp_path / "hand" / "a" / "b").write_text("edited")
    assert step({"n": 2})
    (tmp_path / "hand" / "a" / "b").unlink()
    assert step({"n": 2})


def test_a_step_that_broke_off_is_done_again(tmp_path: Path) -> None:
    folder = HandinFolder(tmp_path / "hand", force=False)
    folder.step("one", {}, ["a"], lambda: folder.put_text("a", "whole"))

    def break_off() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.step("one", {"n": 2}, ["a"], break_off)
    again = HandinFolder(tmp_path / "hand", force=False)
    assert again.step("one", {}, ["a"], lambda: again.put_text("a", "whole"))


def test_the_environment_names_what_is_installed_and_the_rooms_as_comments() -> None:
    import numpy as np

    lines = environment().splitlines()
    assert f"numpy=={np.__version__}" in lines
    assert not any(line.startswith(("genface", "trainface")) for line in lines)
    assert any(line.startswith("# trainface ") for line in lines)


def test_the_page_escapes_its_title_and_keeps_tables() -> None:
    html = page("| a | b |\n|---|---|\n| 1 | 2 |\n", "<run>", "ru")
    assert "<td>1</td>" in html
    assert "<title>&lt;run&gt;</title>" in html
    assert 'lang="ru"' in html


@pytest.mark.parametrize(("real", "fake"), list(itertools.product((0.2, 0.5, 0.8), repeat=2)))
def test_the_russian_reading_follows_the_english_one(real: float, fake: float) -> None:
    """Nine cases, nine sentences in either language; where one says chance, so does the other."""
    score = LeaveOneOut(
        accuracy=(real + fake) / 2, real_accuracy=real, fake_accuracy=fake, chance=0.499, n_per_side=5000
    )
    assert ("не отличает" in read_one_nn_in_russian(score)) == ("cannot be told from" in read_one_nn(score))
    assert ("копирования" in read_one_nn_in_russian(score)) == ("sign of copied" in read_one_nn(score))
    assert ("коллапса мод" in read_one_nn_in_russian(score)) == ("mode collapse" in read_one_nn(score))
    few = LeaveOneOut(accuracy=0.5, real_accuracy=real, fake_accuracy=fake, chance=0.45, n_per_side=10)
    assert "слишком мало" in read_one_nn_in_russian(few)
    assert "too few" in read_one_nn(few)


@pytest.mark.parametrize(("locale", "lang"), [("ru", "ru"), ("ru_RU.UTF-8", "ru"), ("en_US.UTF-8", "en"), ("", "en")])
def test_make_takes_russian_from_ru_alone(locale: str, lang: str) -> None:
    root = Path(__file__).parents[2]
    command = ["make", "-n", "-o", ".venv/.installed", "handin", "RUN=runs/x", f"LANG={locale}"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert f"--lang {lang}" in said
    assert '--out "runs/x-handin"' in said
    assert "--real" not in said

"""The command as a user meets it: runs, resumes, stops, and says in one line what is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trainface import checkpoint

Run = Callable[..., subprocess.CompletedProcess[str]]


def assert_one_line_error(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("trainface: error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in line


def test_run_folder_and_resume_by_the_same_command(trainface: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("builtin:cartoons:64", "--run", run, "--preset", "tiny", "--set", "decay_kimg=0.4", "--kimg")
    done = trainface(*command, 0.2)
    assert done.returncode == 0, done.stderr
    assert f"{run}/checkpoint.pt at 0.2 kimg" in done.stdout
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["kimg"] for entry in entries] == [0.104, 0.2]
    assert {"d_loss", "g_loss", "r1", "images_per_second", "gamma"} <= entries[0].keys()
    assert len(list((run / "grids").glob("*.png"))) == 3

    done = trainface(*command, 0.4)
    assert done.returncode == 0, done.stderr
    assert "going on at 0.2 of 0.4 kimg" in done.stderr
    assert [json.loads(line)["kimg"] for line in (run / "log.jsonl").read_text().splitlines()][-1] == 0.4
    assert "done before" in trainface(*command, 0.3).stderr  # nothing left to do is no error
    assert json.loads((run / "config.json").read_text())["kimg"] == 0.4

    assert "schedules" not in (run / "log.jsonl").read_text()

    done = trainface("builtin:cartoons:64", "--run", run, "--preset", "tiny", "--kimg", 0.5)
    assert done.returncode == 0, done.stderr
    assert "at 0.4 kimg: the schedules, until here over 0.4 kimg, go on over 0.5" in done.stderr
    assert json.loads((run / "config.json").read_text())["decay_kimg"] is None
    assert "done before" in trainface(*command, 0.4).stderr
    assert (run / "log.jsonl").read_text().count("schedules") == 1

    assert_one_line_error(trainface(*command, 0.6, "--batch", 4), "batch: 8 there, 4 now")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_keeps_every_step(number: signal.Signals, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code = "import trainface.cli; trainface.cli.main()"
    arguments = ["builtin:cartoons:64", "--run", str(run), "--preset", "tiny", "--kimg", "100000"]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while not (run / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in stderr
    state = checkpoint.load(run / "checkpoint.pt")
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    # What was trained since the last tick is in the checkpoint, though not in the log.
    assert state["cur_nimg"] >= round(last["kimg"] * 1000) > 0


def test_two_at_once_in_one_run_are_refused(trainface: Run, tmp_path: Path) -> None:
    import fcntl

    run = tmp_path / "run"
    command = ("builtin:cartoons:64", "--run", run, "--preset", "tiny", "--kimg", 0.1)
    assert trainface(*command).returncode == 0
    with (run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert_one_line_error(trainface(*command), "another trainface is at work")


def test_data_writes_the_prepared_set(trainface: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "real.zip"
    done = trainface("data", photos, "--size", 16, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "24 faces, 16 px, center crop, lanczos" in done.stdout
    assert_one_line_error(trainface("data", photos, "--size", 16, "--out", out), "exists")
    assert trainface("data", photos, "--size", 16, "--out", out, "--force").returncode == 0


def test_dry_run_prints_what_would_run(trainface: Run, tmp_path: Path) -> None:
    done = trainface("builtin:cartoons", "--run", tmp_path / "run", "--set", "gamma=5:1", "--dry-run")
    assert done.returncode == 0
    settings = json.loads(done.stdout)
    assert (settings["preset"], settings["gamma"], settings["batch"]) == ("s64", "5:1", 32)
    assert not (tmp_path / "run").exists()


def test_bad_input_is_one_line(trainface: Run, photos: Path, tmp_path: Path) -> None:
    run = ("--run", tmp_path / "run", "--preset", "tiny")
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("x")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.pt").write_bytes(b"PK")
    for arguments, words in [
        ((tmp_path / "nowhere", *run), ("nowhere", "no such folder")),
        ((tmp_path / "empty", *run), ("holds no pictures",)),
        ((photos, *run, "--batch", "100"), ("fewer than one batch of 100",)),
        ((photos, *run, "--batch", "-3"), ("batch=-3",)),
        ((photos, *run, "--kimg", "0"), ("kimg=0",)),
        ((photos, *run, "--set", "gama=3"), ("unknown setting 'gama'",)),
        ((photos, *run, "--set", "gamma"), ("KEY=VALUE",)),
        ((photos, "--run", tmp_path / "run", "--preset", "s65"), ("unknown preset 's65'", "s64")),
        ((photos, *run, "--device", "abacus"), ("unknown device",)),
        ((photos, "--run", tmp_path / "taken", "--preset", "tiny"), ("taken", "no run of trainface")),
        ((photos, "--run", tmp_path / "damaged", "--preset", "tiny"), ("damaged", "cut short")),
        (("data", photos, "--size", "5", "--out", tmp_path / "o.zip"), ("size must be",)),
        (("data", photos, "--out", tmp_path / "nofolder" / "o.zip"), ("nofolder",)),
        (("data", photos, "--out", photos, "--force"), ("is the source itself",)),
        ((photos, *run, "--set", "z_dim=100000000000"), ("out of memory",)),
    ]:
        assert_one_line_error(trainface(*arguments), *words)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_where_the_faces_and_the_weights_come_from(trainface: Run, tmp_path: Path) -> None:
    weights = tmp_path / "old.pt"
    weights.write_bytes(b"not looked into")
    words = ("builtin:cartoons:16", "--run", tmp_path / "run", "--preset", "tiny", "--dry-run", "--init-from", weights)
    told = json.loads(trainface(*words, "--gamma", "auto").stdout)
    assert (told["src"], told["crop"], told["gamma"]) == ("builtin:cartoons:16", "center", "auto")
    assert told["init_from"] == str(weights)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos", "--init-from", "gone.pt"], "no such checkpoint"),
        (["gone"], "no such folder"),
        ([""], "no such folder"),
        (["photos", "--kimg", "1", "--set", "kimg=2"], "give one of them"),
        (["photos", "--gamma", "auto", "--set", "gamma=2"], "give one of them"),
        (["photos", "--augment-copies", "3"], "--offline-augment"),
        (["photos", "--set", "gama=2"], "did you mean gamma?"),
    ],
)
def test_mistakes_are_found_before_the_photos_are_read(
    words: list[str], said: str, trainface: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"]):
        done = trainface(*words, "--run", "run", "--preset", "tiny", *more)
        assert_one_line_error(done, said)
        assert "preparing" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_contact_sheet_replaces_no_file(trainface: Run, tmp_path: Path) -> None:
    out = tmp_path / "real.zip"
    words = ("data", "builtin:cartoons:4", "--size", "16", "--out", out)
    assert_one_line_error(trainface(*words, "--force", "--contact-sheet", out), "ends in .png")
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"a photo")
    assert_one_line_error(trainface(*words, "--contact-sheet", photo), "exists already")
    assert_one_line_error(trainface(*words, "--contact-sheet", tmp_path / "none" / "a.png"), "does not exist")
    assert not out.exists()
    assert photo.read_bytes() == b"a photo"


def test_built_in_faces_are_not_searched_for_faces(trainface: Run, tmp_path: Path) -> None:
    done = trainface("builtin:cartoons:16", "--run", tmp_path / "run", "--preset", "tiny", "--crop", "face")
    assert_one_line_error(done, "leave --crop face out")


def test_a_second_report_keeps_the_comparison_with_the_reals(trainface: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("builtin:cartoons:32", "--run", run, "--preset", "tiny", "--kimg", "0.1")
    assert trainface(*words).returncode == 0
    before = (run / "reals.png").read_bytes()
    assert trainface("report", run, "--lang", "ru").returncode == 0
    assert (run / "reals.png").read_bytes() == before
    other = trainface("report", run, "--data", "builtin:cartoons:16")
    assert "not, or not quite, the faces" in other.stderr

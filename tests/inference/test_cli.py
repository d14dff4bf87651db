from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genface.progress import Progress

# Unbuffered, what is printed fails at once; as users run it, when the rest is written out at the end.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

Run = Callable[..., tuple[int, str, str]]


def test_draw_says_where_the_archive_is(run: Run, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.zip"
    code, stdout, stderr = run("--model", tiny, "--n", 20, "--out", out, "--seed", 3)
    assert (code, stderr) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(out))}: 20 images of 16x16 px, seed 3, [\d,]+ images/s \([\d.]+ s, cpu\)\n", stdout
    )
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == 21


def test_draw_has_a_default_place(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = run("--model", tiny, "--n", 2)
    assert code == 0
    assert stdout.startswith("faces.zip: 2 images")
    assert (tmp_path / "faces.zip").is_file()


def test_options_reach_the_archive(run: Run, tiny: Path, tmp_path: Path) -> None:
    options = ["--truncation", 0.5, "--batch", 3, "--provider", "CPU", "--no-mark"]
    assert run("draw", "--model", tiny, "--n", 2, "--out", tmp_path / "faces", *options)[0] == 0
    manifest = json.loads((tmp_path / "faces" / "manifest.json").read_text())
    assert (manifest["truncation"], manifest["marked"], manifest["provider"]) == (0.5, False, "cpu")


def test_force_replaces(run: Run, tiny: Path, tmp_path: Path) -> None:
    arguments = ["--model", tiny, "--out", tmp_path / "faces.zip"]
    assert run(*arguments, "--n", 2)[0] == 0
    code, stdout, stderr = run(*arguments, "--n", 3)
    assert (code, stdout) == (2, "")
    assert "exists already" in stderr
    assert run(*arguments, "--n", 3, "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", 0], "n must be at least 1, not 0"),
        (["--n", -5], "n must be at least 1"),
        (["--n", "many"], "'--n'"),
        (["--seed", -1], "seed must be"),
        (["--seed", 2**64], "seed must be"),
        (["--truncation", 0], "truncation must be"),
        (["--truncation", "nan"], "truncation must be"),
        (["--batch", 0], "batch must be"),
        (["--provider", "abacus"], "no provider 'abacus'"),
        (["--out", "nowhere/faces.zip"], "nowhere does not exist"),
        (["--out", "faces.tar"], "faces.tar: archives are"),
        (["--model", "missing.onnx"], "missing.onnx: no such file"),
        (["--colour", "red"], "No such option"),
        (["stray"], "unexpected extra argument"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = run("--model", tiny, *arguments)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("genface: error: ")
    assert stderr.count("\n") == 1
    assert message in stderr
    assert list(tmp_path.iterdir()) == []


def test_the_model_is_required(run: Run) -> None:
    code, _, stderr = run("--n", 3)
    assert code == 2
    assert "Missing option '--model'" in stderr


def test_info_for_people(run: Run, tiny: Path) -> None:
    code, stdout, _ = run("info", "--model", tiny)
    assert code == 0
    for expected in ("z: float32 [N, 8]", "images: uint8 [N, 16, 16, 3]", "architecture", "tiny", "16 px, center crop"):
        assert expected in stdout


def test_info_for_machines(run: Run, tiny: Path) -> None:
    code, stdout, _ = run("info", "--model", tiny, "--json")
    facts = json.loads(stdout)
    assert code == 0
    assert facts["size_bytes"] == tiny.stat().st_size
    assert facts["output"] == {"name": "images", "type": "uint8", "shape": "[N, 16, 16, 3]", "range": "0 to 255"}
    assert facts["card"]["preparation"]["size"] == 16
    assert facts["metadata"]["genface.z_dim"] == "8"


def test_info_about_a_stranger(run: Run, save_variant: Callable[..., Path]) -> None:
    path = save_variant("float 0 to 1", card=None)
    code, stdout, _ = run("info", "--model", path)
    assert code == 0
    assert "images: float [N, 3, 16, 16]" in stdout
    assert "0 to 1 (measured)" in stdout
    assert "not exported by exportface" in stdout
    assert json.loads(run("info", "--model", path, "--json")[1])["card"] is None


@pytest.mark.parametrize("statement", ["import genface", "import genface.cli, genface.draw, genface.model"])
def test_importing_genface_stays_light(statement: str) -> None:
    check = f"import sys; {statement}; print([name for name in ('torch', 'onnxruntime') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_drawing_never_imports_torch(tiny: Path, tmp_path: Path) -> None:
    """A finder that refuses torch stands in for a machine where it is not installed."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from genface.commands import run_app\nfrom genface.cli import app\n"
        f"run_app(app, 'genface', ['--model', {str(tiny)!r}, '--n', '3', '--out', {str(tmp_path / 'faces.zip')!r}])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_a_stopped_command_leaves_nothing(tiny: Path, tmp_path: Path, sent: signal.Signals, name: str) -> None:
    command = [sys.executable, "-m", "genface", "--model", str(tiny), "--n", "100000000", "--out", name]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [entry.suffix for entry in tmp_path.iterdir()] == [".part"]
        time.sleep(0.2)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "genface: stopped"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_result_that_cannot_be_printed_is_an_error(tiny: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "genface", "info", "--model", str(tiny)]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)
    assert result.returncode == 2
    assert result.stderr == "genface: error: No space left on device\n"


def test_a_reader_that_has_gone_ends_the_command_in_silence(tiny: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "genface", "info", "--model", str(tiny)]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(("n", "code"), [(3, 0), (0, 2)])
def test_stderr_may_be_closed(tiny: Path, tmp_path: Path, n: int, code: int) -> None:
    command = [
        sys.executable,
        "-m",
        "genface",
        "--model",
        str(tiny),
        "--n",
        str(n),
        "--out",
        str(tmp_path / "faces.zip"),
    ]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, text=True, check=False
    )
    assert result.returncode == code
    assert ("3 images" in result.stdout) == (code == 0)
    assert "error" not in result.stdout


def test_progress_without_stderr_only_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    now = 0.0
    progress = Progress(100, clock=lambda: now)
    now = 20.0
    progress(40)
    progress.finish()
    assert progress.images_per_second == pytest.approx(2)


def test_progress_without_a_terminal_is_an_occasional_line(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = Progress(10_000, clock=lambda: now)
    for second in range(1, 25):
        now = float(second)
        progress(100 * second)
    progress.finish()
    assert capsys.readouterr().err.splitlines() == [
        "1,000 of 10,000 images, 100 images/s, 1:30 left",
        "2,000 of 10,000 images, 100 images/s, 1:20 left",
    ]
    assert progress.images_per_second == pytest.approx(100)


def test_progress_on_a_terminal_rewrites_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    now = 0.0
    progress = Progress(72_000_000, clock=lambda: now)
    now = 1.0
    progress(10_000)
    progress.finish()
    assert capsys.readouterr().err == ("\r\x1b[K10,000 of 72,000,000 images, 10,000 images/s, 1:59:59 left\r\x1b[K")

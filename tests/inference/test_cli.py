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
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

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
        (["--n", 0], "n must be at least 1 and below 2^63, not 0"),
        (["--n", -5], "n must be at least 1"),
        (["--n", "many"], "'--n'"),
        (["--seed", -1], "seed must be"),
        (["--seed", 2**64], "seed must be"),
        (["--truncation", 0], "truncation must be"),
        (["--truncation", "nan"], "truncation must be"),
        (["--batch", 0], "batch must be"),
        (["--provider", "abacus"], "no provider 'abacus'"),
        (["--out", "nowhere/faces.zip"], "nowhere does not exist"),
        (["--out", "faces.tar.gz"], "faces.tar.gz: archives are"),
        (["--out", "face.png"], "face.png: archives are .zip or .tar files, or folders; .png is none"),
        (["--threads", 0], "threads must be"),
        (["--threads", 1025], "threads must be from 1 to 1,024"),
        (["--shard", "4/3"], "shard 4/3 is out of range"),
        (["--shard", "1/3/5"], "--shard takes K/N"),
        (["--shard", "²/3"], "--shard takes K/N"),
        (["--shard", "1/" + "9" * 5000], "--shard takes K/N"),
        (["--n", 3, "--shard", "1/4"], "shard 1/4 is out of range"),
        (["--index", -1], "index must be"),
        (["--index", 2**63], f"index must be from 0 to {2**63 - 2}"),
        (["--index", 3, "--out", "three.jpg"], "three.jpg: this image is a png: end its name in .png"),
        (["--index", 3, "--format", "webp", "--out", "three"], "end its name in .webp"),
        (["--n", 2**63], "below 2^63"),
        (["--n", 3, "--index", 3], "index must be from 0 to 2, not 3"),
        (["--index", 3, "--resume"], "--index draws one image"),
        (["--format", "gif"], "'--format'"),
        (["--level", 10], "png takes a level from 0 to 9, not 10"),
        (["--quality", 50], "png has no quality"),
        (["--format", "jpeg", "--quality", 0], "jpeg takes a quality from 1 to 100"),
        (["--latents", "missing.npy"], "missing.npy"),
        (["--input", "psi"], "--input takes NAME=VALUE"),
        (["--input", "psi=1", "--input", "psi=2"], "gives 'psi' twice"),
        (["--input", "psi=1"], "psi"),
        (["--latent", "x"], "x"),
        (["--output", "x"], "x"),
        (["--range", "1:2"], "1:2"),
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


def test_one_image_again(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--model", tiny, "--n", 40, "--seed", 3, "--out", "faces")[0] == 0
    code, stdout, stderr = run("--model", tiny, "--seed", 3, "--index", 17)
    assert (code, stdout, stderr) == (0, "000017.png: image 17 of seed 3, 16x16 px (cpu)\n", "")
    assert Path("000017.png").read_bytes() == Path("faces/000017.png").read_bytes()
    assert "exists already" in run("--model", tiny, "--index", 17)[2]
    assert run("--model", tiny, "--index", 1_234_567, "--format", "webp")[0] == 0
    assert Path("1234567.webp").is_file()


def test_shards_and_merge(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--model", tiny, "--n", 20, "--out", "whole.tar")[0] == 0
    for part in (1, 2, 3):
        code, stdout, _ = run("--model", tiny, "--n", 20, "--shard", f"{part}/3", "--out", f"{part}.zip")
        assert code == 0
        assert f"seed 0, shard {part}/3" in stdout
    assert run("merge", "3.zip", "1.zip", "--out", "faces.tar")[2].endswith(
        "2 of 3 shards were given; shard 2 is missing\n"
    )
    assert run("merge", "3.zip", "1.zip", "2.zip", "--out", "faces.tar")[:2] == (
        0,
        "faces.tar: 20 images, merged from 3 parts\n",
    )
    assert Path("faces.tar").read_bytes() == Path("whole.tar").read_bytes()


def test_resume_finishes_what_is_there(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genface import draw

    monkeypatch.chdir(tmp_path)
    arguments = ["--model", tiny, "--n", 40, "--out", "faces"]
    encode, count = draw.encode, 0

    def stop_in_the_second_block(*given: Any) -> bytes:
        nonlocal count
        count += 1
        if count > 20:
            raise KeyboardInterrupt
        return encode(*given)

    with monkeypatch.context() as patch:
        patch.setattr(draw, "encode", stop_in_the_second_block)
        code, _, stderr = run(*arguments, "--threads", 1)
    assert code == 130
    assert not Path("faces").exists()
    assert sum(1 for _ in Path(".faces.part").glob("*.png")) == 16  # the first block
    assert "--resume goes on from there" in stderr
    assert "was begun already" in run(*arguments)[2]
    code, stdout, stderr = run(*arguments, "--resume")
    assert (code, stderr) == (0, "")
    assert "24 of them drawn now" in stdout
    assert "complete already" in run(*arguments, "--resume")[1]
    assert "seed 0 there, 1 wanted" in run(*arguments, "--resume", "--seed", 1)[2]


def test_verify(run: Run, tiny: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    assert run("--model", tiny, "--n", 20, "--out", faces)[0] == 0
    code, stdout, _ = run("verify", faces, "--model", tiny, "--sample", 5)
    assert code == 0
    assert "5 with the same bytes" in stdout
    (faces / "000003.png").write_bytes((faces / "000004.png").read_bytes())
    code, stdout, _ = run("verify", faces, "--model", tiny, "--sample", 20, "--json")
    assert code == 1
    assert json.loads(stdout)["different"] == ["000003.png"]
    (faces / "000003.png").unlink()
    code, stdout, stderr = run("verify", faces, "--model", tiny)
    assert (code, stdout) == (2, "")
    assert "000003.png" in stderr


def test_a_command_with_a_slip_in_its_name(run: Run, tiny: Path) -> None:
    code, stdout, stderr = run("verfy", "faces.zip", "--model", tiny)
    assert (code, stdout) == (2, "")
    assert "No such command 'verfy'" in stderr


def test_a_whole_number_is_given_as_it_is(run: Run, save_variant: Callable[..., Path], tmp_path: Path) -> None:
    """As a float, 2^53 + 1 would be 2^53."""
    model = save_variant(card=None, scalars={"key": (TensorProto.INT64, [])})
    arguments = ["--model", model, "--n", 1, "--out", tmp_path / "faces", "--input", f"key={2**53 + 1}"]
    assert run(*arguments)[0] == 0
    assert json.loads((tmp_path / "faces" / "manifest.json").read_text())["inputs"] == {"key": 2**53 + 1}


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


def test_info_counts_directions(run: Run, tiny_maker: dict[str, Any], save_variant: Callable[..., Path]) -> None:
    directions = ((0.6, 0.8, *[0.0] * 6), (0.8, -0.6, *[0.0] * 6))
    path = save_variant(card=replace(tiny_maker["CARD"], directions=directions))
    assert re.search(r"^  directions +2$", run("info", "--model", path)[1], re.MULTILINE)
    facts = json.loads(run("info", "--model", path, "--json")[1])
    assert facts["card"]["directions"] == 2
    assert json.loads(facts["metadata"]["genface.directions"]) == [list(direction) for direction in directions]


def test_info_about_a_stranger(run: Run, save_variant: Callable[..., Path]) -> None:
    path = save_variant("float 0 to 1", card=None)
    code, stdout, _ = run("info", "--model", path)
    assert code == 0
    assert "images: float32 [N, 3, 16, 16]" in stdout
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
def test_a_stopped_command_says_how_to_go_on(tiny: Path, tmp_path: Path, sent: signal.Signals, name: str) -> None:
    command = [sys.executable, "-m", "genface", "--model", str(tiny), "--n", "100000000", "--out", name]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [entry.name for entry in tmp_path.iterdir()] == [f".{name}.part"]
        time.sleep(0.2)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-2:] == [
        f"what was drawn is kept in .{name}.part; --resume goes on from there",
        "genface: stopped",
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == [f".{name}.part"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_a_library_takes_for_an_error_is_a_stop(tiny: Path, sent: signal.Signals) -> None:
    """ONNX Runtime, stopped while it is imported, raises an ImportError; a second signal then changes nothing."""
    code = (
        "import os, sys\nfrom genface import providers\nfrom genface.errors import UserError\n"
        "def stopped():\n"
        f"    try:\n        os.kill(os.getpid(), {int(sent)})\n"
        "    except KeyboardInterrupt:\n        raise UserError('cannot be imported')\n"
        "class Stderr:\n"
        "    def __getattr__(self, name): return getattr(sys.__stderr__, name)\n"
        f"    def write(self, text): os.kill(os.getpid(), {int(sent)}); return sys.__stderr__.write(text)\n"
        "providers.onnx_runtime = stopped\nsys.stderr = Stderr()\n"
        "from genface.cli import main\n"
        f"sys.argv = ['genface', 'info', '--model', {str(tiny)!r}]\nmain()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "genface: stopped\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_result_that_cannot_be_printed_is_an_error(tiny: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "genface", "info", "--model", str(tiny)]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)
    assert result.returncode == 2
    assert result.stderr == "genface: error: standard output: No space left on device\n"


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


def test_a_runtime_that_logs_what_it_raises_is_told_once(tiny: Path, tmp_path: Path) -> None:
    """Found by fuzzing: the runtime logs this overflow by a logger of its own, not by the session's."""
    model = onnx.load(tiny)
    (shape, *_) = (tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT64)
    shape.dims[0] = 1 << 62
    (tmp_path / "gen.onnx").write_bytes(model.SerializeToString())
    command = [sys.executable, "-m", "genface", "info", "--model", str(tmp_path / "gen.onnx")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert re.fullmatch(r"genface: error: .*gen\.onnx: .*\n", result.stderr)

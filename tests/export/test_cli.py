from __future__ import annotations

import copy
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import exportface.export
from exportface.parity import MIN_STD, NUM_LATENTS, SEED
from exportface.source import read_source
from genface.latents import latents
from genface.model import Generator
from trainface.trainer import Trainer

Run = Callable[..., tuple[int, str, str]]
Make = Callable[..., Path]


def test_export(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint, out, script = make_checkpoint("tiny"), tmp_path / "gen.onnx", tmp_path / "gen.ts"
    program = tmp_path / "gen.pt2"
    code, stdout, stderr = run(
        checkpoint, "--out", out, "--torchscript", script, "--pt2", program, "--licence", "CC BY 4.0"
    )
    assert code == 0, stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen.onnx", "gen.pt2", "gen.ts"]
    assert f"{out}: 0.03 MB, normfree, 16x16 px from 8 numbers, 24 images of drawn faces seen" in stdout
    assert re.findall(r"^  (ONNX, cpu fp32|TorchScript|exported program) +1 ", stdout, flags=re.M) == [
        "ONNX, cpu fp32",
        "TorchScript",
        "exported program",
    ]
    assert "warning" not in stderr

    card = Generator(out).info.card
    assert card is not None
    assert (card.architecture, card.resolution, card.z_dim, card.preparation.size) == ("normfree", 16, 8, 16)
    assert (card.dataset, card.images_seen, card.licence) == ("drawn faces", 24, "CC BY 4.0")
    assert card.checkpoint_sha256 == sha256(checkpoint.read_bytes()).hexdigest()
    assert card.parity["images"] == NUM_LATENTS
    assert card.parity["output_std"] >= MIN_STD
    rows = [row for row in card.parity["rows"] if not row["form"].endswith("bf16")]
    assert {row["form"] for row in rows} >= {"ONNX, cpu fp32", "TorchScript", "exported program"}
    assert {row["batch"] for row in rows} == {1, 3, 64}
    assert max(row["max_delta"] for row in rows) <= 1e-4
    config = json.loads({prop.key: prop.value for prop in onnx.load(out).metadata_props}["trainface.config"])
    assert (config["preset"], config["g_widths"]) == ("tiny", [16, 16])

    # The same command gives the same bytes, once it may replace what is there.
    before = out.read_bytes()
    again = [checkpoint, "--out", out, "--licence", "CC BY 4.0"]
    code, _, stderr = run(*again)
    assert code == 2
    assert_one_line(stderr, "exists already; choose another name, or replace it by --force")
    out.write_text("something else")
    assert run(*again, "--force")[0] == 0
    assert out.read_bytes() == before


def test_the_archive_is_what_training_showed(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    """Through the whole line: the pictures of the trainer's grids, drawn by genface from the file."""
    checkpoint, out = make_checkpoint("tiny-dcgan"), tmp_path / "gen.onnx"
    assert run(checkpoint, "--out", out)[0] == 0
    z = latents(5, range(40), 8)
    trainer = Trainer.__new__(Trainer)  # its `sample` needs a device only
    trainer.device = torch.device("cpu")
    shown, drawn = trainer.sample(z, read_source(checkpoint).generator), Generator(out).draw(seed=5, indices=range(40))
    assert np.abs(shown.astype(int) - drawn).max() <= 1
    assert (shown == drawn).mean() > 0.999
    assert SEED != 5


def test_failing_parity_leaves_nothing(
    run: Run, make_checkpoint: Make, exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = copy.deepcopy(exported("tiny").model)
    (rounding,) = [node for node in altered.graph.node if node.op_type == "Round"]
    rounding.op_type = "Floor"
    monkeypatch.setattr(exportface.export, "to_onnx", lambda deployable, z_dim: altered)
    (tmp_path / "old.onnx").write_text("kept")
    checkpoint = make_checkpoint("tiny")
    for options in (["--out", tmp_path / "gen.onnx"], ["--out", tmp_path / "old.onnx", "--force"]):
        code, stdout, stderr = run(checkpoint, *options, "--torchscript", tmp_path / "gen.ts")
        assert code == 1
        assert "allowed" in stdout
        assert re.search(r"parity failed, no file was written: ONNX, cpu fp32, batch 1: .* levels in the mean", stderr)
        assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]
        assert (tmp_path / "old.onnx").read_text() == "kept"


def test_a_file_that_genface_draws_otherwise_is_refused(
    run: Run, make_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Generator.draw
    monkeypatch.setattr(Generator, "draw", lambda *args, **options: 255 - draw(*args, **options))
    code, _, stderr = run(make_checkpoint("tiny"), "--out", tmp_path / "gen.onnx")
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "genface draws pictures from the file that differ" in stderr


def test_flat_pictures_are_exported_with_a_warning(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = make_checkpoint("tiny", lambda state: state["ema"][state["best_ema"]]["to_rgb.weight"].mul_(0.01))
    code, stdout, stderr = run(checkpoint, "--out", tmp_path / "gen.onnx")
    assert code == 0
    assert "hardly trained" in stderr.splitlines()[-1]
    assert "standard deviation of the pictures" in stdout


def test_torch_forms_beside_a_coarser_file_only_where_they_are_asked_for(
    run: Run, make_checkpoint: Make, tmp_path: Path
) -> None:
    """In fp32 they are witnesses in any case; of fp16 weights they tell nothing."""
    checkpoint = make_checkpoint("tiny")
    for name, options, told in (("a", [], []), ("b", ["--torchscript", tmp_path / "b.ts"], ["TorchScript"])):
        code, stdout, stderr = run(checkpoint, "--out", tmp_path / name, "--precision", "fp16", *options)
        assert code == 0, stderr
        assert re.findall(r"^  (TorchScript|exported program) +1 ", stdout, flags=re.M) == told
        assert "ONNX, cpu fp32" in stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "b.ts"]


@pytest.mark.parametrize(
    ("command", "outcome"), [("release", "nothing was written"), ("handin", "no generator file was written")]
)
def test_folders_tell_the_figures_of_a_failing_parity(
    run: Run,
    make_checkpoint: Make,
    exported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    outcome: str,
) -> None:
    altered = copy.deepcopy(exported("tiny").model)
    (rounding,) = [node for node in altered.graph.node if node.op_type == "Round"]
    rounding.op_type = "Floor"
    monkeypatch.setattr(exportface.export, "to_onnx", lambda deployable, z_dim: altered)
    checkpoint = make_checkpoint("tiny")
    code, stdout, stderr = run(
        command, checkpoint if command == "release" else checkpoint.parent, "--out", tmp_path / "o"
    )
    assert code == 1
    assert "allowed" in stdout
    assert f"parity failed, {outcome}: ONNX, cpu fp32" in stderr.splitlines()[-1]
    assert list(tmp_path.rglob("*.onnx")) == []


class _Anything:
    """A class of ours: unpickling it would run code."""


def _change(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update(values)


def _text(path: Path) -> None:
    path.write_text("this is no checkpoint\n" * 100)


def _folder(path: Path) -> None:
    path.mkdir()


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"kind": "trainface-checkpoint"}))


def _torch_pickle_with_code(path: Path) -> None:
    torch.save({"kind": "trainface-checkpoint", "anything": _Anything()}, path)


def _other_torch_file(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such checkpoint"),
        (_folder, "is a folder; give the checkpoint.pt"),
        (lambda path: path.touch(), "not a checkpoint"),
        (_text, "not a checkpoint"),
        (_pickle, "not a checkpoint"),
        (_torch_pickle_with_code, "refused, since it holds more than tensors"),
        (_other_torch_file, "not a checkpoint of trainface"),
    ],
)
def test_what_is_no_checkpoint(run: Run, tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "given.pt"
    write(path)
    assert_refused(run, path, tmp_path / "gen.onnx", message)


def test_an_onnx_file_is_no_checkpoint(run: Run, exported: Any, tmp_path: Path) -> None:
    onnx.save(exported("tiny").model, tmp_path / "given.onnx")
    assert_refused(run, tmp_path / "given.onnx", tmp_path / "gen.onnx", "not a checkpoint")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_checkpoint(run: Run, make_checkpoint: Make, tmp_path: Path, share: float) -> None:
    data = make_checkpoint("tiny").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: int(share * len(data))])
    assert_refused(run, tmp_path / "cut.pt", tmp_path / "gen.onnx", "cut short")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change(format_version=99), "checkpoint format 99"),
        (_change(ema={"20": {}}, best_ema="20"), "weights do not fit"),
        (_change(ema=None), "damaged"),
        (_change(data={}), "damaged, it lacks or garbles 'name'"),
        (_change(cur_nimg="many"), "damaged"),
        (_change(preparation={"size": 32}), "prepared at 32 px"),
        (_change(preparation={"size": 16, "tilt": 3}), "not a preparation record"),
        (lambda state: state["config"].update(z_dim=9), "weights do not fit"),
        (lambda state: state["config"].update(architecture="diffusion"), "architecture=diffusion"),
        (lambda state: state["config"].update(novelty=1), "configuration of another version"),
        (lambda state: state.pop("config"), "'config'"),
        (lambda state: state["ema"][state["best_ema"]]["basis"].fill_(torch.nan), "not all finite (basis)"),
    ],
)
def test_checkpoints_that_do_not_fit(
    run: Run, make_checkpoint: Make, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    assert_refused(run, make_checkpoint("tiny", change), tmp_path / "gen.onnx", message)


def test_a_checkpoint_that_is_replaced_meanwhile(
    run: Run, make_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = iter("ab")
    monkeypatch.setattr("exportface.source.sha256_of", lambda path: next(hashes))
    assert_refused(run, make_checkpoint("tiny"), tmp_path / "gen.onnx", "was replaced while it was read")


def test_places_that_cannot_be_written(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = make_checkpoint("tiny")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert_refused(run, checkpoint, tmp_path / "missing" / "gen.onnx", "does not exist; make it first")
    assert_refused(run, checkpoint, tmp_path / "file" / "gen.onnx", "does not exist; make it first")
    assert_refused(run, checkpoint, tmp_path / "folder", "is a folder")
    assert_refused(run, checkpoint, checkpoint, "must have different names", "--force")
    same = tmp_path / "gen.onnx"
    assert_refused(run, checkpoint, same, "must have different names", "--torchscript", same)
    taken = tmp_path / "file"
    assert_refused(run, checkpoint, tmp_path / "gen.onnx", f"{taken}: exists already", "--torchscript", taken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that even root cannot write to")
def test_unwritable_folder(run: Run, make_checkpoint: Make) -> None:
    assert_refused(run, make_checkpoint("tiny"), Path("/proc/gen.onnx"), "/proc/gen.onnx: cannot be written")


def test_full_disk(
    run: Run, make_checkpoint: Make, exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exportface.export, "to_onnx", lambda deployable, z_dim: exported("tiny").model)

    def refuse(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    code, stdout, stderr = run(make_checkpoint("tiny"), "--out", tmp_path / "gen.onnx")
    assert (code, stdout) == (2, "")
    assert f"{tmp_path / 'gen.onnx'}: cannot be written (No space left on device)" in stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("licence", ["", " \n"])
def test_an_empty_licence(run: Run, make_checkpoint: Make, tmp_path: Path, licence: str) -> None:
    checkpoint, out = make_checkpoint("tiny"), tmp_path / "gen.onnx"
    assert_refused(run, checkpoint, out, "the licence is empty: name one", "--licence", licence)


def test_what_typer_refuses(run: Run, tmp_path: Path) -> None:
    assert_one_line(run(tmp_path / "checkpoint.pt")[2], "--out")
    assert_one_line(run("--out", tmp_path / "gen.onnx")[2], "checkpoint")


def test_a_stopped_export_leaves_nothing(make_checkpoint: Make, tmp_path: Path) -> None:
    program = "from exportface.cli import main; main()"
    command = [sys.executable, "-c", program, str(make_checkpoint("tiny")), "--out", "gen.onnx"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [entry.suffix for entry in tmp_path.iterdir()] == [".part"]
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "exportface: stopped"
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "onnx", "onnxruntime")
    check = f"import sys, exportface.cli; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def assert_refused(run: Run, checkpoint: Path, out: Path, message: str, *options: object) -> None:
    existed = out.exists()
    code, stdout, stderr = run(checkpoint, "--out", out, *options)
    assert (code, stdout) == (2, "")
    assert_one_line(stderr, message)
    assert out.exists() == existed
    if not existed and out.parent.is_dir():
        assert list(out.parent.glob("*.part")) + list(out.parent.glob(".*.part")) == []


def assert_one_line(stderr: str, message: str) -> None:
    assert stderr.startswith("exportface: error: ")
    assert stderr.count("\n") == 1
    assert message in stderr

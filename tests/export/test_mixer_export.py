"""`exportface mixer`: the folder draws what the networks draw, and tells nothing else."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import types
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from evalface.embedder import open_embedder
from exportface.code_parity import ALLOWED
from exportface.mixer_source import read_mixer
from genface.mixer import Mixer
from trainface import cartoons, checkpoint
from trainface.mixer.networks import build_decoder, build_encoder

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
MIXING = {
    "tiny-ae-classic": "linear",
    "tiny-ae": "latent",
    "tiny-embed-classic": "sphere",
    "tiny-embed": "sphere",
    "tiny-gan-encoder": "latent",
}

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixers.py"))))
DIM, KINDS = mixers.DIM, mixers.KINDS
config_of, contents, make_state = mixers.config_of, mixers.contents, mixers.make_state
write, write_embedder = mixers.write, mixers.write_embedder


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_draws_what_the_networks_draw(exported_mixer: Any, mixer_embedder: Path, kind: str) -> None:
    path, out, exported = exported_mixer(kind)
    assert sorted(entry.name for entry in out.iterdir()) == ["decoder.onnx", "encoder.onnx", "mixer.json"]
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["checkpoint.pt", "out"], "nothing is left beside it"

    state, config = checkpoint.load_kind(path, "trainface-mixer", 1), config_of(kind)
    mixer = Mixer(out, threads=1)
    card = mixer.card
    assert card == exported.card
    assert (card.method, card.mixing, card.size, card.code_dim) == (config.method, MIXING[config.preset], 16, DIM)
    assert (card.dataset, card.images_seen, card.licence) == ("drawn faces", 400, "CC0")
    assert card.checkpoint_sha256 == sha256(path.read_bytes()).hexdigest()
    assert card.held_out == {"rule": "by name", "identities": ["Zoë", "b"]}
    assert (card.embedder or {}).get("title") == ("A recogniser" if config.method == "embedding" else None)

    photos = np.stack(list(cartoons.render_many(3, range(10), 16)))
    codes = mixer.encode(photos)
    if config.method == "embedding":
        expected = open_embedder(mixer_embedder, threads=1).embed(photos)
    else:
        encoder = build_encoder(config).eval()
        encoder.load_state_dict(state["ema"]["encoder"])
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(photos).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(codes, expected, atol=ALLOWED * np.sqrt(np.square(expected).mean()))

    decoder = build_decoder(config).eval()
    decoder.load_state_dict(state["ema"]["decoder"])
    child = mixer.mix(codes[:2], np.array([[0.5, 0.5]]))
    both = np.concatenate([expected.astype(np.float32), child])
    with torch.inference_mode():
        images = decoder(torch.from_numpy(both)).permute(0, 2, 3, 1).numpy()
    low, high = decoder.output_range
    levels = np.rint((images - low) / (high - low) * 255).clip(0, 255)
    drawn = mixer.decode(both)
    assert np.abs(drawn - levels).max() <= 1
    assert (drawn == levels).mean() > 0.999
    assert drawn.std() > 30


@pytest.mark.parametrize("kind", KINDS)
def test_parity_is_measured_and_stored(exported_mixer: Any, kind: str) -> None:
    _, out, exported = exported_mixer(kind)
    stored = json.loads((out / "mixer.json").read_bytes())["parity"]
    assert stored == exported.parity.to_dict()
    assert exported.parity.failures == []
    assert stored["encoder"]["photos"] == 32
    assert [row["batch"] for row in stored["encoder"]["rows"]] == ([1] if "embed" in kind else [1, 16])
    assert max(row["max_delta"] for row in stored["encoder"]["rows"]) < ALLOWED / 10
    assert stored["decoder"]["images"] == 256
    assert stored["decoder"]["quantiser_errors"] == {"ONNX, cpu fp32": 0}
    assert stored["decoder"]["output_std"] > 0.2
    assert max(row["max_delta"] for row in stored["decoder"]["rows"]) <= 1e-4
    assert stored["reference"].startswith("PyTorch ")
    assert stored["encoder"]["reference"].startswith("the embedder's own file" if "embed" in kind else "PyTorch ")


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_tell_nothing_about_the_machine_and_hold_nothing_idle(exported_mixer: Any, kind: str) -> None:
    _, out, _ = exported_mixer(kind)
    for name in ("encoder.onnx", "decoder.onnx"):
        data = (out / name).read_bytes()
        for trace in (str(ROOT), sys.prefix, "site-packages", 'File "', "Traceback", "trainface/"):
            assert trace.encode() not in data, (name, trace)
        assert re.findall(rb"(?:/[A-Za-z0-9_.-]{2,}){3,}", data) == []
    decoder = onnx.load(out / "decoder.onnx")
    operators = [node.op_type for node in decoder.graph.node]
    assert operators[-6:] == ["Mul", "Add", "Round", "Clip", "Transpose", "Cast"]
    assert "BatchNormalization" not in operators
    if "gan" in kind:
        assert set(operators[:-6]) <= {
            "Gemm",
            "MatMul",
            "Unsqueeze",
            "Reshape",
            "Mul",
            "ConvTranspose",
            "LeakyRelu",
            "Relu",
            "Tanh",
        }


def test_the_same_command_gives_the_same_bytes(run: Run, ready_mixer: tuple[Path, Path], tmp_path: Path) -> None:
    path, first = ready_mixer
    out = tmp_path / "mixer"
    command = ["mixer", path, "--out", out, "--licence", "CC0"]
    code, stdout, stderr = run(*command)
    assert code == 0, stderr
    assert contents(out) == contents(first)
    assert stdout.startswith(f"{out}: encoder.onnx 0.0")
    assert (
        "autoencoder, 16x16 px, codes of 8 numbers, linear mixing, 400 images of drawn faces seen, licence: CC0"
        in stdout
    )
    assert re.search(r"^codes of 32 photos, batch 1: difference \d", stdout, flags=re.M)
    assert "on 256 codes of seed" in stdout
    assert "warning" not in stderr

    code, _, stderr = run(*command)
    assert (code, stderr.count("\n")) == (2, 1)
    assert f"{out}: is a mixer already; --force replaces it" in stderr
    (out / "decoder.onnx").write_bytes(b"edited")
    assert run(*command, "--force")[0] == 0
    assert contents(out) == contents(first)

    (out / "thesis.txt").write_text("mine")
    code, _, stderr = run(*command, "--force")
    assert code == 2
    assert "holds thesis.txt, which no mixer wrote" in stderr
    assert (out / "thesis.txt").read_text() == "mine"


def test_a_run_without_held_out_identities_says_so(tmp_path: Path) -> None:
    state = make_state("tiny-ae-classic")
    state["data"]["held_out_identities"] = []
    assert read_mixer(write(tmp_path / "checkpoint.pt", state)).held_out is None


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_photos_to_a_mixed_face_through_the_commands(tmp_path: Path) -> None:
    """Train, export, mix, as a person would."""

    def call(*words: object) -> str:
        command = [str(Path(sys.executable).parent / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    embedder = write_embedder(tmp_path / "face.onnx")
    for number in (1, 2):
        Image.fromarray(cartoons.render(5, number, 40)).save(tmp_path / f"{number}.png")
    photos = ["builtin:cartoons:40", "--device", "cpu"]
    call("trainface", "builtin:cartoons:40", "--run", "gan", "--preset", "tiny", "--kimg", "0.04", "--device", "cpu")
    runs: dict[str, list[object]] = {
        "tiny-ae": [],
        "tiny-embed-classic": ["--embedder", embedder],
        "tiny-gan-encoder": ["--generator", "gan/checkpoint.pt"],
    }
    for preset_name, options in runs.items():
        run, out = f"run-{preset_name}", f"mixer-{preset_name}"
        call("trainface", "mixer", *photos, "--run", run, "--preset", preset_name, "--kimg", "0.04", *options)
        given = options if "--embedder" in options else []
        call("exportface", "mixer", f"{run}/checkpoint.pt", "--out", out, *given)
        call("genface", "mix", "1.png", "2.png", "--model", out, "--strip", 3, "--parents", "--out", f"{out}.png")
        with Image.open(tmp_path / f"{out}.png") as sheet:
            assert sheet.size[0] > 5 * 16

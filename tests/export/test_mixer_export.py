"""`exportface mixer`: the folder draws what the networks draw, and appears complete or not at all."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

import exportface.mixer_export as module
from evalface.embedder import open_embedder
from exportface.code_parity import ALLOWED, measure_codes, sample_photos
from exportface.mixer_export import ExportedMixer, codes_like, export_mixer
from exportface.mixer_source import read_mixer
from genface.errors import UserError
from genface.mixer import Mixer
from genface.photos import Preparation
from trainface import cartoons, checkpoint
from trainface.mixer.config import MixerConfig
from trainface.mixer.networks import build_decoder, build_encoder
from trainface.mixer.presets import preset
from trainface.presets import preset as gan_preset

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
DIM = 8
KINDS = ("tiny-ae-classic", "tiny-ae", "tiny-embed-classic", "tiny-embed", "tiny-gan-encoder", "tiny-gan-encoder dcgan")
MIXING = {"autoencoder": "linear", "embedding": "sphere", "gan": "latent"}
TARGET_STD = 0.4


def write_embedder(path: Path, *, title: str = "A recogniser", seed: int = 1) -> Path:
    """A random linear map of 12 px to a vector, of one photo at a time."""
    weight = np.random.default_rng(seed).standard_normal((DIM, 3, 12, 12)).astype(np.float32) / 12
    graph = helper.make_graph(
        [helper.make_node("Conv", ["data", "weight"], ["vectors"])],
        "recogniser",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, DIM, 1, 1])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"genface.embedder": json.dumps({"title": title})})
    onnx.save(model, path)
    return path


def config_of(kind: str) -> MixerConfig:
    name, _, architecture = kind.partition(" ")
    config = preset(name)
    if config.method == "gan":
        generator = gan_preset("tiny-dcgan" if architecture else "tiny")
        return config.with_settings({"code_dim": str(generator.z_dim), "generator": json.dumps(generator.to_dict())})
    return config.with_settings({"code_dim": str(DIM)})


def make_state(kind: str, embedder: Path | None = None) -> dict[str, Any]:
    """What `trainface mixer` leaves in a checkpoint, of networks whose every tensor has a say."""
    config = config_of(kind)
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {"decoder": build_decoder(config)}
    if config.method != "embedding":
        networks["encoder"] = build_encoder(config)
    for network in networks.values():
        _enliven(network)
    if "encoder" in networks:
        _spread_codes(networks["encoder"])
    _give_contrast(networks["decoder"], config.code_size)
    held = {"held_out_identities": ["Zoë", "b"], "held_out_rule": "by name", "held_out_share": 0.1}
    return {
        "kind": "trainface-mixer",
        "format_version": 1,
        "config": config.to_dict(),
        "preparation": Preparation(size=16).to_dict(),
        "data": {"name": "drawn faces", "key": "0" * 64, "images": 20, **held},
        "embedder": None if embedder is None else open_embedder(embedder, threads=1).facts,
        "generator": None,
        "cur_nimg": 400,
        "networks": {},
        "ema": {name: network.state_dict() for name, network in networks.items()},
    }


@torch.no_grad()
def _enliven(network: nn.Module) -> None:
    rng = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.1, generator=rng)
            part.running_var.uniform_(0.5, 2.0, generator=rng)
    for parameter in network.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.normal_(0.0, 0.1, generator=rng)


@torch.no_grad()
def _spread_codes(encoder: nn.Module) -> None:
    last = encoder.to_code if hasattr(encoder, "to_code") else encoder.to_mean
    photos = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    while encoder.eval()(photos).std(dim=0).mean() < 1:
        last.weight.mul_(1.5)


@torch.no_grad()
def _give_contrast(decoder: nn.Module, code_dim: int) -> None:
    last = [part for part in decoder.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)][-1]
    codes = torch.randn(16, code_dim, generator=torch.Generator().manual_seed(0))
    low, high = decoder.output_range
    while decoder.eval()(codes).clamp(low, high).std() * 2 / (high - low) < TARGET_STD:
        last.weight.mul_(1.5)


def write(path: Path, state: dict[str, Any]) -> Path:
    checkpoint.save(state, path)
    return path


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_embedder(tmp_path_factory.mktemp("embedder") / "face.onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, embedder: Path) -> Callable[[str], tuple[Path, Path, ExportedMixer]]:
    """Checkpoint, folder and figures of every kind of mixer, each exported once."""
    done: dict[str, tuple[Path, Path, ExportedMixer]] = {}

    def make(kind: str) -> tuple[Path, Path, ExportedMixer]:
        if kind not in done:
            given = embedder if "embed" in kind else None
            folder = tmp_path_factory.mktemp("mixer")
            path = write(folder / "checkpoint.pt", make_state(kind, given))
            out = folder / "out"
            done[kind] = path, out, export_mixer(path, out, embedder=given, licence="CC0")
        return done[kind]

    return make


@pytest.fixture
def quick(made: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let both graphs of a classic autoencoder be there already: for tests that are about the folder."""
    path, out, _ = made("tiny-ae-classic")
    encoder, decoder = onnx.load(out / "encoder.onnx"), onnx.load(out / "decoder.onnx")
    as_made = copy.deepcopy(decoder)
    for port in as_made.graph.input:
        port.name = "z"
    for node in as_made.graph.node:
        node.input[:] = ["z" if name == "codes" else name for name in node.input]
    monkeypatch.setattr(module, "encoder_graph", lambda network, size: copy.deepcopy(encoder))
    monkeypatch.setattr(module, "decoder_graph", lambda network, code_dim: copy.deepcopy(as_made))
    return path, out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_draws_what_the_networks_draw(made: Any, embedder: Path, kind: str) -> None:
    path, out, exported = made(kind)
    assert sorted(entry.name for entry in out.iterdir()) == ["decoder.onnx", "encoder.onnx", "mixer.json"]
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["checkpoint.pt", "out"], "nothing is left beside it"

    state, config = checkpoint.load_kind(path, "trainface-mixer", 1), config_of(kind)
    mixer = Mixer(out, threads=1)
    card = mixer.card
    assert card == exported.card
    assert (card.method, card.mixing, card.size, card.code_dim) == (config.method, MIXING[config.method], 16, DIM)
    assert (card.dataset, card.images_seen, card.licence) == ("drawn faces", 400, "CC0")
    assert card.checkpoint_sha256 == sha256(path.read_bytes()).hexdigest()
    assert card.held_out == {"rule": "by name", "identities": ["Zoë", "b"]}
    assert (card.embedder or {}).get("title") == ("A recogniser" if config.method == "embedding" else None)

    photos = np.stack(list(cartoons.render_many(3, range(10), 16)))
    codes = mixer.encode(photos)
    if config.method == "embedding":
        expected = open_embedder(embedder, threads=1).embed(photos)
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
def test_parity_is_measured_and_stored(made: Any, kind: str) -> None:
    _, out, exported = made(kind)
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
def test_graphs_tell_nothing_about_the_machine_and_hold_nothing_idle(made: Any, kind: str) -> None:
    _, out, _ = made(kind)
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


def test_the_same_command_gives_the_same_bytes(run: Run, quick: tuple[Path, Path], tmp_path: Path) -> None:
    path, first = quick
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


@pytest.mark.parametrize("record", [None, "[]", '{"kind": "genface-release"}', '{"kind": "genface-mixer"}'])
def test_a_folder_of_something_else_is_never_taken(
    quick: tuple[Path, Path], tmp_path: Path, record: str | None
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    if record is not None:
        (out / "mixer.json").write_text(record)
    before = contents(out)
    with pytest.raises(UserError, match="holds something else than a mixer"):
        export_mixer(quick[0], out, licence="CC0", force=True)
    assert contents(out) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis"]


def _floor(model: onnx.ModelProto) -> None:
    (rounding,) = [node for node in model.graph.node if node.op_type == "Round"]
    rounding.op_type = "Floor"


def _nudge(model: onnx.ModelProto) -> None:
    """A hundredth off in one of the weights."""
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith("to_code.bias")]
    values = numpy_helper.to_array(bias).copy()
    values[0] += 0.1
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))


@pytest.mark.parametrize(
    ("graph", "change", "message"),
    [
        ("decoder_graph", _floor, r"decoder, ONNX, cpu fp32, batch 1: .* levels in the mean"),
        ("encoder_graph", _nudge, r"encoder, batch 1: max \|delta\| .* of the codes' size is over 0\.001, and 1 more"),
    ],
)
def test_failing_parity_leaves_nothing(
    run: Run,
    quick: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    graph: str,
    change: Callable[[onnx.ModelProto], None],
    message: str,
) -> None:
    original = getattr(module, graph)

    def altered(*arguments: Any) -> onnx.ModelProto:
        model = original(*arguments)
        change(model)
        return model

    monkeypatch.setattr(module, graph, altered)
    code, stdout, stderr = run("mixer", quick[0], "--out", tmp_path / "mixer")
    assert code == 1
    assert "allowed" in stdout
    assert re.search("exportface: parity failed, nothing was written: " + message, stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_genface_reads_otherwise_is_refused(
    run: Run, quick: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Mixer.decode
    monkeypatch.setattr(Mixer, "decode", lambda *arguments: 255 - decode(*arguments))
    code, _, stderr = run("mixer", quick[0], "--out", tmp_path / "mixer")
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "genface decodes pictures from the folder that differ by" in stderr


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_what_breaks_off_leaves_things_as_they_were(
    quick: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, error: BaseException
) -> None:
    out = tmp_path / "mixer"
    if existing:
        export_mixer(quick[0], out, licence="CC0")
    before = contents(out) if existing else None

    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(module.atomic, "write_text", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError
    with pytest.raises(expected) as failed:
        export_mixer(quick[0], out, licence="CC0", force=existing)
    if expected is UserError:
        assert str(failed.value) == f"{out}: cannot be written (No space left on device); nothing was kept"
    assert (contents(out) if out.exists() else None) == before
    assert [entry.name for entry in tmp_path.iterdir()] == (["mixer"] if existing else [])


def _change(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change(kind="trainface-style"), "of kind trainface-style, where one of kind trainface-mixer was looked for"),
        (_change(format_version=9), "format 9 of trainface-mixer"),
        (_change(cur_nimg=-1), "damaged"),
        (_change(ema={}), "damaged, it lacks or garbles 'encoder'"),
        (_change(preparation={"size": 32}), "prepared at 32 px and its network is for 16 px"),
        (_change(data={"name": "x"}), "damaged, it lacks or garbles 'held_out_identities'"),
        (lambda state: state["config"].update(widths=[8, 9]), "weights do not fit its own configuration"),
        (lambda state: state["config"].update(novelty=1), "configuration of another version"),
        (lambda state: state["ema"]["decoder"]["to_rgb.bias"].fill_(torch.nan), "not all finite (to_rgb.bias)"),
    ],
)
def test_checkpoints_that_do_not_fit(
    run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = make_state("tiny-ae-classic")
    change(state)
    path = write(tmp_path / "checkpoint.pt", state)
    code, stdout, stderr = run("mixer", path, "--out", tmp_path / "mixer")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"exportface: error: {path}: ")
    assert message in stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(embedder=None), "damaged, it lacks or garbles 'embedder'"),
        (lambda state: state["embedder"].pop("mean"), "damaged, it lacks or garbles 'mean'"),
        (lambda state: state["embedder"].update(dim=9), "damaged, .* an embedder of 9 numbers for codes of 8"),
    ],
)
def test_embedders_that_a_checkpoint_garbles(
    embedder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = make_state("tiny-embed", embedder)
    change(state)
    with pytest.raises(UserError, match=message):
        read_mixer(write(tmp_path / "checkpoint.pt", state))


def test_embedders_that_do_not_belong(made: Any, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other, out = write_embedder(tmp_path / "b" / "face.onnx", seed=2), tmp_path / "mixer"
    with pytest.raises(
        UserError, match="decodes the vectors of an embedder, A recogniser; give its file by --embedder"
    ):
        export_mixer(made("tiny-embed")[0], out, licence="CC0")
    with pytest.raises(UserError, match="is not the embedder that the mixer learned from, A recogniser"):
        export_mixer(made("tiny-embed")[0], out, embedder=other, licence="CC0")
    with pytest.raises(UserError, match="has an encoder of its own; leave the option out"):
        export_mixer(made("tiny-ae-classic")[0], out, embedder=other, licence="CC0")
    with pytest.raises(UserError, match="the licence is empty"):
        export_mixer(made("tiny-ae-classic")[0], out, licence=" ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_a_run_without_held_out_identities_says_so(tmp_path: Path) -> None:
    state = make_state("tiny-ae-classic")
    state["data"]["held_out_identities"] = []
    assert read_mixer(write(tmp_path / "checkpoint.pt", state)).held_out is None


def test_codes_to_try_a_decoder_on_are_like_those_of_photos() -> None:
    codes = np.random.default_rng(0).normal([3.0, -1.0], [0.5, 2.0], (500, 2)).astype(np.float32)
    drawn = codes_like(codes)(range(4000))
    assert drawn.dtype == np.float32
    # Standard errors of 4,000 draws: 2 / 63 for the mean and 2 / 89 for the deviation; six of them.
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(drawn.std(axis=0), codes.std(axis=0), atol=0.14)
    np.testing.assert_array_equal(drawn[5:9], codes_like(codes)(range(5, 9)))


def test_a_code_that_is_no_number_is_a_difference() -> None:
    codes = np.ones((32, 2), dtype=np.float32)
    bad = codes.copy()
    bad[7, 1] = np.nan
    photos = sample_photos(16)
    parity = measure_codes(codes, lambda part: bad, photos, batches=(32,))
    assert parity.failures
    assert json.dumps(parity.to_dict(), allow_nan=False)
    assert measure_codes(np.zeros_like(codes), lambda part: codes * 0, photos, batches=(32,)).failures == []


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

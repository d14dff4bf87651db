"""`exportface style`: the file draws what the network draws at any size, in one piece or in tiles."""

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
from PIL import Image

import exportface.style_graph as style_graph
from exportface.style_export import ExportedStyle, export_style
from exportface.style_parity import ALLOWED, NORMS_ALLOWED, StyleForm, eager_form, measure, onnx_form, weights_to_try
from exportface.style_source import read_style
from genface import stylizer as stylizing
from genface.errors import UserError
from genface.photos import Preparation
from genface.style_card import StyleCard
from genface.stylizer import Stylizer
from trainface import cartoons, checkpoint
from trainface.schedules import Cosine
from trainface.style.config import StyleConfig
from trainface.style.network import build_stylizer

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
STYLES = ("waves", "Zoë's")


def make_state() -> dict[str, Any]:
    """What `trainface style train` leaves in a checkpoint, of a network whose every tensor has a say."""
    config = StyleConfig(
        preset="tried", size=16, batch=2, kimg=0.02, widths=(4, 4, 8), blocks=1, lr=Cosine(1e-3, 1e-3), paintings=STYLES
    )
    torch.manual_seed(0)
    network = build_stylizer(config)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("scale", "shift", "passed_by")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return {
        "kind": "trainface-style",
        "format_version": 1,
        "config": config.to_dict(),
        "preparation": Preparation(size=16).to_dict(),
        "data": {"name": "drawn faces", "key": "0" * 64, "images": 20},
        "styles": [{"name": name, "sha256": "0" * 64} for name in STYLES],
        "features": {"name": "lite0", "title": "EfficientNet-Lite0"},
        "embedder": None,
        "generator": None,
        "cur_nimg": 20,
        "networks": {},
        "ema": {"stylizer": network.state_dict()},
    }


def write(path: Path, state: dict[str, Any]) -> Path:
    checkpoint.save(state, path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, ExportedStyle]:
    """A checkpoint, its exported file and the figures."""
    folder = tmp_path_factory.mktemp("style")
    path, out = write(folder / "checkpoint.pt", make_state()), folder / "style.onnx"
    exported = export_style(path, out, licence="CC0")
    assert sorted(entry.name for entry in folder.iterdir()) == ["checkpoint.pt", "style.onnx"]
    return path, out, exported


@pytest.fixture(scope="module")
def graph(made: tuple[Path, Path, ExportedStyle]) -> onnx.ModelProto:
    """What `style_graph.with_floats` gave, found again in the file."""
    model = onnx.load(made[1])
    del model.metadata_props[:]
    shape = [1, 3, "height", "width"]
    floats = onnx.helper.make_tensor_value_info(style_graph.FLOATS, onnx.TensorProto.FLOAT, shape)
    model.graph.output.append(floats)
    return model


@pytest.fixture
def quick(made: Any, graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the graph be there already; gives the checkpoint."""
    monkeypatch.setattr(style_graph, "with_floats", lambda deployable: copy.deepcopy(graph))
    return made[0]


def expected_of(path: Path, photo: Any, weights: Any, norms: Any = None) -> tuple[Any, Any]:
    """Picture and norms by torch, in numbers that are written out here."""
    network = read_style(path).stylizer
    given = torch.zeros(1, 2, sum(network.norm_channels)) if norms is None else torch.from_numpy(norms)[None]
    use = torch.tensor([0.0 if norms is None else 1.0])
    floats = torch.from_numpy(photo.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        pictures, own = network.with_norms(floats, torch.from_numpy(weights)[None], given, use)
    levels = np.rint((pictures[0].permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255)
    return levels, own[0].numpy()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 96), (61, 45), (133, 70)])
def test_the_file_draws_what_the_network_draws(made: Any, height: int, width: int) -> None:
    path, out, _ = made
    stylizer = Stylizer(out, threads=1)
    photo = cartoons.render(0, 1, max(height, width))[:height, :width]
    for chosen, strength in ((["1"], 1.0), (["Zoë's"], 0.7), (["1:0.25", "2:0.75"], 0.5)):
        weights = stylizer.weights(chosen, strength)
        levels, _ = expected_of(path, photo, weights)
        drawn = stylizer.stylize(photo, weights)
        assert np.abs(drawn - levels).max() <= 1
        # Of rounding: floats differ by 1e-6, so few lie on the other side of a border between two levels.
        assert (drawn == levels).mean() > 0.999
    assert np.abs(drawn.astype(int) - photo).mean() > 5


def test_style_0_is_the_photo_itself(made: Any) -> None:
    stylizer = Stylizer(made[1], threads=1)
    photo = cartoons.render(0, 2, 50)
    np.testing.assert_array_equal(stylizer.stylize(photo, stylizer.weights(["1"], 0.0)), photo)


def test_tiles_with_given_norms_fit_together(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The margin and the stride in the file's record are those of the network."""
    path, out, _ = made
    stylizer = Stylizer(out, threads=1)
    network = read_style(path).stylizer
    assert (stylizer.card.margin, stylizer.card.stride) == (network.reach, 4)
    monkeypatch.setattr(stylizing, "THUMBNAIL", 40)
    photo = cartoons.render(0, 3, 150)[:110]
    weights = stylizer.weights(["waves"])
    _, norms = expected_of(path, stylizing._thumbnail(photo), weights)
    levels, _ = expected_of(path, photo, weights, norms)
    tiled = stylizer.stylize(photo, weights, tile=2 * network.reach + 24)
    assert np.abs(tiled - levels).max() <= 1
    assert (tiled == levels).mean() > 0.999


def test_the_record(made: Any) -> None:
    path, out, exported = made
    props = {prop.key: prop.value for prop in onnx.load(out).metadata_props}
    card = StyleCard.from_props(props)
    assert card == exported.card
    assert (card.styles, card.training_size, card.features) == (STYLES, 16, "lite0")
    assert (card.dataset, card.images_seen, card.licence) == ("drawn faces", 20, "CC0")
    assert card.checkpoint_sha256 == sha256(path.read_bytes()).hexdigest()
    assert json.loads(props["trainface.config"])["paintings"] == list(STYLES)

    parity = card.parity
    rows = [row["form"] for row in parity["pictures"]["rows"]]
    assert rows == ["96x72, own norms", "96x72, given norms", "45x61, own norms", "45x61, given norms"]
    assert all(row["images"] == 4 and row["max_delta"] < ALLOWED.max_delta / 10 for row in parity["pictures"]["rows"])
    assert parity["pictures"]["quantiser_errors"] == {"96x72, own norms": 0}
    assert parity["norms_delta"] < NORMS_ALLOWED / 10
    assert parity["pictures"]["output_std"] > 0.2


def test_the_graph_tells_nothing_about_the_machine(made: Any) -> None:
    data = made[1].read_bytes()
    for trace in (str(ROOT), sys.prefix, "site-packages", 'File "', "Traceback", "trainface/"):
        assert trace.encode() not in data, trace
    assert re.findall(rb"(?:/[A-Za-z0-9_.-]{2,}){3,}", data) == []


def test_the_command(run: Run, quick: Path, made: Any, tmp_path: Path) -> None:
    out = tmp_path / "style.onnx"
    command = ["style", quick, "--out", out, "--licence", "CC0"]
    code, stdout, stderr = run(*command)
    assert code == 0, stderr
    assert out.read_bytes() == made[1].read_bytes(), "the same checkpoint gives the same bytes"
    assert stdout.startswith(f"{out}: 0.0")
    assert "styles: waves, Zoë's; trained at 16 px on lite0, 20 images of drawn faces seen, licence: CC0" in stdout
    assert "on 16 pictures of seed" in stdout
    assert re.search(r"^  96x72, own norms +1 ", stdout, flags=re.M)
    assert "means and variances m of its norms: difference" in stdout

    code, _, stderr = run(*command)
    assert (code, stderr.count("\n")) == (2, 1)
    assert "exists already; choose another name, or replace it by --force" in stderr
    assert run(*command, "--force")[0] == 0
    for target, message in ((quick, "is what is read"), (tmp_path / "no" / "s.onnx", "make it first")):
        code, _, stderr = run("style", quick, "--out", target, "--force")
        assert code == 2
        assert message in stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["style.onnx"]


def _floor(model: onnx.ModelProto) -> None:
    (rounding,) = [node for node in model.graph.node if node.op_type == "Round"]
    rounding.op_type = "Floor"


def _ignore_given_norms(model: onnx.ModelProto) -> None:
    """As if the switch were off."""
    (greater,) = [node for node in model.graph.node if node.op_type == "Greater"]
    greater.op_type = "Less"
    greater.input[:] = ["use_norms", "never"]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(-1.0), "never"))


def _half_the_means(model: onnx.ModelProto) -> None:
    """Norms that are given out wrongly, while the picture is right."""
    (last,) = [node for node in model.graph.node if "norms_out" in node.output]
    last.output[:] = ["right" if name == "norms_out" else name for name in last.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["right", "half"], ["norms_out"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_floor, "96x72, own norms, batch 1: .* levels in the mean are over"),
        (_ignore_given_norms, r"96x72, given norms, batch 1: max \|delta\|"),
        (_half_the_means, "norms: a difference of"),
    ],
)
def test_failing_parity_leaves_nothing(
    run: Run,
    quick: Path,
    graph: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[onnx.ModelProto], None],
    message: str,
) -> None:
    altered = copy.deepcopy(graph)
    change(altered)
    monkeypatch.setattr(style_graph, "with_floats", lambda deployable: altered)
    code, stdout, stderr = run("style", quick, "--out", tmp_path / "style.onnx")
    assert code == 1
    assert "allowed" in stdout
    assert re.search("exportface: parity failed, nothing was written: .*" + message, stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_genface_draws_otherwise_is_refused(
    run: Run, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylize = Stylizer.stylize
    monkeypatch.setattr(Stylizer, "stylize", lambda *arguments: 255 - stylize(*arguments))
    code, _, stderr = run("style", quick, "--out", tmp_path / "style.onnx")
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "genface draws a picture from the file that differs by" in stderr


def _change(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change(kind="trainface-mixer"), "of kind trainface-mixer, where one of kind trainface-style was looked for"),
        (_change(format_version=9), "format 9 of trainface-style"),
        (_change(features={}), "damaged, it lacks or garbles 'name'"),
        (_change(ema=None), "damaged"),
        (lambda state: state["config"].update(paintings=[]), "damaged, it lacks or garbles 'paintings'"),
        (lambda state: state["config"].update(paintings=["a", "b", "c"]), "weights do not fit its own configuration"),
        (lambda state: state["ema"]["stylizer"]["passed_by"].fill_(torch.inf), "not all finite (passed_by)"),
    ],
)
def test_checkpoints_that_do_not_fit(
    run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = make_state()
    change(state)
    path = write(tmp_path / "checkpoint.pt", state)
    code, stdout, stderr = run("style", path, "--out", tmp_path / "style.onnx")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"exportface: error: {path}: ")
    assert message in stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_an_empty_licence(made: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the licence is empty"):
        export_style(made[0], tmp_path / "style.onnx", licence="")


def test_every_style_is_tried() -> None:
    tried = np.concatenate(list(weights_to_try(2)))
    np.testing.assert_allclose(tried, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0.25]])


def test_norms_that_are_no_numbers_are_a_difference(made: Any, graph: onnx.ModelProto) -> None:
    deployable = style_graph.DeployableStylizer(read_style(made[0]).stylizer)
    form = onnx_form(graph)

    def spoiled(feed: Any) -> Any:
        floats, levels, norms = form.run(feed)
        return floats, levels, norms * np.nan

    count = style_graph.norm_count(deployable.stylizer)
    parity = measure(eager_form(deployable), StyleForm(run=spoiled), styles=2, norms=count)
    assert parity.failures == [f"norms: a difference of inf is over {NORMS_ALLOWED:g}"]
    assert json.dumps(parity.to_dict(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_paintings_to_a_stylized_photo_through_the_commands(tmp_path: Path) -> None:
    """Draw paintings, train, export, stylize, as a person would."""

    def call(*words: object) -> str:
        command = [str(Path(sys.executable).parent / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("trainface", "style", "draw-paintings", "--out", "paintings", "--size", "64")
    first, second = sorted(path.name for path in (tmp_path / "paintings").glob("*.png"))[:2]
    styles = ["--style", f"paintings/{first}", "--style", f"paintings/{second}"]
    small = ["size=16", "batch=2", "widths=4,4,8", "blocks=1", "painting_size=16", "tick_kimg=0.01"]
    settings = [word for setting in small for word in ("--set", setting)]
    call("trainface", "style", "train", "builtin:cartoons:20", "--run", "run", "--kimg", 0.02, *styles, *settings)
    call("exportface", "style", "run/checkpoint.pt", "--out", "style.onnx")
    Image.fromarray(cartoons.render(5, 1, 90)[:70]).save(tmp_path / "photo.png")
    chosen = ["--style", Path(second).stem, "--strength", 0.8]
    call("genface", "stylize", "photo.png", "--model", "style.onnx", *chosen, "--out", "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (90, 70)

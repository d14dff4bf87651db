"""Style files, and the command `genface stylize`, on a small convolutional network with instance norm made here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from genface import cli_stylize
from genface.commands import new_app, run_app
from genface.errors import UserError
from genface.provenance import is_marked, read_origin
from genface.style_card import KEY, StyleCard
from genface.stylizer import THUMBNAIL, Stylizer, style_weights

Run = Callable[..., tuple[int, str, str]]

CHANNELS = 4
_ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
STYLES = ("waves", "dots: red", "ash")
CARD = StyleCard(
    styles=STYLES,
    margin=4,  # the second convolution reaches 1, enlarging 1 more, the first convolution 1
    stride=2,
    training_size=64,
    dataset="none, random weights",
    licence="Apache-2.0",
    images_seen=0,
    features="none",
    checkpoint_sha256="0" * 64,
    parity={},
)


def build(card: StyleCard | None = CARD, *, styles: int = len(STYLES), photo: str = "photo") -> bytes:
    """Photo to half its size, instance norm by style, back to its size; style 0 adds nothing to the photo itself."""
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "shrink": rng.normal(size=(CHANNELS, 3, 3, 3)) / 3,
        "enlarge": rng.normal(size=(3, CHANNELS, 3, 3)) / 3,
        "scales": rng.uniform(0.5, 1.5, size=(styles + 1, CHANNELS)),
        "shifts": rng.normal(size=(styles + 1, CHANNELS)),
        "half": np.array(0.5),
        "middle": np.array(127.5),
        "epsilon": np.array(1e-5),
        "least": np.array(0),
        "most": np.array(255),
        "no_roi": np.zeros(0),
        "twice": np.array([1, 1, 2, 2]),
    }
    whole = {
        "sides": [2, 3],
        "columns": [-1, CHANNELS, 1, 1],
        "rows": [1, CHANNELS],
        "zero": [0],
        "one": [1],
        "two": [2],
        "four": [4],
        "axes": [2, 3],
    }
    weights = [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in tensors.items()]
    weights += [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in whole.items()]
    make = helper.make_node
    nodes = [
        make("Cast", [photo], ["levels"], to=TensorProto.FLOAT),
        make("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        make("Sub", ["planes", "middle"], ["centred"]),
        make("Div", ["centred", "middle"], ["x"]),
        make("Conv", ["x", "shrink"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1]),
        make("ReduceMean", ["h", "sides"], ["own_mean"], keepdims=1),
        make("Sub", ["h", "own_mean"], ["off"]),
        make("Mul", ["off", "off"], ["squares"]),
        make("ReduceMean", ["squares", "sides"], ["own_variance"], keepdims=1),
        make("Reshape", ["own_mean", "rows"], ["mean_row"]),
        make("Reshape", ["own_variance", "rows"], ["variance_row"]),
        make("Concat", ["mean_row", "variance_row"], ["norms_out"], axis=0),
        make("Greater", ["use_norms", "half"], ["given"]),
        make("Where", ["given", "norms", "norms_out"], ["both"]),
        make("Reshape", ["both", "columns"], ["both_columns"]),
        make("Gather", ["both_columns", "zero"], ["mean"], axis=0),
        make("Gather", ["both_columns", "one"], ["variance"], axis=0),
        make("Sub", ["h", "mean"], ["moved"]),
        make("Add", ["variance", "epsilon"], ["safe"]),
        make("Sqrt", ["safe"], ["deviation"]),
        make("Div", ["moved", "deviation"], ["normed"]),
        make("MatMul", ["weights", "scales"], ["scale_row"]),
        make("MatMul", ["weights", "shifts"], ["shift_row"]),
        make("Reshape", ["scale_row", "columns"], ["scale"]),
        make("Reshape", ["shift_row", "columns"], ["shift"]),
        make("Mul", ["normed", "scale"], ["scaled"]),
        make("Add", ["scaled", "shift"], ["shifted"]),
        make("Tanh", ["shifted"], ["bent"]),
        make("Resize", ["bent", "no_roi", "twice"], ["doubled"], mode="nearest", **_ASYMMETRIC),
        make("Shape", ["x"], ["shape"]),
        make("Slice", ["shape", "two", "four"], ["hw"]),
        make("Slice", ["doubled", "both_zero", "hw", "axes"], ["fitted"]),
        make("Conv", ["fitted", "enlarge"], ["strokes"], pads=[1, 1, 1, 1]),
        make("Slice", ["weights", "zero", "one", "one"], ["identity"]),
        make("Sub", ["unit", "identity"], ["styled"]),
        make("Mul", ["strokes", "styled"], ["added"]),
        make("Add", ["x", "added"], ["y"]),
        make("Mul", ["y", "middle"], ["stretched"]),
        make("Add", ["stretched", "middle"], ["raised"]),
        make("Clip", ["raised", "least", "most"], ["clipped"]),
        make("Round", ["clipped"], ["rounded"]),
        make("Transpose", ["rounded"], ["last"], perm=[0, 2, 3, 1]),
        make("Cast", ["last"], ["picture"], to=TensorProto.UINT8),
    ]
    weights.append(numpy_helper.from_array(np.zeros(2, dtype=np.int64), "both_zero"))
    weights.append(numpy_helper.from_array(np.ones(1, dtype=np.float32), "unit"))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            info(photo, TensorProto.UINT8, [1, "height", "width", 3]),
            info("weights", TensorProto.FLOAT, [1, styles + 1]),
            info("norms", TensorProto.FLOAT, [2, CHANNELS]),
            info("use_norms", TensorProto.FLOAT, [1]),
        ],
        [
            info("picture", TensorProto.UINT8, [1, "height", "width", 3]),
            info("norms_out", TensorProto.FLOAT, [2, CHANNELS]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    if card is not None:
        helper.set_model_props(model, card.to_props())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def photo_of(height: int, width: int) -> NDArray[np.uint8]:
    """Waves that get brighter to the lower right, so that no part has the mean of the whole; and a little noise."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = 40 * np.sin(x / 7) * np.cos(y / 11) + 150 * (x + y) / (height + width) + 30
    noise = np.random.default_rng(1).normal(scale=8, size=(height, width, 3))
    return np.rint((waves[..., None] + noise).clip(0, 255)).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "style.onnx"
    path.write_bytes(build())
    return path


@pytest.fixture
def stylizer(model: Path) -> Stylizer:
    return Stylizer(model, threads=2)


@pytest.fixture
def stylize(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `genface stylize`; gives its exit code, stdout and stderr."""
    app = new_app("test")
    cli_stylize.register(app)

    def run_stylize(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "genface", ["stylize", *map(str, arguments)])
        output = capfd.readouterr()
        return int(leave.value.code or 0), output.out, output.err

    return run_stylize


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


# Tiles


def test_the_result_does_not_depend_on_the_tiles(stylizer: Stylizer) -> None:
    """Within one level, on at most two values in a thousand: windows of other sizes may sum in another order."""
    photo = photo_of(150, THUMBNAIL + 91)
    weights = stylizer.weights(["waves"])
    whole = stylizer.stylize(photo, weights, tile=4096)
    assert np.abs(whole.astype(int) - photo).mean() > 10  # it does something
    for tile in (64, 130, 257):
        told: list[tuple[int, int]] = []
        pieces = stylizer.stylize(photo, weights, tile=tile, done=lambda *now, told=told: told.append(now))
        difference = np.abs(pieces.astype(int) - whole)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.002
        assert told[-1] == (len(told), len(told))
        assert len(told) > 2


def test_too_small_an_overlap_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "narrow.onnx"
    path.write_bytes(build(StyleCard(**{**vars(CARD), "margin": 1})))
    narrow = Stylizer(path)
    photo = photo_of(64, THUMBNAIL + 91)
    weights = narrow.weights(["1"])
    whole, pieces = (narrow.stylize(photo, weights, tile=tile).astype(int) for tile in (4096, 64))
    assert np.abs(whole - pieces).max() > 1


def test_norms_of_the_whole_photo_hold_the_tiles_together(stylizer: Stylizer) -> None:
    """A part that is drawn as a photo of its own comes out otherwise, since its means are others."""
    photo = photo_of(100, THUMBNAIL + 100)
    weights = stylizer.weights(["waves"])
    whole = stylizer.stylize(photo, weights, tile=100)
    alone = stylizer.stylize(photo[:, :100], weights)
    assert np.abs(whole[:, :90].astype(int) - alone[:, :90]).mean() > 3


def test_a_photo_just_over_one_piece_looks_like_one_just_under(stylizer: Stylizer) -> None:
    """The norms of a thumbnail that is hardly smaller are hardly others."""
    photo = photo_of(90, THUMBNAIL + 2)
    weights = stylizer.weights(["ash"])
    over = stylizer.stylize(photo, weights).astype(int)
    under = stylizer.stylize(np.ascontiguousarray(photo[:, :THUMBNAIL]), weights)
    assert np.abs(over[:, : THUMBNAIL - 8] - under[:, :-8]).mean() < 2


def test_threads_change_nothing(model: Path, stylizer: Stylizer) -> None:
    photo = photo_of(100, THUMBNAIL + 60)
    alone = Stylizer(model, threads=1)
    weights = alone.weights(["2"])
    np.testing.assert_array_equal(alone.stylize(photo, weights, tile=90), stylizer.stylize(photo, weights, tile=90))


@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (37, 8), (8, 2000), (65, 64)])
def test_any_size(stylizer: Stylizer, shape: tuple[int, int]) -> None:
    photo = photo_of(*shape)
    assert stylizer.stylize(photo, stylizer.weights(["1"])).shape == (*shape, 3)


# Weights


def test_strength_is_shared_with_the_photo(stylizer: Stylizer) -> None:
    photo = photo_of(30, 40)
    np.testing.assert_array_equal(stylizer.stylize(photo, stylizer.weights(["waves"], 0)), photo)
    np.testing.assert_array_equal(stylizer.stylize(photo, stylizer.weights(["0"])), photo)
    half, full = (stylizer.stylize(photo, stylizer.weights(["waves"], s)).astype(int) for s in (0.5, 1))
    assert 0 < np.abs(half - photo).mean() < np.abs(full - photo).mean()


@pytest.mark.parametrize(
    ("chosen", "strength", "weights"),
    [
        (["waves"], 1, [0, 1, 0, 0]),
        (["3"], 0.75, [0.25, 0, 0, 0.75]),
        (["0"], 0.5, [1, 0, 0, 0]),
        (["dots: red"], 1, [0, 0, 1, 0]),
        (["dots: red:0.25", "1:0.75"], 1, [0, 0.75, 0.25, 0]),
        (["1", "ash"], 0.5, [0.5, 0.25, 0, 0.25]),
        (["0:0.5", "ash:0.5"], 0.5, [0.75, 0, 0, 0.25]),
    ],
)
def test_weights_of_styles(chosen: list[str], strength: float, weights: list[float]) -> None:
    np.testing.assert_allclose(style_weights(STYLES, chosen, strength), weights)


@pytest.mark.parametrize(
    ("chosen", "strength", "message"),
    [
        (["sand"], 1, r"no style 'sand'; there are: 0 \(the photo itself\), 1 \(waves\), 2 \(dots: red\), 3 \(ash\)"),
        (["4"], 1, "no style '4'"),
        (["-1"], 1, "no style '-1'"),
        (["waves:much"], 1, "--style takes a style or STYLE:WEIGHT, e.g. waves:0.5, not 'waves:much'"),
        (["waves:0.5", "ash:0.6"], 1, "must sum to 1"),
        (["waves:1.5", "ash:-0.5"], 1, "not negative"),
        (["waves:0.5", "ash"], 1, "some have a weight"),
        (["waves", "1"], 1, "chosen twice"),
        ([], 1, "choose a style"),
        (["waves"], 1.1, r"strength must be from 0 \(the photo\) to 1 \(the style alone\), not 1.1"),
        (["waves"], float("nan"), "not nan"),
    ],
)
def test_choices_that_cannot_be(chosen: list[str], strength: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        style_weights(STYLES, chosen, strength)


# The file


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: build(None), "is no style file: its metadata has no genface.style"),
        (lambda: build(styles=2), "names 3 styles, its graph takes 3 weights"),
        (
            lambda: build(photo="image"),
            r"takes image: uint8 .*; a style file takes photo: uint8 \[1, height, width, 3\]",
        ),
        (lambda: b"nonsense", "ONNX Runtime cannot load it"),
        (lambda: build()[:-500], "ONNX Runtime cannot load it"),
        (lambda: b"", "is empty"),
    ],
)
def test_files_that_are_none(tmp_path: Path, data: Callable[[], bytes], message: str) -> None:
    path = tmp_path / "style.onnx"
    path.write_bytes(data())
    with pytest.raises(UserError, match=rf"style\.onnx: .*{message}"):
        Stylizer(path)


def test_a_generator_is_no_style_file(tiny: Path) -> None:
    with pytest.raises(UserError, match="a style file takes photo"):
        Stylizer(tiny)


def test_the_card_comes_back() -> None:
    assert StyleCard.from_props(CARD.to_props()) == CARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"styles": []}, "not names that differ"),
        ({"styles": ["a", "a"]}, "not names that differ"),
        ({"styles": ["a", 1]}, "not names that differ"),
        ({"margin": 0}, "its 'margin' is 0, not from 1"),
        ({"stride": "2"}, "its 'stride' is '2', not a whole number"),
        ({"format_version": 2}, "newer than 1: update genface"),
    ],
)
def test_a_damaged_card(change: dict[str, Any], message: str) -> None:
    record = json.loads(CARD.to_props()[KEY]) | change
    with pytest.raises(UserError, match=message):
        StyleCard.from_props({KEY: json.dumps(record)})
    for text in ("{", "[]", '{"a": Infinity}'):
        with pytest.raises(UserError, match="its metadata is damaged"):
            StyleCard.from_props({KEY: text})


# The command


def test_a_photo_in_a_style(stylize: Run, stylizer: Stylizer, model: Path, tmp_path: Path) -> None:
    photo, out = tmp_path / "ann.png", tmp_path / "p.png"
    Image.fromarray(photo_of(24, 36)).save(photo)
    code, stdout, stderr = stylize(photo, "--model", model, "--style", "waves", "--strength", 0.8, "--out", out)
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"{out}: 36x24 px, style 0 0.2, waves 0.8 (")
    expected = stylizer.stylize(photo_of(24, 36), stylizer.weights(["1"], 0.8))
    np.testing.assert_array_equal(pixels(out), expected)
    assert is_marked(out.read_bytes())
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "genface:photos_sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
        "genface:styles": '{"0": "0.2", "waves": "0.8"}',
    }


@pytest.mark.parametrize("ending", ["png", "webp", "jpg", "JPEG"])
def test_the_ending_chooses_the_format(stylize: Run, model: Path, tmp_path: Path, ending: str) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / f"p.{ending}"
    Image.fromarray(photo_of(24, 36)).save(photo)
    styles = ["--style", "1:0.5", "--style", "ash:0.5"]
    assert stylize(photo, "--model", model, *styles, "--out", out)[0] == 0
    with Image.open(out) as opened:
        assert (opened.format, opened.size) == ({"png": "PNG", "webp": "WEBP"}.get(ending, "JPEG"), (36, 24))
    assert is_marked(out.read_bytes())


def _turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo_of(24, 36))).save(path, exif=exif)


GOOD: dict[str, tuple[Callable[[Path], None], NDArray[np.uint8]]] = {
    "gray.png": (
        lambda path: Image.fromarray(photo_of(24, 36)[..., 0]).save(path),
        photo_of(24, 36)[..., :1].repeat(3, axis=2),
    ),
    "cmyk.tif": (
        lambda path: Image.new("CMYK", (36, 24), (0, 0, 0, 178)).save(path),
        np.full((24, 36, 3), 77, np.uint8),
    ),
    "alpha.png": (
        lambda path: Image.new("RGBA", (36, 24), (9, 9, 9, 0)).save(path),
        np.full((24, 36, 3), 255, np.uint8),
    ),
    "turned.png": (_turned, photo_of(24, 36)),
}


@pytest.mark.parametrize("name", GOOD)
def test_photos_of_every_kind(stylize: Run, model: Path, tmp_path: Path, name: str) -> None:
    make, expected = GOOD[name]
    make(tmp_path / name)
    out = tmp_path / "p.png"
    assert stylize(tmp_path / name, "--model", model, "--style", 0, "--out", out)[0] == 0
    np.testing.assert_array_equal(pixels(out), expected)  # style 0 is the photo itself


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.png": (lambda path: path.write_text("a face"), "not a picture that Pillow can read"),
    "pixel.png": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1: sides must be 8 to"),
    "huge.png": (lambda path: Image.new("1", (10_000, 10_000)).save(path), "declares more than"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "missing.png": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_photos_that_are_none(stylize: Run, model: Path, tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    code, stdout, stderr = stylize(tmp_path / name, "--model", model, "--style", 1, "--out", tmp_path / "p.png")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"genface: error: {tmp_path / name}: ")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "sand"], "no style 'sand'"),
        (["--style", 1, "--strength", 2], "strength must be from 0"),
        (["--style", 1, "--tile", 9], "a tile of 9 px has no inside"),
        (["--style", 1, "--tile", 0], "a tile of 0 px has no inside"),
        (["--style", 1, "--threads", -1], "threads must be from 1"),
        (["--style", 1, "--provider", "abacus"], "no provider 'abacus'"),
        (["--style", 1, "--out", "p.gif"], "pictures are written as"),
        ([], "--style"),
    ],
)
def test_options_that_cannot_be(
    stylize: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo_of(16, THUMBNAIL + 8)).save("photo.png")
    before = sorted(tmp_path.iterdir())
    code, stdout, stderr = stylize("photo.png", "--model", model, *options)
    assert (code, stdout) == (2, "")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before

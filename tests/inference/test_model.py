from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto as T

import genface
from genface.draw import DrawConfig, manifest
from genface.errors import UserError
from genface.latents import latents
from genface.model import Generator
from genface.photos import Preparation
from genface.providers import find_provider

SaveVariant = Callable[..., Path]


def test_draw_gives_rgb_pictures(generator: Generator) -> None:
    pictures = generator.draw(seed=0, indices=range(40))
    assert pictures.shape == (40, 16, 16, 3)
    assert pictures.dtype == np.uint8
    assert pictures.std() > 0.2 * 127.5  # blotches, not gray: the other tests would see differences


def test_the_graph_is_computed_as_written(generator: Generator, tiny: Path) -> None:
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(tiny).graph.initializer}
    z = latents(3, range(20), 8)
    hidden = (z @ weights["linear"]).reshape(20, 8, 4, 4)
    # A transposed convolution whose stride is its kernel size places one scaled kernel per input pixel.
    picture = np.tanh(np.einsum("nihw,iokl->nhkwlo", hidden, weights["up"]).reshape(20, 16, 16, 3))
    levels = generator.draw(seed=3, indices=range(20)).astype(np.float64)
    # Half a level for rounding, and a little for the order of additions in float32.
    assert np.abs(levels - (picture * 127.5 + 127.5)).max() <= 0.501


def test_a_picture_does_not_depend_on_its_company(generator: Generator) -> None:
    together = generator.draw(seed=5, indices=range(50))
    alone = np.concatenate([generator.draw(seed=5, indices=[index]) for index in range(50)])
    shuffled = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[shuffled], generator.draw(seed=5, indices=shuffled))


def test_threads_may_share_a_generator(generator: Generator) -> None:
    def draw(start: int) -> NDArray[np.uint8]:
        return generator.draw(seed=1, indices=range(start, start + 20))

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(draw, range(0, 400, 20)))
    np.testing.assert_array_equal(np.concatenate(parts), generator.draw(seed=1, indices=range(400)))


@pytest.fixture(params=["fp32", "bf16"])
def on_openvino(tiny: Path, request: pytest.FixtureRequest) -> Generator:
    """The tiny generator on the OpenVINO plugin, in either precision, where this machine has it."""
    try:
        find_provider("openvino", request.param)
    except UserError as error:
        pytest.skip(str(error))
    return Generator(tiny, provider="openvino", precision=request.param)


@pytest.mark.parametrize("size", [1, 3, 7, 16, 64])
def test_on_openvino_a_picture_does_not_depend_on_its_company_or_on_threads(on_openvino: Generator, size: int) -> None:
    def draw(start: int) -> NDArray[np.uint8]:
        return on_openvino.draw(seed=5, indices=range(start, min(start + size, 100)))

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(draw, range(0, 100, size)))
    np.testing.assert_array_equal(np.concatenate(parts), on_openvino.draw(seed=5, indices=range(100)))


def test_openvino_draws_what_the_default_provider_draws(on_openvino: Generator, generator: Generator) -> None:
    pictures = on_openvino.draw(seed=0, indices=range(64)).astype(int)
    differences = np.abs(pictures - generator.draw(seed=0, indices=range(64)))
    if on_openvino.info.provider.precision == "fp32":
        assert differences.max() <= 1
        assert (differences == 0).mean() >= 0.999
    else:
        # 8 binary digits in two layers: 3 levels and 84 % were measured; and other pictures than fp32's prove bf16.
        assert differences.max() <= 12
        assert 0.5 <= (differences == 0).mean() <= 0.99


def test_openvino_says_in_which_precision_it_ran(on_openvino: Generator, save_variant: SaveVariant) -> None:
    """It runs transposed convolutions in fp32 whatever is asked for, and the dense layer of `tiny` in bf16."""
    path = save_variant()
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    (dense,) = [node for node in model.graph.node if node.op_type == "MatMul"]
    dense.op_type, dense.input[1] = "Mul", "unit"  # the 8 numbers of the latent, halved, as 8 channels of 1x1
    weights["square_shape"].CopyFrom(onnx.numpy_helper.from_array(np.array([-1, 8, 1, 1]), "square_shape"))
    kernel = onnx.numpy_helper.to_array(weights["up"]).repeat(4, axis=2).repeat(4, axis=3)
    weights["up"].CopyFrom(onnx.numpy_helper.from_array(kernel, "up"))
    onnx.save(model, path)
    asked = on_openvino.info.provider.precision
    assert Generator(path, provider="openvino", precision=asked).info.provider.precision == "fp32"


def test_a_precision_that_changes_nothing_is_not_recorded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a provider that takes bf16 for a wish."""
    cpu = find_provider("cpu")
    monkeypatch.setattr(
        "genface.opening.find_provider", lambda name, precision="fp32": replace(cpu, precision=precision)
    )
    generator = Generator(tiny, precision="bf16")
    assert generator.info.provider.precision == "fp32"
    assert manifest(generator, DrawConfig(n=1))["precision"] == "fp32"


def test_no_pictures(generator: Generator) -> None:
    assert generator.draw(seed=0, indices=[]).shape == (0, 16, 16, 3)


def test_truncation_brings_pictures_together(generator: Generator) -> None:
    free, cut = (generator.draw(seed=0, indices=range(64), truncation=t).std(axis=0).mean() for t in (None, 0.3))
    assert cut < 0.5 * free


def test_latents_of_the_wrong_shape(generator: Generator) -> None:
    with pytest.raises(UserError, match=r"tiny\.onnx takes latents of shape \[N, 8\], not \[2, 9\]"):
        generator.from_latents(np.zeros((2, 9), dtype=np.float32))


def test_info_tells_what_the_file_is(generator: Generator, tiny_maker: dict[str, Any]) -> None:
    info = generator.info
    assert (info.z_dim, info.height, info.width, info.value_range) == (8, 16, 16, "0 to 255")
    assert info.card == tiny_maker["CARD"]
    assert info.preparation == info.card.preparation
    assert info.size_bytes == info.path.stat().st_size
    assert info.provider.name == "cpu"


def test_the_committed_file_is_what_its_script_makes(generator: Generator, save_variant: SaveVariant) -> None:
    # Bytes may differ between versions of onnx; pictures and metadata may not.
    again = Generator(save_variant())
    np.testing.assert_array_equal(generator.draw(seed=0, indices=range(8)), again.draw(seed=0, indices=range(8)))
    assert again.info.metadata == generator.info.metadata


def test_the_package_offers_the_generator(tiny: Path) -> None:
    assert genface.Generator is Generator
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        genface.Nothing  # noqa: B018


@pytest.mark.parametrize("form", ["uint8 NCHW", "float -1 to 1", "float 0 to 1", "float NHWC", "half"])
@pytest.mark.parametrize("latent_tail", [(8,), (8, 1, 1)])
@pytest.mark.parametrize("batch", ["N", 5, 1])
def test_a_strangers_generator_draws_the_same_pictures(
    generator: Generator, save_variant: SaveVariant, form: str, latent_tail: tuple[int, ...], batch: int | str
) -> None:
    stranger = Generator(save_variant(form, card=None, latent_tail=latent_tail, batch=batch))
    ours = generator.draw(seed=0, indices=range(21)).astype(int)
    # The same network by another way out: at most the rounding of a tie apart; float16 keeps 11 digits, 8 are needed.
    assert np.abs(stranger.draw(seed=0, indices=range(21)) - ours).max() <= 1
    assert stranger.info.card is None
    assert stranger.info.preparation is None
    assert stranger.block == (16 if batch == "N" else batch)


@pytest.mark.parametrize("latent_type", [T.FLOAT16, T.DOUBLE])
def test_latents_of_other_types(generator: Generator, save_variant: SaveVariant, latent_type: int) -> None:
    stranger = Generator(save_variant(latent_type=latent_type))
    differences = stranger.draw(seed=0, indices=range(21)).astype(int) - generator.draw(seed=0, indices=range(21))
    # A latent rounded to 11 digits moves a layer's sums by up to 0.05 %, 127.5 levels by a fraction of one.
    assert np.abs(differences).max() <= (1 if latent_type == T.FLOAT16 else 0)


def test_gray_pictures_become_rgb(generator: Generator, save_variant: SaveVariant) -> None:
    red = generator.draw(seed=0, indices=range(20))[..., :1].astype(int)
    for form in ("float gray", "float gray NHWC"):
        gray = Generator(save_variant(form, card=None))
        assert gray.info.contract.channels == 1
        assert np.abs(gray.draw(seed=0, indices=range(20)) - red).max() <= 1  # red in all three channels


def test_pictures_that_are_not_square(generator: Generator, save_variant: SaveVariant) -> None:
    wide = Generator(save_variant("float wide", card=None))
    assert (wide.info.height, wide.info.width, wide.info.contract.size) == (16, 32, (16, 32))
    ours = generator.draw(seed=0, indices=range(20)).astype(int)
    assert np.abs(wide.draw(seed=0, indices=range(20)) - np.concatenate([ours, ours], axis=2)).max() <= 1


def test_a_range_that_is_said(generator: Generator, save_variant: SaveVariant) -> None:
    ours = generator.draw(seed=0, indices=range(20)).astype(int)
    said = Generator(save_variant("float 0 to 255", card=None), value_range="0:255")
    assert said.info.value_range == "0 to 255"
    assert np.abs(said.draw(seed=0, indices=range(20)) - ours).max() <= 1
    # What is said goes before what is measured.
    overridden = Generator(save_variant("float -1 to 1", card=None), value_range="0:1")
    assert (overridden.draw(seed=0, indices=range(20)) == 0).mean() > 0.3


@pytest.mark.parametrize(
    ("kind", "value"),
    [(T.FLOAT, 0.5), (T.FLOAT16, 0.5), (T.DOUBLE, 0.5), (T.INT32, 1), (T.INT64, -1), (T.BOOL, 1)],
)
@pytest.mark.parametrize("shape", [[], [1], ["N"], ["N", 1]])
def test_a_further_scalar_input(
    generator: Generator, save_variant: SaveVariant, kind: int, value: float, shape: list[int | str]
) -> None:
    """It is added to the latent, so the pictures are those of latents with the value added."""
    path = save_variant(card=None, scalars={"psi": (kind, shape)})
    with pytest.raises(UserError, match=r"needs a value for its input psi.*--input psi=VALUE"):
        Generator(path)
    stranger = Generator(path, inputs={"psi": value})
    z = latents(0, range(21), 8)
    np.testing.assert_array_equal(stranger.from_latents(z), generator.from_latents(z + np.float32(value)))
    assert dict(stranger.info.inputs) == {"psi": value}


def test_a_scalar_input_with_a_default(generator: Generator, save_variant: SaveVariant) -> None:
    path = save_variant(card=None, scalars={"psi": (T.FLOAT, []), "phi": (T.FLOAT, [1])}, defaults={"psi": 0.25})
    z = latents(0, range(21), 8)
    left_out = Generator(path, inputs={"phi": 0})
    np.testing.assert_array_equal(left_out.from_latents(z), generator.from_latents(z + np.float32(0.25)))
    given = Generator(path, inputs={"phi": 0.5, "psi": -0.5})
    np.testing.assert_array_equal(given.from_latents(z), generator.from_latents(z))
    assert left_out.info.inputs == {"phi": 0}
    assert given.info.inputs == {"phi": 0.5, "psi": -0.5}


def test_a_latent_whose_length_is_open_is_measured(generator: Generator, save_variant: SaveVariant) -> None:
    for tail in (("C",), ("C", 1, 1)):
        stranger = Generator(save_variant(card=None, latent_tail=tail))
        assert stranger.info.contract.latent_shape == (8, *tail[1:])
        np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_a_latent_of_any_length_is_asked_for(save_variant: SaveVariant) -> None:
    path = save_variant(card=None, latent_tail=("C",), pooled=True)
    with pytest.raises(
        UserError, match=r"how long its latent z is, and takes 1 and 2 numbers alike: say it by --z-dim"
    ):
        Generator(path)
    assert Generator(path, z_dim=5).info.z_dim == 5
    with pytest.raises(UserError, match="gave 14 pictures for 16 latents"):
        Generator(save_variant(card=None, latent_tail=("C",)), z_dim=7)


def test_an_output_without_sides_is_measured(generator: Generator, save_variant: SaveVariant) -> None:
    stranger = Generator(save_variant(card=None, open_output=True))
    assert stranger.info.contract.picture_shape == (16, 16, 3)
    np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_the_only_output_that_can_be_pictures_is_taken(generator: Generator, save_variant: SaveVariant) -> None:
    stranger = Generator(save_variant(card=None, extra_output=True))
    contract = stranger.info.contract
    assert (contract.output_name, contract.unused_outputs) == ("images", ("h1",))
    np.testing.assert_array_equal(stranger.draw(seed=0, indices=range(9)), generator.draw(seed=0, indices=range(9)))


def test_one_of_several_outputs_by_name(generator: Generator, save_variant: SaveVariant) -> None:
    path = save_variant("float -1 to 1", card=None, second_pictures=True)
    with pytest.raises(UserError, match=r"several outputs that may be .*: say which by --output images or mask"):
        Generator(path)
    ours = generator.draw(seed=0, indices=range(9)).astype(int)
    for name, expected in (("images", ours), ("mask", ours[..., :1])):
        chosen = Generator(path, output=name)
        assert chosen.info.contract.output_name == name
        assert np.abs(chosen.draw(seed=0, indices=range(9)) - expected).max() <= 1


def test_one_of_several_latents_by_name(save_variant: SaveVariant) -> None:
    path = save_variant(card=None, second_latent=True)
    with pytest.raises(UserError, match=r"several inputs that may be .*: say which by --latent z or w"):
        Generator(path)
    with pytest.raises(UserError, match=r"takes w: float \[N, 8\] beside the latent"):
        Generator(path, latent="z")


@pytest.mark.parametrize(
    ("form", "options", "answers", "message"),
    [
        ("float 0 to 255", {}, {}, r"values from .* to 255; genface knows .*--range"),
        ("float flat", {}, {}, r"values from -0\.01 to 0\.01"),
        ("float four", {}, {}, r"gives images: float \[N, 4, 16, 16\]; pictures are"),
        ("uint8 NHWC", {"extra_input": True}, {}, r"needs a value for its input psi: float \[\]"),
        ("uint8 NHWC", {"extra_input": True}, {"inputs": {"phi": 1}}, r"no further input 'phi'; it has: psi"),
        ("uint8 NHWC", {}, {"output": "mask"}, r"no output 'mask'; it gives images: uint8 \[N, 16, 16, 3\]"),
        ("uint8 NHWC", {}, {"value_range": "0:1"}, "gives uint8 pictures, whose range is 0:255, not 0:1"),
        ("uint8 NHWC", {}, {"z_dim": 9}, "takes latents of 8 numbers"),
        ("uint8 NHWC", {"latent_tail": (2, 2, 2)}, {}, r"z: float \[N, 2, 2, 2\]; a latent is"),
        ("uint8 NHWC", {"latent_type": T.INT64}, {}, r"z: int64 \[N, 8\]"),
    ],
)
def test_what_cannot_be_inferred_is_said(
    save_variant: SaveVariant, form: str, options: dict[str, Any], answers: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"variant\.onnx: .*{message}"):
        Generator(save_variant(form, card=None, **options), **answers)


@pytest.mark.parametrize("n", [0, 1, 16, 50])
@pytest.mark.parametrize("size", [None, 1, 7, 16, 33, 100])
def test_batches_are_what_draw_gives(generator: Generator, n: int, size: int | None) -> None:
    batches = list(generator.batches(n, seed=3, truncation=0.8, size=size))
    sizes = [len(batch) for batch in batches]
    assert sizes == [min(size or 16, n - start) for start in range(0, n, size or 16)]
    together = np.concatenate([np.empty((0, 16, 16, 3), dtype=np.uint8), *batches])
    np.testing.assert_array_equal(together, generator.draw(seed=3, indices=range(n), truncation=0.8))


def test_batches_are_drawn_when_they_are_read(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = Generator.draw

    def noted(self: Generator, **options: Any) -> NDArray[np.uint8]:
        drawn.append(options["indices"])
        return draw(self, **options)

    monkeypatch.setattr(Generator, "draw", noted)
    monkeypatch.setattr("genface.model.usable_cores", lambda: 2)
    batches = generator.batches(100_000)
    assert drawn == []
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert 1 <= len(drawn) <= 20  # 8 blocks a worker ahead, and some that began before the iterator was closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("draw")]


@pytest.mark.parametrize("options", [{"n": -1}, {"n": 1, "size": 0}, {"n": 1, "seed": -1}, {"n": 1, "truncation": 0.0}])
def test_batches_refuse_at_once(generator: Generator, options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        generator.batches(**options)


def test_more_pictures_than_memory_holds(generator: Generator) -> None:
    with pytest.raises(UserError, match=r"tiny\.onnx: .* pictures of 16x16 px do not fit .*Generator\.batches"):
        next(generator.batches(1 << 50, size=1 << 50))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A graph of one-coloured pictures [N, k, k * 8, 8], where k is a further input."""
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("ReduceMean", ["z", "one"], ["mean"], keepdims=1),
        make("Reshape", ["mean", "pixel"], ["pixels"]),
        make("Mul", ["k", "eight"], ["height"]),
        make("Concat", ["one", "k", "height", "eight"], ["sides"], axis=0),
        make("Expand", ["pixels", "sides"], ["images"]),
    ]
    tensors = {"one": [1], "pixel": [-1, 1, 1, 1], "eight": [8]}
    graph = onnx.helper.make_graph(
        nodes,
        "plain",
        [info("z", T.FLOAT, ["N", 4]), info("k", T.INT64, [1])],
        [info("images", T.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array(value), name) for name, value in tensors.items()],
    )
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def test_shapes_that_show_when_it_runs(plain: Path) -> None:
    colour = Generator(plain, inputs={"k": 3}, value_range="-1:1")
    assert colour.info.contract.picture_shape == (3, 24, 8)
    with pytest.raises(UserError, match=r"gives no pictures: images of shape \[16, 4, 32, 8\]"):
        Generator(plain, inputs={"k": 4})


def test_memory_that_runs_out_while_drawing(plain: Path) -> None:
    """2^53 numbers a picture, more than a process can address."""
    with pytest.raises(UserError, match=r"gen\.onnx: out of memory while drawing .*fewer threads"):
        Generator(plain, inputs={"k": 1 << 25})


def test_a_block_beyond_all_measure(save_variant: SaveVariant) -> None:
    with pytest.raises(UserError, match="takes 1,099,511,627,776 latents of 8 numbers at a time"):
        Generator(save_variant(card=None, batch=1 << 40))
    with pytest.raises(UserError, match="takes 16 latents of 1,099,511,627,776 numbers at a time"):
        Generator(save_variant(card=None, latent_tail=("C",)), z_dim=1 << 40)


@pytest.mark.parametrize("name", [b"images", b"psi_name", b"C_name"])
def test_names_that_are_no_text(save_variant: SaveVariant, name: bytes) -> None:
    path = save_variant(card=None, latent_tail=("C_name",), scalars={"psi_name": (T.FLOAT, [])})
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    with pytest.raises(UserError, match=r"variant\.onnx: is damaged: it names an input or output by bytes"):
        Generator(path, inputs={"psi_name": 0})


@pytest.mark.parametrize("change", [{"z_dim": 9}, {"resolution": 32}, {"preparation": Preparation(size=32)}])
def test_metadata_that_contradicts_the_graph(
    save_variant: SaveVariant, tiny_maker: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"metadata says .*export it again"):
        Generator(save_variant(card=replace(tiny_maker["CARD"], **change)))


def test_metadata_that_is_no_text(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "gen.onnx"
    graph = tiny.read_bytes()
    assert graph.count(b"none, random weights") == 1
    path.write_bytes(graph.replace(b"none, random weights", b"n\xffne, random weights"))
    with pytest.raises(UserError, match=r"gen\.onnx: its metadata is damaged: .*not UTF-8"):
        Generator(path)


def test_values_that_are_not_finite(save_variant: SaveVariant) -> None:
    path = save_variant("float -1 to 1", card=None)
    model = onnx.load(path)
    (up,) = (tensor for tensor in model.graph.initializer if tensor.name == "up")
    up.CopyFrom(onnx.numpy_helper.from_array(np.full((8, 3, 4, 4), np.nan, dtype=np.float32), "up"))
    onnx.save(model, path)
    with pytest.raises(UserError, match="not finite"):
        Generator(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, I am no model\n" * 20, "ONNX Runtime cannot load it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "ONNX Runtime cannot load it"),
        (b"PK\x03\x04" + bytes(100), "exportface"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "gen.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"gen\.onnx: .*{message}"):
        Generator(path)


@pytest.mark.parametrize("keep", [1, 100, 3000, -1])
def test_a_truncated_model(tiny: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "gen.onnx"
    path.write_bytes(tiny.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"gen\.onnx: "):
        Generator(path)


def test_missing_model_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Generator(tmp_path / "gen.onnx")
    with pytest.raises(UserError, match="is a folder"):
        Generator(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gen.onnx")
    with pytest.raises(UserError, match="not a regular file"):
        Generator(tmp_path / "gen.onnx")


@pytest.mark.parametrize("per_tensor", [False, True])
def test_weights_in_another_file_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_tensor: bool
) -> None:
    place = {"all_tensors_to_one_file": not per_tensor, "location": None if per_tensor else "weights/gen.data"}
    (tmp_path / "weights").mkdir()
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.load(tiny), path, save_as_external_data=True, size_threshold=1000, **place)
    monkeypatch.chdir(tmp_path)
    beside = "linear" if per_tensor else "weights/gen.data"
    with pytest.raises(UserError, match=rf"a file of their own, '{beside}'.*; genface takes one file: join") as raised:
        Generator("gen.onnx")
    exec(str(raised.value).split(" by ", 1)[1], {"onnx": onnx})  # what the message tells to do
    assert Generator("gen-whole.onnx").info.width == 16
    (tmp_path / beside).unlink()
    with pytest.raises(UserError, match=rf"'{beside}' is missing beside it"):
        Generator("gen.onnx")


def test_metadata_that_speaks_of_a_location(generator: Generator, tiny: Path, tmp_path: Path) -> None:
    """It is written like the place of a tensor's data, but for one byte."""
    model = onnx.load(tiny)
    onnx.helper.set_model_props(model, {**generator.info.metadata, "location": "gen.data"})
    onnx.save(model, tmp_path / "gen.onnx")
    assert Generator(tmp_path / "gen.onnx").info.metadata["location"] == "gen.data"

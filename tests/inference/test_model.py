from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

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
    monkeypatch.setattr("genface.model.find_provider", lambda name, precision="fp32": replace(cpu, precision=precision))
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


@pytest.mark.parametrize("form", ["uint8 NCHW", "float -1 to 1", "float 0 to 1"])
@pytest.mark.parametrize("latent_tail", [(8,), (8, 1, 1)])
@pytest.mark.parametrize("batch", ["N", 5, 1])
def test_a_strangers_generator_draws_the_same_pictures(
    generator: Generator, save_variant: SaveVariant, form: str, latent_tail: tuple[int, ...], batch: int | str
) -> None:
    stranger = Generator(save_variant(form, card=None, latent_tail=latent_tail, batch=batch))
    ours = generator.draw(seed=0, indices=range(21)).astype(int)
    # The same network by another way out: at most the rounding of a tie apart.
    assert np.abs(stranger.draw(seed=0, indices=range(21)) - ours).max() <= 1
    assert stranger.info.card is None
    assert stranger.info.preparation is None
    assert stranger.block == (16 if batch == "N" else batch)


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("float 0 to 255", {}, r"values from .* to 255; genface knows"),
        ("float flat", {}, r"values from -0\.01 to 0\.01"),
        ("float gray", {}, r"float \[N, 1, 16, 16\]"),
        ("uint8 NHWC", {"extra_input": True}, r"2 inputs \(z: float \[N, 8\], psi: float \[\]\)"),
        ("uint8 NHWC", {"extra_output": True}, "2 outputs"),
        ("uint8 NHWC", {"latent_tail": (2, 2, 2)}, r"z: float \[N, 2, 2, 2\]; a latent is"),
        ("uint8 NHWC", {"latent_tail": ("C",)}, r"z: float \[N, C\]; a latent is"),
        ("uint8 NHWC", {"latent_type": onnx.TensorProto.DOUBLE}, r"z: double \[N, 8\]"),
    ],
)
def test_what_cannot_be_inferred_is_said(
    save_variant: SaveVariant, form: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"variant\.onnx: .*{message}"):
        Generator(save_variant(form, card=None, **options))


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


def test_weights_in_another_file_are_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(
        onnx.load(tiny), tmp_path / "gen.onnx", save_as_external_data=True, location="gen.data", size_threshold=1000
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="file of their own"):
        Generator("gen.onnx")

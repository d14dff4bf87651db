"""Drawing from the program's own generators: the same picture in any company, and a file that tells what it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import genface
from genface.errors import UserError
from genface.latents import latents
from genface.model import Generator

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


def test_metadata_that_speaks_of_a_location(generator: Generator, tiny: Path, tmp_path: Path) -> None:
    """It is written like the place of a tensor's data, but for one byte."""
    model = onnx.load(tiny)
    onnx.helper.set_model_props(model, {**generator.info.metadata, "location": "gen.data"})
    onnx.save(model, tmp_path / "gen.onnx")
    assert Generator(tmp_path / "gen.onnx").info.metadata["location"] == "gen.data"


def test_the_committed_file_is_what_its_script_makes(generator: Generator, save_variant: SaveVariant) -> None:
    # Bytes may differ between versions of onnx; pictures and metadata may not.
    again = Generator(save_variant())
    np.testing.assert_array_equal(generator.draw(seed=0, indices=range(8)), again.draw(seed=0, indices=range(8)))
    assert again.info.metadata == generator.info.metadata


def test_the_package_offers_the_generator(tiny: Path) -> None:
    assert genface.Generator is Generator
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        genface.Nothing  # noqa: B018


# Batches


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

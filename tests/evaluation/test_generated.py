"""A generator as the fake side: the pictures of its archive, without the archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evalface.extractors.base import Extractor
from evalface.extractors.pixels import Pixels
from evalface.features import side_features
from evalface.generated import DrawnPictures
from evalface.images import Pictures, Side
from evalface.inputs import align, open_side
from genface.draw import DrawConfig, draw_archive
from genface.errors import UserError
from genface.model import Generator
from genface.photos import Preparation

TINY = Path(__file__).parents[1] / "inference" / "tiny.onnx"
N = 50


class Sums(Extractor):
    """Cached; counts what it was shown."""

    name = "sums"
    title = "sums"
    version = 1
    protocol = "none"
    weights_sha256 = None

    def __init__(self) -> None:
        self.seen = 0

    def features(self, block: np.ndarray) -> NDArray[np.float32]:
        self.seen += len(block)
        sums: NDArray[np.float32] = block.sum(axis=(1, 2), dtype=np.float32)
        return sums


def drawn(model: Path = TINY, n: int | None = N, seed: int = 3, **options: Any) -> Pictures:
    source = open_side(model, role="fake", n=n, seed=seed, provider="cpu", **options)
    assert isinstance(source, Pictures)
    return source


def as_it_is(source: Pictures) -> Side:
    return Side(source=source, size=16, preparation=None)


@pytest.mark.parametrize("truncation", [None, 0.7])
def test_they_are_the_archives_pictures(truncation: float | None, tmp_path: Path) -> None:
    """Bit for bit, and told in the same words."""
    generator = Generator(TINY)
    draw_archive(generator, DrawConfig(n=N, seed=3, truncation=truncation), tmp_path / "fake.zip")
    with open_side(tmp_path / "fake.zip", role="fake") as archive, drawn(truncation=truncation) as made:
        assert isinstance(archive, Pictures)
        assert list(made.names) == list(archive.names)
        assert made.manifest == archive.manifest
        assert made.record == archive.record == Preparation(size=16)
        values = [
            side_features(as_it_is(source), [Pixels(), Sums()], "fail", "fake", show_progress=False).values
            for source in (archive, made)
        ]
    assert np.array_equal(values[0]["pixels"], values[1]["pixels"])
    assert np.array_equal(values[0]["sums"], values[1]["sums"])


def test_any_pictures_in_any_order() -> None:
    source = drawn()
    every = [face.pixels for face in source.faces(None)]
    for index, face in zip([49, 0, 17, 17], source.faces(None, [49, 0, 17, 17]), strict=True):
        assert face.name == f"{index:06d}.png"
        np.testing.assert_array_equal(face.pixels, every[index])


def test_more_pictures_cost_only_what_is_new() -> None:
    """Picture i is the same however many are drawn, so n is no part of its key."""
    sums = Sums()

    def seen_of(source: Pictures) -> int:
        before = sums.seen
        side_features(as_it_is(source), [sums], "fail", "fake", show_progress=False)
        return sums.seen - before

    assert seen_of(drawn(n=30)) == 30
    assert seen_of(drawn(n=30)) == 0
    assert seen_of(drawn(n=50)) == 20
    assert seen_of(drawn(n=30, seed=4)) == 30
    assert seen_of(drawn(n=30, truncation=1.0)) == 30


def test_another_model_is_another_key(tmp_path: Path) -> None:
    other = Path(shutil.copy(TINY, tmp_path / "gen.onnx"))
    assert drawn().survey.sha256 == drawn(other).survey.sha256
    data = TINY.read_bytes()
    (tmp_path / "gen.onnx").write_bytes(data.replace(b"none, random weights", b"none, random_weights"))
    assert drawn().survey.sha256 != drawn(other).survey.sha256


def test_the_card_prepares_the_reals(make_folder: Callable[..., Path]) -> None:
    with open_side(make_folder("real", size=40), role="real") as real, drawn() as fake:
        real_side, fake_side, said = align(real, fake, None)
    assert isinstance(real_side, Side)
    assert isinstance(fake_side, Side)
    assert real_side.preparation == Preparation(size=16)
    assert fake_side.preparation is None
    assert said.startswith(f"real pictures are prepared as the metadata of {TINY} says")


def test_a_strangers_generator_is_prepared_by_size(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    import onnx

    model = onnx.load(TINY)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "gen.onnx")
    with open_side(make_folder("real", size=40), role="real") as real, drawn(tmp_path / "gen.onnx") as fake:
        assert isinstance(fake, DrawnPictures)
        assert align(real, fake, None)[0].record == Preparation(size=16)
        _, side, _ = align(real, fake, 8)
        assert isinstance(side, Side)
        assert all(face.pixels is not None and face.pixels.shape == (8, 8, 3) for face in side.faces())


def test_what_is_no_generators_side() -> None:
    with pytest.raises(UserError, match=r"tiny\.onnx: real faces are pictures or statistics"):
        open_side(TINY, role="real", n=5)
    with pytest.raises(UserError, match="a score is of one generator"):
        open_side([TINY, TINY], role="fake", n=5)
    with pytest.raises(UserError, match="n must be at least 1"):
        drawn(n=0)
    with pytest.raises(UserError, match="truncation must be a number above 0"):
        drawn(truncation=-1.0)
    assert len(drawn(n=None)) == 10_000

"""benchmarks/bench_coverage.py and its classifier: what is counted, on sets whose coverage is known."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from genface.errors import UserError
from trainface.cartoons import PROBABILITIES, attributes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("bench_coverage")


@pytest.fixture(scope="module")
def reader(bench: ModuleType) -> ModuleType:
    return sys.modules["attribute_classifier"]


@pytest.fixture(scope="module")
def counting(bench: ModuleType) -> ModuleType:
    return sys.modules["attribute_coverage"]


@pytest.fixture(scope="module")
def truth(reader: ModuleType) -> NDArray[np.float32]:
    """The true attributes of 4,000 faces as if a perfect classifier had read them, float32 [4000, NUM_VALUES]."""
    rows = np.zeros((4000, reader.NUM_VALUES), np.float32)
    for row, index in zip(rows, range(len(rows)), strict=True):
        face = attributes(5, index)
        for (name, columns), values in zip(reader.head_columns().items(), PROBABILITIES.values(), strict=True):
            row[columns][list(values).index(getattr(face, name))] = 1.0
    return rows


@pytest.fixture(scope="module")
def classifier(reader: ModuleType) -> object:
    """Hardly trained: enough to tell one background from another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trained = reader.train_classifier(16, num_train=512, num_test=128, epochs=4)
    torch.set_num_threads(threads)
    return trained


def test_a_set_covers_itself(counting: ModuleType, truth: NDArray[np.float32]) -> None:
    result = counting.measure(truth, truth)
    assert (result.values, result.pairs, result.confident) == (1.0, 1.0, 1.0)
    assert result.total_variation == 0.0
    assert result.entropy_ratio == pytest.approx(1.0)
    assert result.missing == ()


def test_another_draw_of_the_same_faces_covers_nearly_everything(
    counting: ModuleType, truth: NDArray[np.float32]
) -> None:
    result = counting.measure(truth[:2000], truth[2000:])
    assert result.values == 1.0
    # The rarest pair is expected 17 times in 2,000; fewer than 2 of them has a chance of 1e-6.
    assert result.pairs > 0.99
    # Each share is off by about sqrt(2 * 0.2 * 0.8 / 2000) = 0.013.
    assert 0.0 < result.total_variation < 0.04


def test_order_and_repetition_do_not_matter(counting: ModuleType, truth: NDArray[np.float32]) -> None:
    some, training = truth[:300], truth[1000:]
    shuffled = some[np.random.default_rng(0).permutation(len(some))]
    assert counting.measure(shuffled, training) == counting.measure(some, training)
    # 300 and 900 rows: the shares are equal up to the rounding of a division.
    assert counting.measure(np.tile(some, (3, 1)), training).pairs == counting.measure(some, training).pairs


def test_one_face_covers_one_value_of_each_attribute(counting: ModuleType, truth: NDArray[np.float32]) -> None:
    result = counting.measure(np.repeat(truth[:1], 500, axis=0), truth)
    num_values, num_attributes = truth.shape[1], len(PROBABILITIES)
    assert result.values == pytest.approx(num_attributes / num_values)
    assert len(result.missing) == num_values - num_attributes
    assert result.entropy_ratio == 0.0
    for name, row in PROBABILITIES.items():
        assert result.attributes[name].coverage == pytest.approx(1 / len(row))


def test_a_lost_value_is_named_and_its_pairs_are_lost(
    counting: ModuleType, reader: ModuleType, truth: NDArray[np.float32]
) -> None:
    afro = reader.head_columns()["hair_style"].start + reader.HEADS["hair_style"].index("afro")
    result = counting.measure(truth[truth[:, afro] == 0], truth)
    assert result.missing == ("hair_style=afro",)
    assert result.values == pytest.approx(1 - 1 / reader.NUM_VALUES)
    assert result.attributes["hair_style"].coverage == pytest.approx(11 / 12)
    sizes = [len(values) for values in reader.HEADS.values()]
    num_pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) / 2
    assert result.pairs == pytest.approx(1 - (reader.NUM_VALUES - 12) / num_pairs)
    assert counting.measure(truth[truth[:, afro] == 0], truth, legible=("skin", "clothes")).missing == ()


def test_a_value_counts_from_a_tenth_of_its_frequency(counting: ModuleType, reader: ModuleType) -> None:
    first, second, *_ = range(*reader.head_columns()["skin"].indices(reader.NUM_VALUES))
    training = np.zeros((100, reader.NUM_VALUES), np.float32)
    training[:, reader.head_columns()["clothes"].start] = training[:, reader.head_columns()["glasses"].start] = 1.0
    training[:50, first], training[50:, second] = 1.0, 1.0
    for rare, covered in ((5, 1.0), (4, 0.5)):
        found = np.zeros_like(training)
        found[:rare, first], found[rare:, second] = 1.0, 1.0
        assert counting.measure(found, training).attributes["skin"].coverage == covered


def test_doubtful_pictures_cover_nothing(counting: ModuleType, reader: ModuleType, truth: NDArray[np.float32]) -> None:
    flat = np.concatenate([np.full((3, len(values)), 1 / len(values)) for values in reader.HEADS.values()], axis=1)
    found = counting.confident_readings(flat.astype(np.float32))
    assert not found.any()
    result = counting.measure(found, truth)
    assert (result.values, result.pairs, result.confident, result.total_variation) == (0.0, 0.0, 0.0, 1.0)


def test_confident_readings_keep_the_likeliest_value(counting: ModuleType, truth: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(counting.confident_readings(truth * np.float32(0.9)), truth)


def test_labels_are_the_drawn_attributes(reader: ModuleType) -> None:
    images, labels = reader.labelled_renders(7, 5, 16)
    assert images.shape == (5, 16, 16, 3)
    for index, row in enumerate(labels):
        face = attributes(7, index)
        assert [values[i] for values, i in zip(reader.HEADS.values(), row, strict=True)] == list(vars(face).values())


def test_blur_keeps_flat_pictures_and_the_mean_but_not_detail(reader: ModuleType) -> None:
    flat = torch.full((2, 3, 8, 8), 0.3)
    torch.testing.assert_close(reader.blur(flat, 3), flat)
    spot = torch.zeros(1, 3, 9, 9)
    spot[:, :, 4, 4] = 1.0
    soft = reader.blur(spot, 2)
    torch.testing.assert_close(soft.sum((2, 3)), torch.ones(1, 3))
    offsets = torch.arange(9.0) - 4
    # Each pass of (1, 2, 1) / 4 adds a variance of 1/2 a direction.
    torch.testing.assert_close((soft[0, 0].sum(0) * offsets**2).sum(), torch.tensor(1.0))


def test_balanced_accuracy_is_the_mean_recall(reader: ModuleType, truth: NDArray[np.float32]) -> None:
    labels = np.stack([truth[:, columns].argmax(1) for columns in reader.head_columns().values()], axis=1)
    assert set(reader.balanced_accuracy(truth, labels).values()) == {1.0}
    always_first = np.zeros_like(truth)
    for columns in reader.head_columns().values():
        always_first[:, columns.start] = 1.0
    for name, rate in reader.balanced_accuracy(always_first, labels).items():
        assert rate == pytest.approx(1 / len(PROBABILITIES[name]))


def test_the_classifier_learns_and_comes_back_from_its_file(
    reader: ModuleType, classifier: object, tmp_path: Path
) -> None:
    path = tmp_path / "attributes.pt"
    reader.save(classifier, path)
    again = reader.load(path, 16)
    images, _ = reader.labelled_renders(3, 8, 16)
    probabilities = again.probabilities(images)
    np.testing.assert_array_equal(probabilities, classifier.probabilities(images))  # type: ignore[attr-defined]
    # Fourteen heads, each a distribution; float32 sums of up to 12 terms.
    np.testing.assert_allclose(probabilities.sum(1), len(PROBABILITIES), rtol=1e-5)
    assert again.accuracy["background_colour"] > 0.5, "chance is 1/6"
    with pytest.raises(UserError, match="was made for 16 px"):
        reader.load(path, 32)
    with pytest.raises(UserError, match="reads 16 px"):
        again.probabilities(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("size", [8, 24, 256])
def test_sizes_that_the_classifier_cannot_read(reader: ModuleType, size: int) -> None:
    with pytest.raises(UserError, match="powers of two from 16 to 128"):
        reader.train_classifier(size, num_train=1, num_test=1, epochs=1)


def test_a_stranger_is_no_classifier(reader: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "attributes.pt"
    path.write_bytes(b"not a torch file")
    with pytest.raises(UserError, match="is no attribute classifier"):
        reader.load(path, 16)


def test_the_command_on_a_folder_of_renders(
    bench: ModuleType,
    counting: ModuleType,
    reader: ModuleType,
    classifier: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, stored = tmp_path / "faces", tmp_path / "attributes.pt"
    folder.mkdir()
    reader.save(classifier, stored)
    for index, pixels in enumerate(reader.labelled_renders(bench.CEILING_SEED, 40, 16)[0]):
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")
    arguments = ["--size", "16", "--n", "40", "--training-set", "60", "--classifier", str(stored)]
    # Four epochs make no reading good or sure enough for the totals; what is tested here is the way of the pictures.
    monkeypatch.setattr(bench, "LEGIBLE_FROM", 0.1)
    monkeypatch.setattr(counting, "CONFIDENCE", 0.2)
    monkeypatch.setattr(sys, "argv", ["bench_coverage.py", *arguments, "--generators", f"folder={folder}"])
    bench.main()
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["results"]["folder"] == document["results"]["renders"]
    assert document["results"]["one_face"]["entropy_ratio"] == 0.0
    assert set(document["classifier"]["accuracy"]) == set(PROBABILITIES)

    monkeypatch.setattr(sys, "argv", [*sys.argv[:1], *arguments, "--n", "41", "--generators", f"folder={folder}"])
    with pytest.raises(SystemExit, match="2"):
        bench.main()
    assert f"{folder}: holds 40 pictures, fewer than --n 41" in capsys.readouterr().err


def test_a_generator_of_another_size_is_refused(bench: ModuleType) -> None:
    tiny = BENCHMARKS.parent / "tests" / "inference" / "tiny.onnx"
    with pytest.raises(UserError, match="give that as --size"):
        bench.pictures_of(tiny, 128, 4)


@pytest.mark.parametrize("text", ["gen.onnx", "=gen.onnx", "name="])
def test_generators_are_named(bench: ModuleType, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=FILE"):
        bench._named_path(text)

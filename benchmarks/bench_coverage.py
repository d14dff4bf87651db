"""Which of the built-in faces' attribute values a generator still draws: collapse, counted.

    python benchmarks/bench_coverage.py --generators modern=gen.onnx plain=plain.zip --size 32 --n 4000

Each generator is an ONNX file, or an archive or folder of pictures, trained on `builtin:cartoons`. A small classifier
(trained at first, cached in --classifier) reads the attributes of N pictures of each. Its accuracy on renders that it
never saw is part of the result, and attributes that it cannot read at this size are left out of the totals. Beside the
generators stand a ceiling (other renders) and floors (noise, one face and sixteen faces repeated, faces laid over one
another in pairs). Tables go to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import attribute_classifier as reader
import numpy as np
import torch
from attribute_coverage import CONFIDENCE, COVERED_FROM, confident_readings, measure
from numpy.typing import NDArray

from genface.errors import UserError
from genface.model import Generator
from genface.photos import Preparation, prepare_many, settle_broken
from genface.sources import open_source
from trainface import cartoons
from trainface.data.dataset import BUILTIN_SEED

LEGIBLE_FROM = 0.75
"""Attributes whose balanced accuracy on degraded renders is lower are left out of the totals."""
CEILING_SEED = 20_263
"""Of the renders that are neither the training set's nor the classifier's."""


def baselines(size: int, num: int) -> dict[str, NDArray[np.uint8]]:
    """What the measure says about pictures whose coverage is known; each uint8 [num, size, size, 3].

    `renders` are faces of a seed of their own: the ceiling. The floors are uniform noise, one face repeated, sixteen
    faces repeated (a generator with sixteen modes), and faces laid over one another in pairs (everything there, nothing
    sharp).
    """
    renders = np.stack(list(cartoons.render_many(CEILING_SEED, range(num), size)))
    pairs = renders.astype(np.uint16) + np.roll(renders, 1, axis=0)
    return {
        "renders": renders,
        "noise": np.random.default_rng(0).integers(0, 256, renders.shape, dtype=np.uint8),
        "one_face": np.repeat(renders[:1], num, axis=0),
        "sixteen_faces": renders[np.arange(num) % 16],
        "overlaid_pairs": (pairs // 2).astype(np.uint8),
    }


def pictures_of(path: Path, size: int, num: int) -> NDArray[np.uint8]:
    """The first `num` pictures of seed 0 of an ONNX generator, or of an archive or folder: uint8 [num, size, size, 3].

    Raises UserError, naming the file, when it holds fewer pictures or draws another size.
    """
    if path.suffix == ".onnx":
        generator = Generator(path)
        if (generator.info.height, generator.info.width) != (size, size):
            raise UserError(f"{path}: draws {generator.info.width}x{generator.info.height} px; give that as --size")
        return generator.draw(seed=0, indices=range(num))
    with open_source(path) as source:
        if len(source) < num:
            raise UserError(f"{path}: holds {len(source)} pictures, fewer than --n {num}")
        faces = list(prepare_many(source, Preparation(size=size), source.names[:num]))
    settle_broken([face.broken for face in faces if face.broken], "fail", num, path)
    return np.stack([face.pixels for face in faces if face.pixels is not None])


def open_classifier(path: Path, size: int, *, num_train: int, num_test: int, epochs: int) -> reader.AttributeClassifier:
    """The classifier in `path`, trained and stored there if there is none yet."""
    if not path.exists():
        trained = reader.train_classifier(size, num_train=num_train, num_test=num_test, epochs=epochs)
        reader.save(trained, path)
    return reader.load(path, size)


def main() -> None:
    options = _parse()
    try:
        print(json.dumps(run(options)))
    except (UserError, OSError) as error:
        print(f"bench_coverage: {error}", file=sys.stderr)
        sys.exit(2)


def run(options: argparse.Namespace) -> dict[str, object]:
    size, num = options.size, options.n
    classifier = open_classifier(
        options.classifier, size, num_train=options.train_faces, num_test=options.test_faces, epochs=options.epochs
    )
    legible = tuple(name for name, rate in classifier.accuracy_degraded.items() if rate >= LEGIBLE_FROM)
    if len(legible) < 2:
        raise UserError(f"{options.classifier}: can't read even two attributes; delete it and train it for longer")
    _tell_accuracy(classifier, legible)

    # The training set as the arms saw it: the first faces of the built-in seed.
    training_faces = np.stack(list(cartoons.render_many(BUILTIN_SEED, range(options.training_set), size)))
    training = confident_readings(classifier.probabilities(training_faces))
    sets = baselines(size, num)
    for name, path in options.generators:
        if name in sets:
            raise UserError(f"{name}={path}: that name is taken; give it another")
        sets[name] = pictures_of(path, size, num)
    results = {}
    print(f"\n{'':16s} values   pairs  total var.  entropy  confident", file=sys.stderr)
    for name, pictures in sets.items():
        result = measure(confident_readings(classifier.probabilities(pictures)), training, legible)
        results[name] = result
        print(
            f"{name:16s} {result.values:6.1%}  {result.pairs:6.1%}  {result.total_variation:10.3f}"
            f"  {result.entropy_ratio:7.3f}  {result.confident:9.1%}",
            file=sys.stderr,
        )
    for name, _ in options.generators:
        print(f"{name} misses: {', '.join(results[name].missing) or 'nothing'}", file=sys.stderr)
    return {
        "benchmark": "coverage",
        "torch": torch.__version__,
        "size": size,
        "n": num,
        "training_set": options.training_set,
        "thresholds": {"confidence": CONFIDENCE, "covered_from": COVERED_FROM, "legible_from": LEGIBLE_FROM},
        "classifier": {"accuracy": classifier.accuracy, "accuracy_degraded": classifier.accuracy_degraded},
        "legible": legible,
        "results": {name: _rounded(asdict(result)) for name, result in results.items()},
    }


def _tell_accuracy(classifier: reader.AttributeClassifier, legible: tuple[str, ...]) -> None:
    print(f"{'attribute':18s} values  chance  sharp  degraded  (balanced accuracy)", file=sys.stderr)
    for name, values in reader.HEADS.items():
        print(
            f"{name:18s} {len(values):6d}  {1 / len(values):6.3f}  {classifier.accuracy[name]:5.3f}"
            f"  {classifier.accuracy_degraded[name]:8.3f}  {'' if name in legible else 'left out'}".rstrip(),
            file=sys.stderr,
        )


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generators", nargs="*", default=[], type=_named_path, metavar="NAME=FILE")
    parser.add_argument("--size", type=int, default=32, help="side of the pictures: a power of two from 16 to 128")
    parser.add_argument("--n", type=_count, default=4000, help="pictures of each generator")
    parser.add_argument("--training-set", type=_count, default=4096, help="N of the builtin:cartoons:N trained on")
    parser.add_argument("--classifier", type=Path, default=None, help="default: attributes-SIZE.pt here")
    parser.add_argument("--train-faces", type=_count, default=12_000, help="renders that the classifier learns from")
    parser.add_argument("--test-faces", type=_count, default=2_000, help="renders that its accuracy is measured on")
    parser.add_argument("--epochs", type=_count, default=12)
    options = parser.parse_args()
    options.classifier = options.classifier or Path(f"attributes-{options.size}.pt")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: write a whole number above 0")
    return int(text)


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text}: write NAME=FILE, as in modern=gen.onnx")
    return name, Path(path)


if __name__ == "__main__":
    main()

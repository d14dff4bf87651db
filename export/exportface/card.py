"""A model card for people and for the Hugging Face Hub, written from what a generator file says about itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jinja2 import Environment, PackageLoader, StrictUndefined

from exportface import __version__
from exportface.card_scores import quoted_scores
from exportface.export import CONFIG_KEY, COST_KEY, PRECISION_KEY, PROGRAM, TORCHSCRIPT
from exportface.front_matter import front_matter, hub_licence, plain
from exportface.parity import MIN_STD
from exportface.quality import Cost
from genface.encode import encode_png
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.model import Generator, GeneratorInfo
from genface.strict_json import parse_json
from trainface import atomic
from trainface.sheet import sheet

CARD, SAMPLES = "README.md", "samples.png"
_SIDE = 8
_SEED = 0
_GENERATORS = {
    "fp32": "the generator: ONNX (opset {opset}), float32; also for browsers, by onnxruntime-web",
    "fp16": "the same with 16-bit weights",
    "int8": "the same, quantised to 8 bits where that costs little",
}
# Name of a file, or its suffix, to what it is.
_MEANINGS = {
    ".ts": "the same as TorchScript: `torch.jit.load`, or C++ and Java",
    ".pt2": "the same as an exported program: `torch.export.load`",
    ".pt": "the generator's and D's weights in half precision, to begin runs with: `trainface --init-from`",
    ".npz": "statistics of the real pictures, in their place: `evalface` takes the file for REAL",
    "parity.json": "SHA-256 of every generator file, and how far each is from the trained network",
    "detection.json": "how often a cascade finds a face in its pictures and in the real ones",
    "recipe.mk": "how it was made, from the data on: `make reproduce`",
    "scores.json": "every score with every setting that can change it, as evalface wrote it",
    "training.md": "the report of the training run: command, curves, film, walks",
    SAMPLES: "the pictures above",
}
# Key in the run's configuration to what a reader calls it; the rest is below the table.
_SETTINGS = {
    "preset": "preset",
    "architecture": "network",
    "loss": "loss",
    "penalty": "gradient penalty",
    "batch": "batch",
    "x_flip": "half of the photos mirrored",
    "seed": "seed",
}
_YES_NO = {True: "yes", False: "no"}
# Key in the record of parity to what a reader calls it.
_MEASURED_WITH = {"reference": "held against", "onnxruntime": "ONNX Runtime"}
_FULL_TRAINING = 25_000_000
"""Images that the published FFHQ generators of Karras et al. (2020, arXiv 1912.04958) have seen."""
# Form in the record of parity to the suffix of its file.
_WITNESSES = {TORCHSCRIPT: ".ts", PROGRAM: ".pt2"}
_CROPS = {
    "center": "Photos were cut to their centred square, so it repeats whatever framing the data set has.",
    "face": "Photos without a face that the finder saw were left out: what that finder misses, it has never seen.",
    "cat-face": "Photos without a cat's face that the finder saw were left out: what it misses was never learned.",
}


def card_text(
    model: Path,
    *,
    folder: Path | None = None,
    files: Sequence[Path] = (),
    scores: Mapping[str, Any] | None = None,
) -> str:
    """The card of a generator file that exportface wrote, as Markdown with the Hub's front matter.

    Args:
        model: the float32 generator; all that is said of it stands in its metadata.
        folder: where the card will lie, so that it names files as seen from there; default: beside the generator.
        files: the files to list, in this order; the parity figures of other .onnx files among them are told too.
        scores: what evalface's report.json holds, as `genface.score_report.read_score_report` gives it.

    Raises UserError when the file carries no record of exportface, and when the scores are of another file's pictures.
    """
    info = Generator(model).info
    card = _card(info)
    others = [Generator(path).info for path in files if path.suffix == ".onnx" and path.name != model.name]
    evaluated = None if scores is None else quoted_scores(scores, model)
    config = _config(info)
    opset = next(part.version for part in onnx.load(model).opset_import if not part.domain)
    tags = ["onnx", "gan", "image-generation", "synthetic"]
    head = hub_licence(card.licence) | {"library_name": "onnx", "pipeline_tag": "unconditional-image-generation"}
    loader = PackageLoader("exportface")
    template = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = folder or model.parent
    return template.get_template("card.md.j2").render(
        front_matter=front_matter(head | {"tags": tags}),
        dataset=plain(card.dataset),
        resolution=card.resolution,
        z_dim=card.z_dim,
        model=_seen_from(folder, model),
        input=info.contract.input_name,
        output=info.contract.output_name,
        files=[
            {"name": _seen_from(folder, path), "meaning": _meaning(path, opset, others), "bytes": path.stat().st_size}
            for path in files
        ],
        costs=[row for about in others if (row := _cost_row(about)) is not None],
        training=_training(card, config),
        config=",\n".join(f"  {json.dumps(key)}: {json.dumps(config[key])}" for key in sorted(config)),
        scores=evaluated,
        parity=[row for about in [info, *others] for row in _parity_rows(about, files)],
        output_std=card.parity["output_std"],
        min_std=MIN_STD,
        limits=limits(card, evaluated is not None),
        licence=_terms(card),
        provenance=_provenance(info, card, opset),
    )


def write_card(
    model: Path, folder: Path, *, files: Sequence[Path] = (), scores: Mapping[str, Any] | None = None
) -> Path:
    """Write the card of `model` and its sample pictures into a folder that is there; returns the card's path.

    `files` (those to list beside the pictures) and `scores`: as for `card_text`, which says what it raises.
    """
    card, samples = folder / CARD, folder / SAMPLES
    atomic.write_bytes(samples, sample_sheet(Generator(model)))
    atomic.write_text(card, card_text(model, folder=folder, files=[*files, samples], scores=scores))
    return card


def sample_sheet(generator: Generator) -> bytes:
    """The first 64 pictures of seed 0 as one PNG, 8 by 8, marked as machine-made."""
    indices = range(_SIDE * _SIDE)
    pictures = np.asarray(sheet(generator.draw(seed=_SEED, indices=indices), columns=_SIDE))
    origin = {"genface:model_sha256": generator.info.sha256, "genface:seed": str(_SEED), "genface:indices": "0-63"}
    return encode_png(pictures, origin)


def limits(card: ModelCard, scored: bool) -> list[str]:
    """What this generator cannot do or is biased in, one sentence or two each, from facts of its record alone."""
    found = [
        f"It knows the pictures of {plain(card.dataset)} and nothing else. What is rare or missing there is rarer still"
        " here: GANs tend to leave out the seldom. Nobody has measured which people, poses or backgrounds that hits.",
        f"It makes {card.resolution} x {card.resolution} pixels; enlarging adds no detail.",
        _CROPS[card.preparation.crop],
        "A small data set can be learned by heart: before a picture is published, look for its nearest training"
        " pictures." + ("" if scored else " `evalface` does that."),
    ]
    if card.images_seen < _FULL_TRAINING:
        found.append(
            f"It has seen {card.images_seen:,} images, repeats counted; the generators that StyleGAN2 was published"
            f" with saw {_FULL_TRAINING:,}. Expect broken pictures among the good ones."
        )
    if card.parity["output_std"] < MIN_STD:
        found.append(
            f"Its pictures are nearly flat (standard deviation {card.parity['output_std']:.3f} in [-1, 1]): it is"
            " hardly trained, and the figures above prove little."
        )
    return found


def _card(info: GeneratorInfo) -> ModelCard:
    if info.card is None:
        raise UserError(f"{info.path}: was not exported by exportface, so there is nothing to write a card from")
    if not isinstance(info.card.parity.get("output_std"), float):
        raise UserError(f"{info.path}: its parity figures are damaged (no output_std); export it again")
    return info.card


def _parity_rows(info: GeneratorInfo, files: Sequence[Path]) -> list[tuple[str, ...]]:
    """The rows of the table of differences, as texts; torch's forms are told by their own files."""
    witnesses = {form: _witness_file(suffix, files) for form, suffix in _WITNESSES.items()}
    try:
        return [
            (
                witnesses.get(row["form"], f"`{info.path.name}`"),
                plain(row["form"]),
                f"{row['batch']}",
                f"{row['images']:,}",
                f"{row['max_delta']:.1e}",
                f"{row['max_levels']}",
                f"{row['identical']:.4%}",
            )
            for row in _card(info).parity["rows"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{info.path}: its parity figures are damaged ({error}); export it again") from error


def _witness_file(suffix: str, files: Sequence[Path]) -> str:
    return next((f"`{path.name}`" for path in files if path.suffix == suffix), "not kept")


def _cost_row(info: GeneratorInfo) -> tuple[str, ...] | None:
    """What a smaller form saves and costs, as texts; None for a file that does not tell."""
    if COST_KEY not in info.metadata:
        return None
    try:
        cost = Cost(**parse_json(info.metadata[COST_KEY]))
        return (
            f"`{info.path.name}`",
            f"{cost.bytes / cost.reference_bytes:.2f}",
            f"{cost.speed:.2f}",
            f"{cost.mean_error:.3f}",
            f"{cost.max_error}",
            f"{cost.frechet:.3f} ({cost.floor:.2f})",
            f"{cost.images:,}",
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{info.path}: its metadata is damaged: {COST_KEY} ({error}); export it again") from error


def _config(info: GeneratorInfo) -> dict[str, Any]:
    """The run's configuration in the metadata of a file; empty where there is none."""
    try:
        config = parse_json(info.metadata.get(CONFIG_KEY, "{}"))
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{info.path}: its metadata is damaged: {CONFIG_KEY} is not a JSON object; export it again")
    return config


def _meaning(path: Path, opset: int, others: Sequence[GeneratorInfo]) -> str:
    if path.suffix != ".onnx":
        return _MEANINGS.get(path.name, _MEANINGS.get(path.suffix, ""))
    told = next((about.metadata.get(PRECISION_KEY, "") for about in others if about.path == path), None)
    meaning = _GENERATORS.get("fp32" if told is None else told, "").format(opset=opset)
    return meaning + (f" ({plain(told)})" if told else "")


def _seen_from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _training(card: ModelCard, config: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = [(words, config[key]) for key, words in _SETTINGS.items() if key in config]
    return [
        ("data set", plain(card.dataset)),
        ("licence, as stated at export", plain(card.licence)),
        ("preparation", plain(str(card.preparation))),
        ("images seen", f"{card.images_seen:,} ({card.images_seen / 1000:g} kimg)"),
        *((words, _YES_NO[value] if isinstance(value, bool) else plain(str(value))) for words, value in told),
    ]


def _terms(card: ModelCard) -> str:
    if hub_licence(card.licence) == {"license": "unknown"}:
        stated = f"Nobody stated one ({plain(card.licence)}). Until someone does, take it that none was granted."
    else:
        stated = f"As whoever exported it stated: {plain(card.licence)}."
    return f"{stated} The weights were learned from {plain(card.dataset)}; the terms of that data set bind as well."


def _provenance(info: GeneratorInfo, card: ModelCard, opset: int) -> list[tuple[str, str]]:
    measured_with = [(words, card.parity.get(key)) for key, words in _MEASURED_WITH.items()]
    return [
        ("checkpoint", f"SHA-256 {plain(card.checkpoint_sha256)}"),
        (f"`{info.path.name}`", f"SHA-256 {info.sha256}, ONNX opset {opset}, record version {card.format_version}"),
        *((words, plain(str(value))) for words, value in measured_with if value is not None),
        ("card", f"exportface {__version__}"),
    ]

"""One folder to publish: the generator in every form, the proof of each, sample pictures and the model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evalface.files import sha256_of
from exportface import __version__
from exportface.card import CARD, SAMPLES, card_text, sample_sheet
from exportface.card_scores import quoted_scores
from exportface.export import COST_IMAGES, Exported, Precision, export
from exportface.front_matter import hub_licence
from exportface.new_folder import FolderKind, new_folder
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.model import Generator
from genface.score_report import read_score_report
from trainface import atomic

KIND = "genface-release"
FORMAT_VERSION = 1
ONNX, TORCHSCRIPT, PROGRAM = "gen.onnx", "gen.ts", "gen.pt2"
PRECISIONS: Mapping[Precision, str] = {"fp16": "gen.fp16.onnx", "int8": "gen.int8.onnx"}
"""Precision beside fp32 to the file that has it."""
RECORD = "parity.json"
LICENCE_TEXT = "LICENSE"
"""Put there by the publisher, since the Hub asks for it; a later release keeps it."""

Say = Callable[[str], None]

_RELEASE = FolderKind(
    what="release", record=RECORD, kind=KIND, files=lambda record: {*record["files"].keys(), RECORD, CARD, LICENCE_TEXT}
)


def release(
    checkpoint: Path,
    out: Path,
    *,
    licence: str,
    report: Path | None = None,
    cost_images: int = COST_IMAGES,
    force: bool = False,
    say: Say = lambda line: None,
) -> Path:
    """Fill the folder `out`, ready to upload as it is; returns the path of its model card.

    The folder appears complete or not at all. `report`: evalface's report.json on pictures that this very gen.onnx
    drew, for the card; the same checkpoint, licence and versions give the same gen.onnx again. `cost_images`: pictures
    that the cost of the smaller forms is measured on. `force` replaces an earlier release, never anything else. `say`
    gets a line per stage.

    Raises UserError for what the caller can mend, ParityError when a form of the generator differs from the network.
    """
    scores = None if report is None else read_score_report(report)
    with new_folder(out, _RELEASE, force=force) as folder:
        say("1/3 ONNX, TorchScript and exported program")
        whole = export(
            checkpoint,
            folder / ONNX,
            torchscript=folder / TORCHSCRIPT,
            program=folder / PROGRAM,
            licence=licence,
            say=say,
        )
        if scores is not None:
            quoted_scores(scores, folder / ONNX)  # refuses other pictures' scores before the longer work
        made: dict[str, Exported] = {ONNX: whole}
        for step, (precision, name) in enumerate(PRECISIONS.items(), start=2):
            say(f"{step}/3 ONNX with {precision} numbers")
            made[name] = export(
                checkpoint, folder / name, precision=precision, licence=licence, cost_images=cost_images, say=say
            )
        if len({one.card.checkpoint_sha256 for one in made.values()}) > 1:
            raise UserError(f"{checkpoint}: was replaced meanwhile, by a run that goes on; give the command again")

        atomic.write_bytes(folder / SAMPLES, sample_sheet(Generator(folder / ONNX)))
        atomic.write_text(folder / RECORD, json.dumps(_record(folder, whole.card, made), indent=1) + "\n")
        names = [ONNX, *PRECISIONS.values(), TORCHSCRIPT, PROGRAM, RECORD, SAMPLES]
        card = card_text(folder / ONNX, files=[folder / name for name in names], scores=scores)
        atomic.write_text(folder / CARD, card)
        if (out / LICENCE_TEXT).is_file():
            shutil.copyfile(out / LICENCE_TEXT, folder / LICENCE_TEXT)
    if hub_licence(licence)["license"] == "other":
        say(f"the Hub knows no licence {licence!r}: it asks for a file {LICENCE_TEXT} with the text beside the card")
    return out / CARD


def _record(folder: Path, card: ModelCard, made: Mapping[str, Exported]) -> dict[str, Any]:
    """What parity.json holds: by it a later call knows the folder for its own."""
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "exportface": __version__,
        "checkpoint_sha256": card.checkpoint_sha256,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        "parity": {name: one.card.parity for name, one in made.items()},
    }

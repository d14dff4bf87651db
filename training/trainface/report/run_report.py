"""What a run leaves to be handed in: report.md with its pictures, made from the run folder alone.

run/report.md  curves.png  progress.gif  walks.png  faces.png  reals.png (where reals were at hand)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.files import sha256_of
from genface.errors import UserError
from genface.latents import latents
from genface.photos import Preparation
from trainface import atomic, checkpoint
from trainface.checkpoint import CHECKPOINT
from trainface.config import Config
from trainface.data.dataset import FaceSet, open_faces
from trainface.ema import averaged_generator
from trainface.history import History, read_history
from trainface.logbook import GRIDS
from trainface.loop import BEST
from trainface.report import artefacts, describe, faces_of, film, readings, recipe
from trainface.report.curves import Lang, draw_curves
from trainface.report.walks import walk_latents
from trainface.sheet import sheet

Pixels = NDArray[np.uint8]
Say = Callable[[str], None]

REPORT = "report.md"
MEASURED = 1000
"""Pictures of each side that the artefacts are measured on."""
_SEED = 0
_SHEET_FACES = 64
_WALKS, _WALK_STEPS = 8, 10


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that the report of a run says."""

    name: str
    """Of the run folder."""
    config: Config
    preparation: Preparation
    data: Mapping[str, Any]
    """As the checkpoint has it: `name`, `key`, `images`, `holdout` with its digests, and `augment` where it has one."""
    origin: Mapping[str, Any] | None
    """What the run's weights began as; None for random ones."""
    cur_nimg: int
    checkpoint: str
    """Name of the file that the pictures were drawn from."""
    checkpoint_sha256: str
    best_ema: str
    generator_parameters: int
    history: History
    fakes: artefacts.Artefacts
    reals: artefacts.Artefacts | None
    clipped: float
    """Share of the generator's values beyond [-1, 1]."""

    @property
    def images_per_second(self) -> float:
        """Over the whole run; NaN without a log."""
        return 1000 * self.history.ticks[-1]["kimg"] / self.history.seconds if self.history.seconds else float("nan")

    def command(self, src: str | None = None) -> str:
        """The command that begins the same run; `src` defaults to the data's name."""
        return recipe.training_command(
            self.config,
            src=src or str(self.data["name"]),
            run=f"runs/{self.name}",
            preparation=self.preparation,
            augment=self.data.get("augment"),
            init_from=f"{self.origin['sha256'][:12]}.pt" if self.origin else None,
        )


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The scores of a drawn archive, for the report's section on them."""

    rows: list[tuple[str, str, str]]
    """Name, value and what it was measured on."""
    readings: list[str]
    notes: list[str]


def finish(
    run: Path,
    say: Say,
    *,
    lang: Lang = "en",
    reals: Pixels | None = None,
    show_reals: bool = True,
    drawn_from: Path | None = None,
) -> Path:
    """Write report.md and its pictures into the run folder; returns the report's path.

    `reals`: the prepared faces, uint8 [N, H, W, 3], as a reference for the measured artefacts; without them the report
    says that they are missing. `show_reals`: put a picture of some of them beside the generated ones. `drawn_from`:
    the checkpoint, or weights, of the run to draw from; default: the best. Raises UserError for a folder without a
    readable checkpoint.
    """
    facts, pictures = gather(run, say, lang=lang, reals=reals, drawn_from=drawn_from)
    if not show_reals:
        pictures.pop("reals.png", None)
    for name, data in pictures.items():
        atomic.write_bytes(run / name, data)
    if "reals.png" not in pictures:
        (run / "reals.png").unlink(missing_ok=True)  # an earlier report's
    atomic.write_text(run / REPORT, render(facts, lang, {name: name for name in pictures}))
    say(f"report: {run / REPORT}")
    return run / REPORT


def find_data(run: Path, data: Mapping[str, Any]) -> str | None:
    """The data set by its name: the built-in one, or a file or folder in the working folder or beside the run."""
    name = str(data["name"])
    if name.startswith("builtin:"):
        return f"{name}:{data['images']}"
    places = (Path(), run.resolve().parent, run.resolve().parent.parent)
    return next((str(place / name) for place in places if (place / name).exists()), None)


def real_faces(run: Path, src: str | None, say: Say) -> Pixels | None:
    """Prepared faces to measure a report's pictures against, uint8 [N, H, W, 3]: of `src`, or of data found by name.

    None, and a line that says so, where none are found or what has the name is not what the run was trained on. Raises
    UserError for a `src` that cannot be used.
    """
    state = checkpoint.load(chosen_checkpoint(run))
    found = src or find_data(run, state["data"])
    if found is None:
        say(f"no data called {state['data']['name']} found to compare with; name them by --data")
        return None
    say(f"preparing {found}")
    try:
        faces = open_faces(found, Preparation.from_dict(state["preparation"]), on_broken="skip")
    except UserError as error:
        if src is not None:
            raise
        say(f"{error}; compared with nothing: name the data by --data")
        return None
    if faces.key != state["data"]["key"]:
        say(f"{found}: not, or not quite, the faces that the run was trained on")
        if src is None:
            return None
    return some_faces(faces)


def some_faces(faces: FaceSet) -> Pixels:
    """Enough faces of the data to measure a report's pictures against, without augmented copies."""
    originals = faces.originals
    return np.asarray(faces.images[originals[_spread(len(originals), MEASURED)]])


def chosen_checkpoint(run: Path) -> Path:
    """The checkpoint with the best KID, or the last one where the run was not scored."""
    return run / BEST if (run / BEST).exists() else run / CHECKPOINT


def gather(
    run: Path, say: Say, *, lang: Lang = "en", reals: Pixels | None = None, drawn_from: Path | None = None
) -> tuple[RunFacts, dict[str, bytes]]:
    """Read a run folder, draw and measure; returns the facts, and the pictures by file name."""
    path = drawn_from or chosen_checkpoint(run)
    state = checkpoint.load(path)
    generator, config = averaged_generator(state)
    history = read_history(run)

    say(f"drawing {MEASURED:,} faces of {path} to measure them")
    fakes, clipped = faces_of.draw(generator, latents(_SEED, range(MEASURED), config.z_dim))
    walks, _ = faces_of.draw(generator, walk_latents(_WALKS, _WALK_STEPS, config.z_dim))
    sample = None if reals is None else reals[_spread(len(reals), MEASURED)]

    say("drawing curves, film and walks")
    drawn = {
        "curves.png": draw_curves(history, lang),
        "progress.gif": film.make_film(film.grid_files(run / GRIDS), config.size),
        "walks.png": _png(walks, _WALK_STEPS),
        "faces.png": _png(fakes[:_SHEET_FACES]),
        "reals.png": None if sample is None else _png(sample[_spread(len(sample), _SHEET_FACES)]),
    }
    facts = RunFacts(
        name=run.resolve().name,
        config=config,
        preparation=Preparation.from_dict(state["preparation"]),
        data=state["data"],
        origin=state.get("origin"),
        cur_nimg=int(state["cur_nimg"]),
        checkpoint=path.name,
        checkpoint_sha256=sha256_of(path),
        best_ema=str(state["best_ema"]),
        generator_parameters=sum(tensor.numel() for tensor in generator.parameters()),
        history=history,
        fakes=artefacts.measure(fakes),
        reals=None if sample is None or len(sample) < 2 else artefacts.measure(sample),
        clipped=clipped,
    )
    return facts, {name: data for name, data in drawn.items() if data is not None}


def render(
    facts: RunFacts,
    lang: Lang,
    pictures: Mapping[str, str],
    *,
    archive: Archive | None = None,
    src: str | None = None,
    missing: tuple[str, ...] = (),
) -> str:
    """The report as Markdown.

    `pictures`: file name to the path that the report shall link it by; one that is not there is left out. `archive`:
    scores of a drawn archive. `src`: the data as the training command shall name it. `missing`: what the report says
    could not be done.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trainface.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["whole"] = lambda value: readings.whole(int(value), lang)
    environment.filters["num"] = lambda value, digits=3: readings.number(float(value), lang, digits)
    environment.filters["duration"] = lambda seconds: str(timedelta(seconds=round(seconds)))
    return environment.get_template(f"report.{lang}.md.j2").render(
        facts=facts,
        config=facts.config,
        pictures=pictures,
        archive=archive,
        missing=missing,
        command=facts.command(src),
        networks=describe.networks(facts.config, lang),
        loss=describe.LOSSES[facts.config.loss][lang],
        penalty=describe.penalty(facts.config, lang),
        tricks=describe.tricks(facts.config, lang),
        settings=recipe.in_use(facts.config),
        changes=recipe.changes_to_preset(facts.config),
        findings=readings.read_artefacts(facts.fakes, facts.reals, facts.clipped, lang),
        course=readings.read_course(facts.history, facts.config, lang),
        best=facts.history.best_score(),
        last=facts.history.scores[-1] if facts.history.scores else None,
    )


def _png(pictures: Pixels, columns: int | None = None) -> bytes:
    file = io.BytesIO()
    sheet(pictures, columns).save(file, "png")
    return file.getvalue()


def _spread(total: int, count: int) -> NDArray[np.int64]:
    """Indices of at most `count` of `total` items, evenly spaced."""
    return np.linspace(0, total - 1, min(total, count)).round().astype(np.int64)

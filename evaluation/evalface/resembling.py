"""Score mixers by what their children look like to an embedder, beside what no mixer is needed for.

found = resemble(["mixer-a", "mixer-b"], "faces.zip", embedder=open_embedder("face.onnx"))
found.write("resemblance")
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from evalface.embedder import Embedder
from evalface.extractors.base import Extractor
from evalface.extractors.lite0 import Lite0
from evalface.identities import Cast, cast
from evalface.images import Pictures, Side, blocks
from evalface.inputs import open_side
from evalface.judging import Judge
from evalface.records import versions
from evalface.resemblance_report import Photos, ResemblanceReport
from genface.errors import BrokenImageError, UserError
from genface.mixer import Mixer
from genface.photos import OnBroken, Preparation, settle_broken

PathLike = str | os.PathLike[str]

RANDOM_FACES = 1000
"""Faces to compare with, at most, of as many persons."""
SECOND_PICTURES = 200
"""Other pictures of parents, at most, by which the embedder itself is checked."""
_FEW = 100


def resemble(
    folders: Sequence[PathLike],
    real: PathLike,
    *,
    embedder: Embedder,
    extractor: Extractor | None = None,
    pairs: int = 500,
    seed: int = 0,
    refine: int | None = None,
    own_embedder: bool = False,
    provider: str = "cpu",
    on_broken: OnBroken = "fail",
    say: Callable[[str], None] = lambda line: None,
    show_progress: bool = False,
) -> ResemblanceReport:
    """How much children of `pairs` pairs of persons resemble both parents, by each mixer and without one.

    Parents are persons whom no mixer has learned from, one picture each; every mixer gets the same pairs, mixed half
    and half.

    Args:
        folders: mixers as exportface writes them, all for photos prepared alike.
        real: photos: a folder, a .zip or a .tar, their files named `Name_0001.jpg` as they were in training.
        embedder: what judges; another one than a mixer was trained on.
        extractor: whose features tell how natural children are; EfficientNet-Lite0 unless given.
        pairs: how many.
        seed: of the pairs, the faces to compare with, and the intervals.
        refine: steps by which codes of mixers made of a generator are fitted to their photos first
            (`genface.refine.refine`); other mixers take none.
        own_embedder: score a mixer by the embedder that it was trained on all the same; the report warns of it.
        provider: what runs the mixers, as `genface.mixer.Mixer` takes it.
        on_broken: `skip` leaves broken pictures out, with the pairs that they are in; `fail` raises.
        say: receives each note for a person as it arises.
        show_progress: on stderr.

    Raises:
        UserError: for whatever the caller can mend: mixers that are damaged or for unlike photos, missing or broken
            input, too few persons, an embedder that a mixer was trained on.
    """
    started = time.perf_counter()
    notes: list[str] = []
    warnings: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    def warn(line: str) -> None:
        warnings.append(line)
        tell(line)

    if not folders or pairs < 1:
        raise UserError(f"a score takes a mixer and a pair at least, not {len(folders)} and {pairs}")
    mixers = [Mixer(folder, provider=provider) for folder in folders]
    preparation = _common_preparation(mixers)
    _look_for_own_embedder(mixers, embedder, warn if own_embedder else None)
    held_out = _held_out(mixers, warn)
    with open_side(real, role="real") as pictures:
        if not isinstance(pictures, Pictures):
            raise UserError(f"{pictures}: is a statistics file; faces are mixed from pictures")
        side = _prepared(pictures, preparation)
        try:
            drawn = cast(pictures.names, held_out, pairs=pairs, random=RANDOM_FACES, others=SECOND_PICTURES, seed=seed)
        except UserError as error:
            raise UserError(f"{pictures}: {error}") from error
        faces, skipped = _read(side, drawn, on_broken)
        contents = side.survey.sha256_of(drawn.pictures)
    for line in skipped:
        tell(line)
    parts = _present(drawn, faces, pictures)
    if len(parts.pairs) < len(drawn.pairs):
        tell(f"{len(drawn.pairs) - len(parts.pairs):,} pairs are left out with a parent of theirs")

    extractor = extractor or Lite0()
    judge = Judge(embedder, extractor, parts, faces, ways=len(mixers), seed=seed, show_progress=show_progress)
    if judge.fewest < _FEW:
        warn(f"a child is compared with {judge.fewest:,} random faces only, one a person: its shares are coarse")
    ways = [judge.mixed(mixer, title, refine) for mixer, title in zip(mixers, _titles(mixers), strict=True)]
    ways += judge.baselines()
    judge.finish()
    return ResemblanceReport(
        ways=tuple(ways),
        same_person=judge.same_person(),
        embedder=embedder.facts,
        extractor=extractor.identity() | {"title": extractor.title},
        photos=Photos(
            path=str(real),
            n=len(pictures),
            pairs=[(pictures.names[a], pictures.names[b]) for a, b in parts.pairs],
            random=len(parts.random),
            skipped=skipped,
            contents_sha256=contents,
            preparation=preparation.to_dict(),
        ),
        parents=(judge.parents(0), judge.parents(1)),
        settings={"pairs": pairs, "seed": seed, "refine": refine, "on_broken": on_broken, "random": RANDOM_FACES},
        notes=notes,
        warnings=warnings,
        versions=versions(),
        seconds=time.perf_counter() - started,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _common_preparation(mixers: Sequence[Mixer]) -> Preparation:
    first, *others = mixers
    for other in others:
        if other.card.preparation != first.card.preparation:
            raise UserError(
                f"{other.folder} takes photos prepared otherwise ({other.card.preparation}) than {first.folder}"
                f" ({first.card.preparation}): the same faces would look unlike; score them one by one"
            )
    return first.card.preparation


def _look_for_own_embedder(mixers: Sequence[Mixer], embedder: Embedder, warn: Callable[[str], None] | None) -> None:
    """Warn of each mixer that has learned from this embedder, or raise UserError where there is nobody to warn."""
    for mixer in mixers:
        if (mixer.card.embedder or {}).get("sha256") != embedder.sha256:
            continue
        line = f"{mixer.folder} was trained on the embedder that judges it here, {embedder.title}, which flatters it"
        if warn is None:
            raise UserError(f"{line}: name another one by --embedder, or insist by --own-embedder")
        warn(line)


def _held_out(mixers: Sequence[Mixer], warn: Callable[[str], None]) -> set[str] | None:
    """The persons whom no mixer has learned from; None where none of them tells."""
    common: set[str] | None = None
    for mixer in mixers:
        record = mixer.card.held_out
        identities = (record or {}).get("identities")
        if identities is None:
            warn(f"{mixer.folder} names nobody that was kept out of its training: it may know the parents")
            continue
        if not isinstance(identities, list) or not all(isinstance(identity, str) for identity in identities):
            raise UserError(f"{mixer.folder}: mixer.json is damaged: what it holds out are no names")
        common = set(identities) if common is None else common & set(identities)
    return common


def _prepared(pictures: Pictures, preparation: Preparation) -> Side:
    """Photos as the mixers take them."""
    if pictures.record is None:
        return Side(source=pictures, size=preparation.size, preparation=preparation)
    if pictures.record != preparation:
        raise UserError(
            f"{pictures} was prepared differently ({pictures.record}) from the photos of the mixer ({preparation}):"
            " give the original photos, or a set prepared like them"
        )
    return Side(source=pictures, size=preparation.size, preparation=None)


def _read(side: Side, parts: Cast, on_broken: OnBroken) -> tuple[dict[int, NDArray[np.uint8]], list[str]]:
    """The faces of a cast by their index, and the lines that tell which are left out."""
    broken: dict[int, BrokenImageError] = {}
    faces: dict[int, NDArray[np.uint8]] = {}
    for indices, block in blocks(side, parts.pictures, broken, on_broken == "fail"):
        faces.update(zip(indices, block, strict=True))
    return faces, settle_broken(list(broken.values()), on_broken, len(parts.pictures), side.source)


def _present(parts: Cast, faces: dict[int, NDArray[np.uint8]], source: Pictures) -> Cast:
    """A cast without those whose picture is broken. Raises UserError where nobody is left to mix or to compare with."""
    left = replace(
        parts,
        pairs=tuple(pair for pair in parts.pairs if faces.keys() >= set(pair)),
        random=tuple(index for index in parts.random if index in faces),
        others=tuple(two for two in parts.others if faces.keys() >= set(two)),
    )
    if not left.pairs or len(left.random) < 4:
        raise UserError(f"{source}: has sound pictures of too few persons: a pair and two others are the least")
    return left


def _titles(mixers: Sequence[Mixer]) -> list[str]:
    """The folders' names, or their paths where names are alike."""
    names = [mixer.folder.resolve().name for mixer in mixers]
    return names if len(set(names)) == len(names) else [str(mixer.folder) for mixer in mixers]

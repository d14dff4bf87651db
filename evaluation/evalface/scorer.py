"""The work of one score, once both sides are open and prepared alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.all_scores import NEIGHBOURS_AT_MOST, AllScores, all_scores
from evalface.embedding import Embedding, joint_tsne
from evalface.extractors.base import Extractor, NetworkExtractor
from evalface.extractors.pixels import Pixels
from evalface.extractors.precision import precision_effect
from evalface.features import SideFeatures, side_features
from evalface.frechet import Gaussian
from evalface.images import Side
from evalface.inputs import AlignedSide
from evalface.neighbours import equal_subsample
from evalface.panels import ReportPictures, SidePictures, choices, duplicate_pairs, panels, sample_sheet
from evalface.preflight import preflight
from evalface.records import pictures_record, settings_record, statistics_record, versions
from evalface.report import Report, SideKind, SideRecord
from evalface.score_set import FrechetScore, Scores
from evalface.statistics_side import StatisticsSide
from genface.errors import UserError
from genface.photos import OnBroken

MIN_PICTURES = 8
"""Fewer on a side give no extrapolation and no balls of five neighbours."""
TSNE_AT_MOST = 2_000
_BIAS_WARNING_BELOW = 10_000
_EFFECT_FACES = 32


@dataclass(kw_only=True)
class Log:
    """Notes and times as they come."""

    say: Callable[[str], None] | None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self, line: str) -> None:
        self.notes.append(line)
        if self.say:
            self.say(line)

    def warn(self, line: str) -> None:
        """Tell what may make the numbers meaningless."""
        self.warnings.append(line)
        self.tell(line)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """One score on its way."""

    network: Extractor
    on_broken: OnBroken
    seed: int
    tsne: bool
    log: Log
    show_progress: bool

    def everything(self, real: Side, fake: Side) -> Report:
        """Every score and picture, of two sides of pictures."""
        checked = self._preflight(real, fake)
        extractors = (self.network,) if isinstance(self.network, Pixels) else (self.network, Pixels())
        effect = self._precision_effect(real)
        with self.log.timed("features"):
            real_found = self._features(real, extractors, "real")
            fake_found = self._features(fake, extractors, "fake")
        self._warn_of_bias(len(real_found.names), len(fake_found.names))
        found = self._scores(real_found, fake_found)
        embedding = self._embedding(real_found, fake_found) if self.tsne else None
        with self.log.timed("pictures"):
            pictures = self._pictures(found, (real, real_found), (fake, fake_found))
        return self._report(
            real=pictures_record(real, real_found, _kind(real)),
            fake=pictures_record(fake, fake_found, _kind(fake)),
            scores=Scores.of(found, self.network.distance_name),
            effect=effect,
            preflight=checked,
            embedding=embedding,
            pictures=pictures,
            real_names=real_found.names,
            fake_names=fake_found.names,
        )

    def distance_alone(self, real: AlignedSide, fake: AlignedSide) -> Report:
        """The Frechet distance, where a side is statistics."""
        checked = self._preflight(real, fake)
        effect = next((self._precision_effect(side) for side in (real, fake) if isinstance(side, Side)), None)
        with self.log.timed("features"):
            one, real_record = self._gaussian(real, "real")
            other, fake_record = self._gaussian(fake, "fake")
        if real_record.n is not None and fake_record.n is not None:
            self._warn_of_bias(real_record.n, fake_record.n)
        with self.log.timed("frechet"):
            value = one.distance_to(other)
        floor = real.statistics.floor if isinstance(real, StatisticsSide) else None
        return self._report(
            real=real_record,
            fake=fake_record,
            scores=Scores(
                frechet=FrechetScore(
                    name=self.network.distance_name,
                    value=value,
                    floor=floor.value if floor else None,
                    floor_n=floor.n if floor else None,
                )
            ),
            effect=effect,
            preflight=checked,
        )

    def _preflight(self, real: AlignedSide, fake: AlignedSide) -> dict[str, Any]:
        with self.log.timed("preflight"):
            checked = preflight(real, fake)
        for warning in checked.warnings:
            self.log.warn(warning)
        return checked.to_dict()

    def _features(self, side: Side, extractors: Sequence[Extractor], label: str) -> SideFeatures:
        found = side_features(side, extractors, self.on_broken, label, self.show_progress)
        for line in found.broken:
            self.log.tell(line)
        if len(found.names) < MIN_PICTURES:
            raise UserError(f"{side.source}: only {len(found.names)} pictures are whole; {MIN_PICTURES} are needed")
        return found

    def _gaussian(self, side: AlignedSide, label: str) -> tuple[Gaussian, SideRecord]:
        if isinstance(side, StatisticsSide):
            if said := side.check_extractor(self.network):
                self.log.warn(said)
            return side.statistics.gaussian, statistics_record(side)
        found = self._features(side, (self.network,), label)
        return Gaussian.of(found.values[self.network.name]), pictures_record(side, found, _kind(side))

    def _precision_effect(self, side: Side) -> dict[str, Any] | None:
        """What a reduced precision does to the features of the side's first faces; said, and kept in the report."""
        if not isinstance(self.network, NetworkExtractor) or self.network.precision == "fp32":
            return None
        faces = side.faces(range(min(_EFFECT_FACES, len(side.source))))
        whole = [face.pixels for face in faces if face.pixels is not None]
        if not whole:
            return None
        with self.log.timed("precision_effect"):
            effect = precision_effect(self.network, np.stack(whole))
        self.log.tell(
            f"{self.network.precision} moves the features of {effect.n} pictures of {side.source} by"
            f" {effect.of_length:.2%} of their length and {effect.of_spread:.2%} of their spread, measured against fp32"
        )
        return {key: value if math.isfinite(value) else None for key, value in asdict(effect).items()}

    def _warn_of_bias(self, n_real: int, n_fake: int) -> None:
        if min(n_real, n_fake) < _BIAS_WARNING_BELOW:
            self.log.tell(
                f"N = {n_real:,} real and {n_fake:,} fake: the Frechet distance is biased upwards at small N, so"
                " compare it only with scores at the same N, and with the noise floor"
            )

    def _scores(self, real: SideFeatures, fake: SideFeatures) -> AllScores:
        name = self.network.name
        in_pixels = name != Pixels.name
        found = all_scores(
            real.values[name],
            fake.values[name],
            pixels_real=real.values[Pixels.name] if in_pixels else None,
            pixels_fake=fake.values[Pixels.name] if in_pixels else None,
            seed=self.seed,
        )
        self.log.seconds.update(found.seconds)
        if in_pixels:
            return found
        # Pixels are the features.
        return replace(
            found, leave_one_out_pixels=found.leave_one_out, leave_one_out_pixels_test=found.leave_one_out_test
        )

    def _embedding(self, real: SideFeatures, fake: SideFeatures) -> Embedding | None:
        with self.log.timed("tsne"):
            embedding = joint_tsne(
                real.values[self.network.name], fake.values[self.network.name], self.seed, TSNE_AT_MOST
            )
        if embedding is None:
            self.log.tell("no t-SNE picture: the features of all pictures are equal")
        return embedding

    def _pictures(
        self, found: AllScores, real: tuple[Side, SideFeatures], fake: tuple[Side, SideFeatures]
    ) -> ReportPictures:
        reals, fakes = (SidePictures(names=of.names, read=_reader(side, of.indices)) for side, of in (real, fake))
        pairs = []
        if found.duplicates.near_in_fake:
            _, rows = equal_subsample(found.n_real, found.n_fake, self.seed, NEIGHBOURS_AT_MOST)
            features = fake[1].values[self.network.name][rows]
            pairs = duplicate_pairs(features, rows, found.duplicates.threshold, self.seed)
        return ReportPictures(
            real_sheet=sample_sheet(reals, self.seed),
            fake_sheet=sample_sheet(fakes, self.seed),
            panels=panels(choices(found.noteworthy, pairs), reals, fakes),
        )

    def _report(
        self,
        *,
        real: SideRecord,
        fake: SideRecord,
        scores: Scores,
        effect: dict[str, Any] | None,
        preflight: dict[str, Any],
        embedding: Embedding | None = None,
        pictures: ReportPictures | None = None,
        real_names: Sequence[str] = (),
        fake_names: Sequence[str] = (),
    ) -> Report:
        return Report(
            real=real,
            fake=fake,
            extractor={"title": self.network.title, **self.network.identity(), "precision_effect": effect},
            scores=scores,
            settings=settings_record(seed=self.seed, on_broken=self.on_broken, embedding=embedding),
            notes=self.log.notes,
            warnings=self.log.warnings,
            preflight=preflight,
            seconds={name: round(value, 3) for name, value in self.log.seconds.items()},
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            embedding=embedding,
            pictures=pictures,
            real_names=real_names,
            fake_names=fake_names,
        )


def _kind(side: Side) -> SideKind:
    from evalface.generated import DrawnPictures

    return "generator" if isinstance(side.source, DrawnPictures) else "pictures"


def _reader(side: Side, indices: NDArray[np.int64]) -> Callable[[Sequence[int]], list[NDArray[np.uint8]]]:
    def read(rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        faces = [face.pixels for face in side.faces([int(indices[row]) for row in rows])]
        whole = [pixels for pixels in faces if pixels is not None]
        assert len(whole) == len(rows), "a picture that was scored can be read again, or the side raises"
        return whole

    return read

"""Drawing a random sample of an archive again, to see that it is what its manifest says."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from genface.archive import PictureNames
from genface.errors import UserError
from genface.judge import Verdict, judge
from genface.latents_file import latents_sha256
from genface.model import Generator
from genface.model_file import read_model
from genface.providers import Precision
from genface.record import DrawingRecord, read_record
from genface.sources import MANIFEST, PictureSource, open_source

_NAMED_AT_MOST = 5
_DRAWN_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a sample of an archive's pictures, drawn again, has shown. Pictures are counted, or named."""

    path: str
    pictures: int
    """Pictures that the archive holds; none is missing."""
    sample_seed: int
    """Gives the same sample again."""
    checked: int
    """Pictures drawn again: `same_bytes`, `same_pixels`, `within_tolerance` and `different` together."""
    same_bytes: int
    same_pixels: int
    """Other bytes, as another version of the encoder writes them."""
    within_tolerance: int
    """A level off by one, as another machine may round; in a JPEG what comes of that (see judge.py)."""
    different: tuple[str, ...]
    """Pictures that are further off, of another size, or broken."""
    wrong_marks: tuple[str, ...]
    """Pictures whose marks are not those of their model, seed and index."""
    largest_difference: int
    """In levels of 0 to 255, over all pictures that could be compared."""
    reasons: tuple[str, ...]
    """What is wrong with the pictures of `different` and `wrong_marks`, a line each."""
    drawn_by: dict[str, str]
    """Versions that the manifest names."""

    @property
    def ok(self) -> bool:
        """Whether every checked picture is what the manifest says."""
        return not (self.different or self.wrong_marks)

    def describe(self) -> str:
        """The result in plain lines for a person."""
        lines = [
            f"{self.path}: complete, {self.pictures:,} pictures",
            f"drew {self.checked:,} of them again (sample seed {self.sample_seed}): {self.same_bytes:,} with the same"
            f" bytes, {self.same_pixels:,} with the same pixels, {self.within_tolerance:,} within rounding,"
            f" {len(self.different):,} different",
        ]
        if self.same_bytes < self.checked:
            versions = ", ".join(f"{name} {version}" for name, version in sorted(self.drawn_by.items()))
            lines.append(
                f"largest difference of a level: {self.largest_difference}; drawn by {versions or 'no version'}"
            )
        lines += self.reasons[:_NAMED_AT_MOST]
        if len(self.reasons) > _NAMED_AT_MOST:
            lines.append(f"... and {len(self.reasons) - _NAMED_AT_MOST:,} more")
        lines.append(
            "the archive is what its manifest says" if self.ok else "the archive is NOT what its manifest says"
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The result for a program, ready for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()} | {
            "ok": self.ok
        }


def recorded_run(path: Path, model: Path) -> dict[str, Any]:
    """The arguments of `Generator` that an archive was drawn with, for opening its model the same way.

    Raises UserError for what is no archive of genface, and when `model` is another file than it was drawn by.
    """
    with open_source(path) as source:
        record = read_record(source.manifest, path)
    _check_model(record, hashlib.sha256(read_model(model)).hexdigest(), model, path)
    return {
        "provider": record.provider,
        # A provider that chooses its arithmetic itself is asked for none.
        "precision": record.precision if record.precision in get_args(Precision) else "fp32",
        "inputs": dict(record.inputs),
        **record.answers,
    }


def verify_archive(
    path: Path,
    generator: Generator,
    *,
    sample: int = 64,
    seed: int | None = None,
    latents: NDArray[np.float32] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Verification:
    """Check that an archive is complete, draw a random sample of its pictures again, and compare.

    Args:
        path: a .zip, .tar or folder that genface has drawn.
        generator: its model, opened as `recorded_run` says.
        sample: how many pictures are drawn again, at least 1; all of them when the archive holds no more.
        seed: chooses the sample; None takes one that nobody can foresee.
        latents: float32 [N, z_dim], what the archive was drawn from where that was no seed.
        progress: called with the number of pictures compared so far.

    Raises:
        UserError: when it is no archive of genface, its manifest is damaged, pictures are missing or too many, or it
            was drawn by another model, provider, precision, inputs or latents than are given here. Pictures that are
            not what they should be are no error: they are in the result.
    """
    if sample < 1:
        raise UserError(f"the sample must be at least 1 picture, not {sample}")
    if seed is None:
        seed = secrets.randbits(32)
    with open_source(path) as source:
        record = read_record(source.manifest, path)
        _check_complete(source, record)
        _check_generator(record, generator, path)
        _check_latents(record, latents, path)
        # random.sample, unlike NumPy's, makes no list of what it chooses from.
        indices = random.Random(seed).sample(record.indices, min(sample, len(record.indices)))
        verdicts = []
        for done, verdict in enumerate(_verdicts(source, record, generator, indices, latents), 1):
            verdicts.append(verdict)
            progress(done)
    outcomes = [verdict.outcome for verdict in verdicts]
    return Verification(
        path=str(path),
        pictures=len(record.indices),
        sample_seed=seed,
        checked=len(verdicts),
        same_bytes=outcomes.count("same bytes"),
        same_pixels=outcomes.count("same pixels"),
        within_tolerance=outcomes.count("within tolerance"),
        different=tuple(verdict.name for verdict in verdicts if verdict.outcome == "different"),
        wrong_marks=tuple(verdict.name for verdict in verdicts if not verdict.marks_right),
        largest_difference=max(verdict.difference for verdict in verdicts),
        reasons=tuple(f"{verdict.name}: {reason}" for verdict in verdicts for reason in verdict.reasons),
        drawn_by=dict(record.versions),
    )


def _verdicts(
    source: PictureSource,
    record: DrawingRecord,
    generator: Generator,
    indices: Sequence[int],
    latents: NDArray[np.float32] | None,
) -> Iterator[Verdict]:
    """Draw and judge pictures, a few at a time: a sample may be the whole archive."""
    for start in range(0, len(indices), _DRAWN_AT_ONCE):
        part = indices[start : start + _DRAWN_AT_ONCE]
        if latents is not None:
            pictures = generator.from_latents(latents[part])
        else:
            assert record.seed is not None
            pictures = generator.draw(seed=record.seed, indices=part, truncation=record.truncation)
        for index, pixels in zip(part, pictures, strict=True):
            yield judge(source, record, index, pixels)


def _check_complete(source: PictureSource, record: DrawingRecord) -> None:
    """Raise UserError unless the pictures are those of the manifest, no fewer, no more.

    Time and memory go with what is there, not with what a manifest promises.
    """
    names = record.names
    there = set(source.names)
    strangers = [name for name in source.names if not _is_one_of(names, name)]
    if strangers:
        raise UserError(f"{source}: {_listed(strangers, len(strangers))} not among the pictures of its {MANIFEST}")
    lacking = len(names) - len(there)
    if lacking:
        missing = (names[position] for position in range(len(names)) if names[position] not in there)
        first = list(islice(missing, _NAMED_AT_MOST))
        raise UserError(f"{source}: not complete: of {len(names):,} pictures {_listed(first, lacking)} missing")


def _is_one_of(names: PictureNames, name: str) -> bool:
    digits = name.partition(".")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return False
    index = int(digits)
    return index in names.indices and names[index - names.indices.start] == name


def _listed(names: Sequence[str], count: int) -> str:
    if count == 1:
        return f"{names[0]} is"
    shown = ", ".join(names[:_NAMED_AT_MOST]) + (", ..." if count > _NAMED_AT_MOST else "")
    return f"{count:,} ({shown}) are"


def _check_generator(record: DrawingRecord, generator: Generator, path: Path) -> None:
    """Raise UserError unless the generator is the archive's, and opened as it was then."""
    info = generator.info
    _check_model(record, info.sha256, info.path, path)
    pairs = {
        "provider": (record.provider, info.provider.name),
        "precision": (record.precision, info.provider.precision),
        "inputs": (dict(record.inputs), dict(info.inputs)),
        "answers": (dict(record.answers), dict(info.answers)),
    }
    for key, (then, now) in pairs.items():
        if then != now:
            raise UserError(
                f"{path}: was drawn with {key} {then}, the model was opened with {now}; open it the same way"
            )
    if (info.height, info.width) != (record.height, record.width):
        drawn = f"{info.width}x{info.height}"
        raise UserError(f"{path}: its {MANIFEST} says {record.width}x{record.height} pixels, its model draws {drawn}")


def _check_model(record: DrawingRecord, sha256: str, model: Path, path: Path) -> None:
    if sha256 != record.model_sha256:
        raise UserError(
            f"{path}: was drawn by the model of SHA-256 {record.model_sha256}; {model} is {sha256}: give the file that"
            " it was drawn by"
        )


def _check_latents(record: DrawingRecord, latents: NDArray[np.float32] | None, path: Path) -> None:
    """Raise UserError unless latents are given where the archive was drawn from such, and are these."""
    if record.latents_sha256 is None:
        if latents is not None:
            raise UserError(f"{path}: was drawn by seed {record.seed}, not from a file of latents; leave that out")
        return
    if latents is None:
        raise UserError(f"{path}: was drawn from latents of SHA-256 {record.latents_sha256}: give their file")
    given = latents_sha256(latents)
    if given != record.latents_sha256:
        raise UserError(f"{path}: was drawn from latents of SHA-256 {record.latents_sha256}, those given are {given}")
    if len(latents) < record.n:
        raise UserError(f"{path}: its {MANIFEST} promises {record.n:,} pictures of {len(latents):,} latents")

"""Statistics of a real set, to be shipped in place of its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evalface.extractors.base import Extractor
from evalface.features import side_features
from evalface.frechet import noise_floor_at
from evalface.gaussian_file import Form, write_statistics
from evalface.images import Pictures, Side
from evalface.inputs import PathLike, Role, align, common_preparation, open_side
from evalface.moments import Moments, merged
from genface.errors import UserError
from genface.photos import OnBroken, Preparation

_ROWS = 4096
"""Rows that are turned into float64 at a time."""
_SEED = 0
"""Of the halves of a noise floor."""
_FLOOR_FROM = 4


@dataclass(frozen=True, kw_only=True)
class MadeStatistics:
    """What was written, for a person."""

    path: Path
    n: int
    preparation: Preparation
    form: Form


def make_statistics(
    real: PathLike,
    out: Path,
    extractor: Extractor,
    *,
    size: int | None = None,
    like: PathLike | None = None,
    on_broken: OnBroken = "fail",
    form: Form = "full",
    say: Callable[[str], None] = lambda line: None,
    show_progress: bool = False,
) -> MadeStatistics:
    """Write mean, covariance, count and noise floor of the features of `real` to the .npz `out`.

    The full form is pytorch-fid's as well: it finds `mu` and `sigma` in it and looks for nothing else. The compact one
    has a quarter of the bytes and is evalface's alone (`evalface.gaussian_file`). The pictures are
    prepared like those of `like` (an archive, a statistics file or a generator), else by the record of `real`, else to
    `size` px, else to the size that all of them have. Lines for a person go to `say`. Raises UserError for input that
    cannot be used and for less than 2 pictures.
    """
    if out.suffix.lower() != ".npz":
        raise UserError(f"{out}: a statistics file is named .npz")
    with open_side(real, role="real") as pictures:
        if not isinstance(pictures, Pictures):
            raise UserError(f"{real}: is a statistics file already")
        side, said = _prepared(pictures, size, like)
        say(said)
        assert side.record is not None
        found = side_features(side, [extractor], on_broken, "real", show_progress)
        for line in found.broken:
            say(line)
        values = found.values[extractor.name]
        moments = merged(Moments.of(values[start : start + _ROWS]) for start in range(0, len(values), _ROWS))
        write_statistics(
            out,
            moments,
            extractor=extractor.identity(),
            preparation=side.record.to_dict(),
            form=form,
            floor=noise_floor_at(values, len(values) // 2, _SEED) if len(values) >= _FLOOR_FROM else None,
        )
        return MadeStatistics(path=out, n=moments.n, preparation=side.record, form=form)


def _prepared(pictures: Pictures, size: int | None, like: PathLike | None) -> tuple[Side, str]:
    if like is not None:
        role: Role = "fake"
        with open_side(like, role=role) as leader:
            side, _, said = align(pictures, leader, size)
        assert isinstance(side, Side)
        return side, said
    record = pictures.record
    if record is not None:
        if size not in (None, record.size):
            raise UserError(f"--size {size} contradicts {pictures}, whose record says {record}; leave --size out")
        return Side(source=pictures, size=record.size, preparation=None), f"{pictures} is used as it is ({record})"
    target = Preparation(size=size) if size is not None else common_preparation(pictures)
    return Side(source=pictures, size=target.size, preparation=target), f"pictures are prepared as {target}"

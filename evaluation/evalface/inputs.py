"""The two sides of a score, whatever they come from: files of pictures, a generator that draws, or statistics.

    with open_side("faces/", role="real") as real, open_side("gen.onnx", role="fake", n=10_000) as fake:
        real_side, fake_side, said = align(real, fake, size=None)
        checked = preflight(real_side, fake_side)                      # evalface.preflight: facts and warnings
        found = side_features(real_side, extractors, "fail", "real", show_progress=True)     # evalface.features

`open_side` gives `Pictures` or a `StatisticsSide`; `align` gives a `Side` for the former and the latter as it is. A
`Side` has features, names and faces (`side.faces([i])`); a `StatisticsSide` has `statistics.gaussian` alone, of which
no score but the Frechet distance can be made, once its `check_extractor` has agreed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from evalface.images import PictureFiles, Pictures, Side
from evalface.shards import ShardsSource
from evalface.statistics_side import StatisticsSide, open_statistics
from genface.errors import UserError
from genface.photos import Preparation
from genface.providers import Precision
from genface.sources import open_source

Role = Literal["real", "fake"]
Input = Pictures | StatisticsSide
AlignedSide = Side | StatisticsSide
PathLike = str | os.PathLike[str]

DRAWN_UNLESS_SAID = 10_000
"""Pictures of a generator where no n is given; the number that genface draws."""
_MODEL, _STATISTICS = ".onnx", ".npz"


def open_side(
    path: PathLike | Sequence[PathLike],
    *,
    role: Role,
    n: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
    provider: str = "auto",
    precision: Precision = "fp32",
) -> Input:
    """Open one side of a score.

    Args:
        path: a folder, a .zip or .tar of pictures, or what else `genface.sources.open_source` takes; a statistics file
            (.npz); for the fake side a generator (.onnx). Several paths are the shards of one drawing, or the
            statistics of the parts of one set.
        role: which side it is.
        n: how many pictures a generator draws, 10,000 unless given.
        seed: of its latents: picture i of a seed is always the same.
        truncation: of its latents (`genface.latents.latents`).
        provider: what runs it (`genface.model.Generator`); the same as for an archive gives the same pixels.
        precision: its arithmetic.

    Raises:
        UserError: when there is no such thing or it is damaged, and for an n or truncation of what is no generator.
    """
    paths = [os.fspath(one) for one in ([path] if isinstance(path, str | os.PathLike) else path)]
    if not paths:
        raise UserError(f"no path is given for the {role} side")
    endings = {Path(one).suffix.lower() for one in paths}
    if endings == {_MODEL}:
        if role == "real":
            raise UserError(f"{paths[0]}: real faces are pictures or statistics, not what a generator draws")
        if len(paths) > 1:
            raise UserError(f"{paths[1]}: a score is of one generator; give one {_MODEL} file")
        return _open_generator(paths[0], DRAWN_UNLESS_SAID if n is None else n, seed, truncation, provider, precision)
    if n is not None or truncation is not None:
        raise UserError(f"{paths[0]}: a number of pictures and a truncation belong to a generator ({_MODEL})")
    if endings == {_STATISTICS}:
        return open_statistics([Path(one) for one in paths])
    if len(paths) > 1:
        return PictureFiles(ShardsSource(paths))
    return PictureFiles(open_source(paths[0]))


def is_generator(path: PathLike) -> bool:
    """Whether `open_side` would take a path for a generator."""
    return Path(path).suffix.lower() == _MODEL


def _open_generator(
    path: str, n: int, seed: int, truncation: float | None, provider: str, precision: Precision
) -> Pictures:
    # ONNX Runtime takes a quarter of a second to load.
    from evalface.generated import DrawnPictures
    from genface.model import Generator

    generator = Generator(path, provider=provider, precision=precision)
    return DrawnPictures(generator, n, seed=seed, truncation=truncation)


def align(real: Input, fake: Input, size: int | None) -> tuple[AlignedSide, AlignedSide, str]:
    """Decide how both sides are prepared; returns real, fake and the sentence that tells a person.

    One side leads, the other one follows: the fake side leads, or the real one where the fake side is statistics that
    do not tell their preparation.

    1. The leader carries a preparation: the follower is prepared by it, or used as it is if it carries the same.
    2. No record and all pictures of the leader are squares of one size: that size, centre crop.
    3. Otherwise both sides are centre-cropped to `size`, which must be given.

    Raises UserError for records that differ, for a `size` that contradicts a record, and where `size` is missing.
    """
    fake_leads = isinstance(fake, Pictures) or fake.record is not None
    leader, follower = (fake, real) if fake_leads else (real, fake)
    who = "real" if fake_leads else "fake"
    if isinstance(real, StatisticsSide) and isinstance(fake, StatisticsSide) and leader.record is None:
        return real, fake, f"nothing tells how the pictures of {real} and {fake} were prepared"
    if leader.record is not None:
        target = leader.record
        if size not in (None, target.size):
            raise UserError(f"--size {size} contradicts {leader}, whose record says {target}; leave --size out")
        said = f"{who} pictures are prepared as {_place(leader)} says ({target})"
    elif size is not None:
        target = Preparation(size=size)
        said = f"both sides are prepared by --size ({target})"
    else:
        assert isinstance(leader, Pictures)
        target = common_preparation(leader)
        said = f"{who} pictures are prepared to the size of those of {leader}, which carry no record ({target})"
    if isinstance(leader, Pictures):
        cut = target if leader.record is None and size is not None else None
        leading: AlignedSide = Side(source=leader, size=target.size, preparation=cut)
    else:
        leading = leader
    following, more = _follow(follower, leader, target)
    return (following, leading, said + more) if fake_leads else (leading, following, said + more)


def _follow(follower: Input, leader: Input, target: Preparation) -> tuple[AlignedSide, str]:
    """The follower prepared like the leader, and what is to be said of it."""
    if follower.record is None:
        if isinstance(follower, StatisticsSide):
            return follower, f"; nothing tells how the pictures of {follower} were prepared"
        return Side(source=follower, size=target.size, preparation=target), ""
    # Without a record on the leader its crop is unknown, and the follower's own is as good as any.
    fits = follower.record == target if leader.record is not None else follower.record.size == target.size
    if not fits:
        raise UserError(
            f"{follower} was prepared differently ({follower.record}) from {leader} ({target}): give the original"
            " photos as the real side, or a set prepared like the fakes"
        )
    said = f"; {follower} is prepared so already ({follower.record}) and used as it is"
    if isinstance(follower, StatisticsSide):
        return follower, said
    return Side(source=follower, size=target.size, preparation=None), said


def common_preparation(pictures: Pictures) -> Preparation:
    """The centre crop to the one size of square pictures. Raises UserError where sizes differ or are not square."""
    found = pictures.survey.sizes
    if len(found) == 1:
        (width, height), *_ = found
        if width == height:
            try:
                return Preparation(size=width)
            except UserError as error:
                raise UserError(
                    f"{pictures}: carries no record of its preparation, and its pictures are {width}x{height}: {error};"
                    " say by --size N to what size both sides are centre-cropped"
                ) from error
    shown = ", ".join(f"{width}x{height}" for width, height in sorted(found)[:4]) or "none readable"
    raise UserError(
        f"{pictures}: carries no record of its preparation, and its pictures are not squares of one size ({shown}"
        f"{', ...' if len(found) > 4 else ''}); say by --size N to what size both sides are centre-cropped"
    )


def _place(side: Input) -> str:
    """Where its record stands."""
    if isinstance(side, StatisticsSide):
        return str(side)
    return f"the {'metadata' if str(side).lower().endswith(_MODEL) else 'manifest'} of {side}"

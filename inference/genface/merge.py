"""Joining the shards of a drawing into the archive that one run would have written, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from genface.archive import KIND, Archive, PictureNames, open_archive, shard_indices, unfinished_path
from genface.errors import UserError
from genface.latents import MAX_INDEX
from genface.resume import differences
from genface.sources import PictureSource, open_source
from genface.whole import is_whole

_NAMED_AT_MOST = 10


@dataclass(frozen=True, kw_only=True)
class _Shard:
    path: Path
    manifest: dict[str, Any]
    """Without its shard."""
    number: int
    count: int
    names: PictureNames


def merge_archives(parts: Sequence[Path], out: Path, *, force: bool = False) -> int:
    """Join all the shards of one drawing, given in any order and container, into the archive `out`.

    Gives the number of pictures. They are copied byte for byte, one at a time.

    Raises UserError naming the file when a part is no finished shard, is damaged, of another drawing, there twice or
    missing; and as `genface.archive.open_archive` does.
    """
    shards = sorted((_read_shard(path) for path in parts), key=lambda shard: shard.number)
    _check_one_drawing(shards)
    first = shards[0]
    if any(out.exists() and out.samefile(path) for path in parts):
        raise UserError(f"{out}: is one of the parts; choose another --out")
    n = first.manifest["n"]
    names = PictureNames(range(n), first.names.ending)
    with open_archive(out, manifest={**first.manifest, "shard": None}, names=names, force=force) as archive:
        for shard in shards:
            with open_source(shard.path.absolute()) as source:
                _copy(shard, source, archive)
    return len(names)


def _read_shard(path: Path) -> _Shard:
    if not path.exists() and unfinished_path(path).exists():
        raise UserError(f"{path}: is not finished; draw it to its end by --resume")
    with open_source(path.absolute()) as source:
        manifest, present = source.manifest, set(source.names)
        ending = PurePosixPath(source.names[0]).suffix.removeprefix(".")
    if manifest is None or manifest.get("kind") != KIND:
        raise UserError(f"{path}: is no archive that genface has drawn")
    match manifest:
        case {"shard": None}:
            raise UserError(f"{path}: is a whole archive, not a shard; there is nothing to merge")
        case {"n": int(n), "shard": [int(number), int(count)]} if 1 <= number <= count <= n <= MAX_INDEX:
            names = PictureNames(shard_indices(n, number, count), ending)
        case _:
            raise UserError(f"{path}: its manifest states no shard of a number of pictures; draw it by --shard K/N")
    if len(present) != len(names) or any(names[index] not in present for index in range(len(names))):
        span = f"{names[0]} to {names[len(names) - 1]}"
        raise UserError(f"{path}: does not hold the pictures of its shard, {span}; draw it anew")
    rest = {key: value for key, value in manifest.items() if key != "shard"}
    return _Shard(path=path, manifest=rest, number=number, count=count, names=names)


def _check_one_drawing(shards: Sequence[_Shard]) -> None:
    """Raise UserError unless these are all the shards of one drawing, each once; they are sorted by number."""
    if not shards:
        raise UserError("no parts to merge; give the shards of one drawing")
    first = shards[0]
    for shard in shards[1:]:
        if different := differences(
            {**shard.manifest, "shards": shard.count}, {**first.manifest, "shards": first.count}
        ):
            raise UserError(f"{shard.path}: is of another drawing than {first.path} ({different})")
    for shard, following in pairwise(shards):
        if shard.number == following.number:
            raise UserError(f"{following.path}: is shard {shard.number} of {shard.count}, as {shard.path} is")
    given = {shard.number for shard in shards}
    if absent := list(islice((number for number in range(1, first.count + 1) if number not in given), _NAMED_AT_MOST)):
        raise UserError(
            f"{len(given)} of {first.count:,} shards were given; shard {', '.join(map(str, absent))}"
            f"{' and more' if len(given) + len(absent) < first.count else ''} is missing"
        )


def _copy(shard: _Shard, source: PictureSource, archive: Archive) -> None:
    for index in range(len(shard.names)):
        name = shard.names[index]
        try:
            data = source.read(name)
        except UserError as error:
            raise UserError(f"{shard.path}: {error}; draw this shard anew") from error
        if not is_whole(name, data):
            raise UserError(f"{shard.path}: {name} is damaged; draw this shard anew")
        archive.write(name, data)

"""Several shards of one drawing as one side, with the pictures and the order of the archive that they merge into."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from genface.archive import KIND
from genface.errors import UserError
from genface.resume import differences
from genface.sources import PictureSource, open_source


class ShardsSource(PictureSource):
    """The pictures of archives that `genface --shard k/K` has drawn, read where they lie.

    Not all shards need be there: the manifest still tells the n of the whole drawing. Raises UserError for what is no
    shard, for shards of different drawings, and for one that is given twice.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        with ExitStack() as undo:
            sources = [undo.enter_context(open_source(path)) for path in paths]
            self._homes = {name: source for source in sources for name in source.names}
            _check_one_drawing(sources)
            manifest = {**(sources[0].manifest or {}), "shard": None}
            super().__init__(sources[0].path, sorted(self._homes), manifest)
            self._label = " + ".join(str(source) for source in sources)
            self._open = undo.pop_all()  # from here on `close` closes them

    def read(self, name: str) -> bytes:
        return self._homes[name].read(name)

    def stamp(self, name: str) -> str | None:
        return self._homes[name].stamp(name)

    def close(self) -> None:
        self._open.close()

    def __str__(self) -> str:
        return self._label


def _check_one_drawing(sources: Sequence[PictureSource]) -> None:
    first = sources[0]
    taken: dict[str, PictureSource] = {}
    for source in sources:
        manifest = source.manifest or {}
        if manifest.get("kind") != KIND or not manifest.get("shard"):
            raise UserError(
                f"{source}: is no shard that genface has drawn; several paths must be shards of one drawing"
            )
        if different := differences({**manifest, "shard": None}, {**(first.manifest or {}), "shard": None}):
            raise UserError(f"{source}: is of another drawing than {first} ({different})")
        for name in source.names:
            if name in taken:
                raise UserError(f"{source}: holds {name}, and so does {taken[name]}; give every shard once")
            taken[name] = source

"""How a large picture is cut into tiles that a convolutional network may take one by one.

A pixel near a tile's border is computed from mirrored pixels in place of those beyond it. So tiles overlap, and of each
only what lies farther from its borders than the network reaches is kept; at the picture's own borders nothing is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from genface.errors import UserError


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in pixels of the picture."""

    start: int
    stop: int
    """What the network is fed."""
    first: int
    last: int
    """What is kept of its result, `last` excluded: `start <= first < last <= stop`."""


@dataclass(frozen=True)
class Tile:
    """A rectangle to feed, and the part of it to keep."""

    rows: Span
    cols: Span

    @property
    def window(self) -> tuple[slice, slice]:
        """What is fed, within the picture."""
        return slice(self.rows.start, self.rows.stop), slice(self.cols.start, self.cols.stop)

    @property
    def core(self) -> tuple[slice, slice]:
        """What is kept, within the picture."""
        return slice(self.rows.first, self.rows.last), slice(self.cols.first, self.cols.last)

    @property
    def kept(self) -> tuple[slice, slice]:
        """What is kept, within the window."""
        return (
            slice(self.rows.first - self.rows.start, self.rows.last - self.rows.start),
            slice(self.cols.first - self.cols.start, self.cols.last - self.cols.start),
        )


def tiles(height: int, width: int, *, tile: int, margin: int, stride: int) -> list[Tile]:
    """Cut a picture, row by row, into tiles whose cores cover it, each pixel once.

    Args:
        height: of the picture, in pixels.
        width: of the picture.
        tile: the most that is fed, in pixels per side.
        margin: how far the network reaches, in pixels.
        stride: tiles start at multiples of it.

    Raises UserError for a tile that its margins fill.
    """
    rows = _spans(height, tile, margin, stride)
    return [Tile(row, col) for row in rows for col in _spans(width, tile, margin, stride)]


def _spans(length: int, tile: int, margin: int, stride: int) -> list[Span]:
    if length <= tile:
        return [Span(0, length, 0, length)]
    step = (tile - 2 * margin) // stride * stride
    if step < 1:
        raise UserError(f"a tile of {tile} px has no inside, since the network reaches {margin} px: take a larger one")
    # The last tile ends with the picture and is as large as the others, or by less than a stride smaller.
    last = -(-(length - tile) // stride) * stride
    starts = [*range(0, last, step), last]
    firsts = [0, *(start + margin for start in starts[1:]), length]
    return [Span(start, min(start + tile, length), firsts[at], firsts[at + 1]) for at, start in enumerate(starts)]

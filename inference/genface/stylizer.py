"""A style file: photos of any size in the manner of its paintings; large ones tile by tile, without seams.

A network with instance norms sees the whole picture in every pixel, through the means and variances of its channels.
These are taken from a thumbnail and given to every tile (Chen, Wang, Xie, Lu & Luo, "Towards ultra-resolution neural
style transfer via thumbnail instance normalization", AAAI 2022), so that tiles fit together.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genface.contract import Port, known
from genface.errors import UserError
from genface.graph import Graph, Signature, side_by_side
from genface.mixing import checked_weights
from genface.model_file import read_model
from genface.parallel import ordered_map
from genface.photos import MIN_SIDE
from genface.style_card import StyleCard
from genface.tiles import Tile, tiles

Picture = NDArray[np.uint8]

THUMBNAIL = 512
"""Longer side, in pixels, of the copy that the norms are taken from; a photo that is no larger is done in one piece."""
TILE = 768
"""Side of a tile in pixels, unless said otherwise. A larger one wastes less on overlap and takes more memory."""

_STYLE_FILE = Signature(
    what="a style file",
    takes=(
        Port(name="photo", type="tensor(uint8)", shape=(1, "height", "width", 3)),
        Port(name="weights", type="tensor(float)", shape=(1, None)),
        Port(name="norms", type="tensor(float)", shape=(2, None)),
        Port(name="use_norms", type="tensor(float)", shape=(1,)),
    ),
    gives=(
        Port(name="picture", type="tensor(uint8)", shape=(1, "height", "width", 3)),
        Port(name="norms_out", type="tensor(float)", shape=(2, None)),
    ),
    trial={"height": 41, "width": 30},  # odd, even, and no multiples of a stride
)


class Stylizer:
    """A style file that is ready.

    The picture does not depend on the number of threads, and on the size of tiles only by rounding: one level at a few
    values in a thousand.

        stylizer = Stylizer("style.onnx")
        picture = stylizer.stylize(photo, stylizer.weights(["waves"], strength=0.8))   # uint8 [H, W, 3]
    """

    path: Path
    card: StyleCard
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    provider: str
    """What runs it, by its short name."""
    passed_over: tuple[str, ...]
    """What `auto` would have preferred, is installed, and does not run it here: `NAME: reason`."""

    def __init__(self, path: str | os.PathLike[str], *, provider: str = "cpu", threads: int | None = None) -> None:
        """Open a file that `exportface style` has written, and run it once as a trial.

        Args:
            path: the .onnx file.
            provider: what runs it, by `genface.providers.find_provider`'s names, or `auto`.
            threads: how many tiles are done side by side; one per usable core unless given.

        Raises:
            UserError: naming the file, when it is missing, damaged, of a newer version or no style file.
        """
        self.path = Path(path)
        graph = Graph(self.path, read_model(self.path), _STYLE_FILE, provider)
        self._graph = graph
        self._threads = side_by_side(graph.provider, threads)
        self.sha256, self.provider, self.passed_over = graph.sha256, graph.provider.name, graph.passed_over
        try:
            self.card = StyleCard.from_props(graph.metadata)
            taken = graph.inputs["weights"].shape[1]
            if taken != len(self.card.styles) + 1:
                raise UserError(f"its metadata names {len(self.card.styles)} styles, its graph takes {taken} weights")
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        length = known(graph.inputs["norms"].shape[1])
        assert length is not None  # the signature asks for it
        self._no_norms = np.zeros((2, length), dtype=np.float32)

    def weights(self, chosen: Sequence[str], strength: float = 1.0) -> NDArray[np.float32]:
        """Weights of all styles, float32 [K + 1], for what a person has chosen; see `style_weights`."""
        return style_weights(self.card.styles, chosen, strength)

    def stylize(
        self,
        photo: Picture,
        weights: NDArray[np.float32],
        *,
        tile: int = TILE,
        done: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Picture:
        """Draw a photo, uint8 [H, W, 3] with sides of at least 8, by weights float32 [K + 1]: uint8 [H, W, 3].

        `done` is told how many tiles of how many are done. Memory: the photo, the picture, and per thread what the
        network needs for one tile; a photo of up to 512 px is one piece.

        Raises UserError for a tile that its margins fill, and when a run fails.
        """
        height, width = photo.shape[:2]
        if max(height, width) <= THUMBNAIL:
            return self._draw(photo, weights, None)
        pieces = tiles(height, width, tile=tile, margin=self.card.margin, stride=self.card.stride)
        (norms,) = self._graph.run(self._feed(_thumbnail(photo), weights, None), "norms_out")

        def draw(piece: Tile) -> Picture:
            # A copy: a view would keep the whole window in memory while it waits.
            return self._draw(photo[piece.window], weights, norms)[piece.kept].copy()

        picture = np.empty_like(photo)
        cores = ordered_map(draw, pieces, self._threads, "stylize", ahead=2)
        for number, (piece, core) in enumerate(zip(pieces, cores, strict=True), 1):
            picture[piece.core] = core
            done(number, len(pieces))
        return picture

    def _draw(self, photo: Picture, weights: NDArray[np.float32], norms: NDArray[np.float32] | None) -> Picture:
        (pictures,) = self._graph.run(self._feed(photo, weights, norms), "picture")
        picture: Picture = pictures[0]
        return picture

    def _feed(
        self, photo: Picture, weights: NDArray[np.float32], norms: NDArray[np.float32] | None
    ) -> dict[str, NDArray[Any]]:
        """The graph's inputs; with `norms`, float32 [2, L], it normalises by them and not by the photo's own."""
        return {
            "photo": np.ascontiguousarray(photo)[None],
            "weights": weights[None],
            "norms": self._no_norms if norms is None else norms,
            "use_norms": np.array([norms is not None], dtype=np.float32),
        }


def style_weights(styles: Sequence[str], chosen: Sequence[str], strength: float = 1.0) -> NDArray[np.float32]:
    """Weights of style 0 (the photo itself) and of styles 1 to K, float32 [K + 1], that sum to 1.

    Args:
        styles: names of the styles 1 to K.
        chosen: a number or a name, or several, each with `:WEIGHT` behind it; the weights sum to 1. Without weights
            several count alike.
        strength: from 0, the photo itself, to 1, the styles alone.

    Raises UserError for a style that there is not, one that is chosen twice, a strength out of range, and weights that
    are missing, negative or do not sum to 1.
    """
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise UserError(f"strength must be from 0 (the photo) to 1 (the style alone), not {strength:g}")
    read = [_choice(styles, text) for text in chosen]
    numbers, given = [number for number, _ in read], [weight for _, weight in read if weight is not None]
    if not numbers:
        raise UserError(f"choose a style: {_listed(styles)}")
    if len(set(numbers)) < len(numbers):
        raise UserError(f"a style is chosen twice among {', '.join(chosen)}: give it once")
    if given and len(given) < len(numbers):
        raise UserError(f"of {', '.join(chosen)} some have a weight and some have none: give one to each or to none")
    weights = np.zeros(len(styles) + 1, dtype=np.float64)
    weights[numbers] = strength * checked_weights(given or None, len(numbers), "styles")
    weights[0] += 1 - strength
    return weights.astype(np.float32)


def _choice(styles: Sequence[str], text: str) -> tuple[int, float | None]:
    """The number of a style, and its weight where one is given. A name may hold a colon."""
    number = _number(styles, text)
    if number is not None:
        return number, None
    name, _, weight = text.rpartition(":")
    number = _number(styles, name)
    if number is None:
        raise UserError(f"no style {name or text!r}; there are: {_listed(styles)}")
    try:
        return number, float(weight)
    except ValueError:
        raise UserError(f"--style takes a style or STYLE:WEIGHT, e.g. {name}:0.5, not {text!r}") from None


def _number(styles: Sequence[str], text: str) -> int | None:
    if re.fullmatch("[0-9]{1,4}", text):
        return int(text) if int(text) <= len(styles) else None
    return styles.index(text) + 1 if text in styles else None


def _listed(styles: Sequence[str]) -> str:
    return ", ".join(["0 (the photo itself)", *(f"{number} ({name})" for number, name in enumerate(styles, 1))])


def _thumbnail(photo: Picture) -> Picture:
    """A copy that is at most THUMBNAIL px long; a very narrow one stays wide enough to be a picture."""
    height, width = photo.shape[:2]
    scale = THUMBNAIL / max(height, width)
    size = max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0), dtype=np.uint8)

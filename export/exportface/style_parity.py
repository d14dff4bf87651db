"""How far an exported stylizer is from the network that it was made of, on the same photos; and if that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from exportface import style_graph
from exportface.figures import Floats, Levels, Spread, Tally
from exportface.parity import SEED, Parity, quantiser_errors
from exportface.style_graph import DeployableStylizer
from exportface.tolerances import Tolerance
from genface.contract import to_rgb
from genface.errors import UserError
from genface.providers import find_provider, open_session
from genface.stylizer import Stylizer
from trainface.cartoons import render

Feed = Mapping[str, NDArray[Any]]
Run = Callable[[Feed], tuple[Floats, Levels, Floats]]
"""The graph's inputs by name -> the last float tensor [1, 3, H, W], the picture [1, H, W, 3], the norms [2, L]."""

SIZES = ((72, 96), (61, 45))
"""Height and width of the photos: a wide and a high one, whose sides are multiples of the stride and not."""

# Measured on the networks of the presets style128 and style256, with three styles of random weights: 3.3e-5, 1 level,
# 99.988 % equal, 0.0001, and 3e-6 for the norms. Thirty times as much is allowed, since norms divide by deviations, and
# training makes some of them small.
ALLOWED = Tolerance(
    max_delta=1e-3,
    max_levels=1,
    min_identical=0.99,
    mean_levels=0.01,
    reason="norms divide by deviations, which enlarges what sums in another order leave",
)
NORMS_ALLOWED = 1e-4
"""Largest difference of a mean or variance m, in units of 1 + |m|."""


@dataclass(frozen=True, kw_only=True)
class StyleForm:
    """One form of the stylizer, ready to run."""

    run: Run
    quantise: Callable[[Floats], Levels] | None = None
    """The form's last nodes alone, float32 [N, 3, H, W] -> uint8 [N, H, W, 3]."""


@dataclass(frozen=True, kw_only=True)
class StyleParity:
    """All figures of one check."""

    pictures: Parity
    """A row for each size of the photo, with norms of its own and with given ones."""
    norms_delta: float
    """Largest difference of the norms, in units of 1 + |value|."""

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""
        found = self.pictures.failures
        if not self.norms_delta <= NORMS_ALLOWED:
            found.append(f"norms: a difference of {self.norms_delta:.3g} is over {NORMS_ALLOWED:g}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number becomes None."""
        delta = self.norms_delta if np.isfinite(self.norms_delta) else None
        return {"pictures": self.pictures.to_dict(), "norms_delta": delta, "norms_allowed": NORMS_ALLOWED}


def eager_form(deployable: DeployableStylizer) -> StyleForm:
    """PyTorch as it trained; pictures by genface's own rule."""

    def run(feed: Feed) -> tuple[Floats, Levels, Floats]:
        with torch.inference_mode():
            _, norms, floats = deployable(*(torch.from_numpy(array) for array in feed.values()))
        return floats.numpy(), to_rgb(floats.numpy(), "NCHW", "-1 to 1"), norms.numpy()

    return StyleForm(run=run)


def onnx_form(model: onnx.ModelProto) -> StyleForm:
    """ONNX Runtime, through the session that genface opens: pictures of the file as it ships, floats of the copy.

    `model` is what `style_graph.with_floats` gave, or `reopened`. Its run raises UserError where that tensor has not
    the picture's sides.
    """
    provider = find_provider("cpu")
    shipped, copy, tail = (
        open_session(graph.SerializeToString(), provider)
        for graph in (style_graph.as_shipped(model), model, style_graph.quantiser(model))
    )

    def run(feed: Feed) -> tuple[Floats, Levels, Floats]:
        (floats,) = copy.run([style_graph.FLOATS], dict(feed))
        levels, norms = shipped.run([style_graph.PICTURE, style_graph.NORMS_OUT], dict(feed))
        if floats.shape != (1, 3, *levels.shape[1:3]):
            raise UserError(f"its tensor {style_graph.FLOATS} has the shape {floats.shape}, not the picture's")
        return floats, levels, norms

    def quantise(floats: Floats) -> Levels:
        # A photo at a time is what the graph takes.
        return np.concatenate([tail.run([style_graph.PICTURE], {style_graph.FLOATS: one[None]})[0] for one in floats])

    return StyleForm(run=run, quantise=quantise)


def reopened(shipped: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a file's graph that gives its floats again, as `style_graph.with_floats` did.

    Raises UserError for a graph without that tensor.
    """
    if not any(style_graph.FLOATS in node.output for node in shipped.graph.node):
        raise UserError(f"its graph lacks {style_graph.FLOATS}, which exportface writes: it was altered")
    copy = style_graph.as_shipped(shipped)
    shape: list[int | str | None] = [1, 3, "height", "width"]
    copy.graph.output.append(onnx.helper.make_tensor_value_info(style_graph.FLOATS, onnx.TensorProto.FLOAT, shape))
    return copy


def measure(reference: StyleForm, form: StyleForm, *, styles: int, norms: int) -> StyleParity:
    """Hold `form` against `reference` at both sizes, by every style, with norms of the photo's own and with given ones.

    Given ones are those of the other photo, as a tile gets those of a thumbnail. `norms` is L.
    """
    photos = [render(SEED, number, max(size))[None, : size[0], : size[1]] for number, size in enumerate(SIZES)]
    mixtures = list(weights_to_try(styles))
    none = np.zeros((2, norms), dtype=np.float32)
    spread, rows, farthest = Spread(), [], 0.0
    for photo, other, (height, width) in zip(photos, photos[::-1], SIZES, strict=True):
        for use, name in ((0.0, "own"), (1.0, "given")):
            tally = Tally(images=len(mixtures))
            for weights in mixtures:
                given = reference.run(feed(other, weights, none, 0.0))[2] if use else none
                fed = feed(photo, weights, given, use)
                floats, levels, expected = reference.run(fed)
                other_floats, other_levels, found = form.run(fed)
                spread.add(floats)
                tally.add(floats, levels, other_floats, other_levels)
                farthest = max(farthest, _largest(np.abs(found - expected) / (1 + np.abs(expected))))
            rows.append(tally.row(f"{width}x{height}, {name} norms", 1))
    errors = {rows[0].form: quantiser_errors(form.quantise, *SIZES[0])} if form.quantise is not None else {}
    pictures = Parity(
        images=len(rows) * len(mixtures),
        output_std=spread.std(),
        rows=tuple(rows),
        tolerances={row.form: ALLOWED for row in rows},
        quantiser_errors=errors,
    )
    return StyleParity(pictures=pictures, norms_delta=farthest)


def weights_to_try(styles: int) -> Iterator[Floats]:
    """The photo itself, every style alone, and all of them alike at half strength: float32 [1, styles + 1] each."""
    for alone in range(styles + 1):
        yield np.eye(styles + 1, dtype=np.float32)[None, alone]
    yield np.array([[0.5] + [0.5 / styles] * styles], dtype=np.float32)


def feed(photo: Levels, weights: Floats, norms: Floats, use: float) -> Feed:
    """What a stylizer is fed, in the order of the network's arguments."""
    return {
        style_graph.PHOTO: np.ascontiguousarray(photo),
        style_graph.WEIGHTS: weights,
        style_graph.NORMS: norms,
        style_graph.USE_NORMS: np.array([use], dtype=np.float32),
    }


def seen_by_a_user(stylizer: Stylizer, deployable: DeployableStylizer) -> list[str]:
    """Draw by the class that stylizes, from the very file that ships; what is wrong, in words."""
    photo = render(SEED, len(SIZES), max(SIZES[0]))
    weights = stylizer.weights(["1"], strength=0.5)
    norms = np.zeros((2, style_graph.norm_count(deployable.stylizer)), dtype=np.float32)
    _, (expected,), _ = eager_form(deployable).run(feed(photo[None], weights[None], norms, 0.0))
    drawn = stylizer.stylize(photo, weights).astype(np.int16)
    levels = int(np.abs(drawn - expected).max())
    return [f"genface draws a picture from the file that differs by {levels} levels"] if levels > 1 else []


def _largest(deltas: Floats) -> float:
    """The largest of them; infinity where one is no number, which `max` would pass over."""
    return float(deltas.max()) if np.isfinite(deltas).all() else float("inf")

"""A window of coloured glass: Voronoi cells in rings, leaded, with light behind them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from trainface.style.paintings.brush import (
    OVERSAMPLING,
    Colours,
    Dice,
    Plane,
    colour,
    finished,
    grid,
    over,
    smoothstep,
    to_image,
)

_SEED = 4
# Ring's radius, number of panes, turn in panes, and the colours that they take in turn.
_RINGS = (
    (0.000, 1, 0.0, ("#f7dc7a",)),
    (0.085, 8, 0.0, ("#c3162c", "#e8952a")),
    (0.165, 8, 0.5, ("#1b4fc0", "#1b4fc0")),
    (0.235, 16, 0.0, ("#f0b52e", "#8a1f78")),
    (0.310, 16, 0.5, ("#0f8a5a", "#1695b0")),
    (0.390, 24, 0.0, ("#b5122e", "#1a3fa8", "#d9701f")),
    (0.475, 32, 0.5, ("#24379c", "#5b2a9c")),
    (0.565, 32, 0.0, ("#0e7d86", "#d8a72c", "#13439a", "#8f1838")),
    (0.660, 40, 0.5, ("#17306f", "#3f2377", "#0d5c62")),
    (0.765, 44, 0.0, ("#7a1230", "#12306e", "#17613f")),
)
_LEAD_HALF_WIDTH = 0.0062
_ROWS_AT_ONCE = 32


def draw_glass(side: int) -> Image.Image:
    """Draw the painting as a square of `side` pixels."""
    large = side * OVERSAMPLING
    dice = Dice(_SEED)
    seed_x, seed_y, paints = _panes(dice)
    x, y = grid(large)
    # The panes' edges are a little bent, as cut by hand.
    bent_x, bent_y = (place + 0.006 * dice.noise(large, 10, octaves=2) for place in (x, y))
    pane, edge = _cells(bent_x, bent_y, seed_x, seed_y)

    # Streaks and bubbles of hand-made glass; each pane has them at an angle of its own.
    turn = dice.throw(len(paints), 0, np.pi)[pane]
    streaks = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 130 + 5 * dice.noise(large, 12, octaves=2))
    mottle = dice.noise(large, 40, octaves=3)
    light = 1.22 - 0.75 * np.hypot(x - 0.47, y - 0.42) ** 1.2
    glow = light + 0.16 * smoothstep(0.0, 0.035, edge) + 0.07 * streaks + 0.09 * mottle
    picture = paints[pane] * glow[..., None]
    picture = over(picture, np.broadcast_to(colour("#fff8dc"), picture.shape), 0.30 * smoothstep(0.9, 1.4, mottle))

    # Lead, with a dull shine along its middle.
    pixel = 1 / large
    lead = smoothstep(_LEAD_HALF_WIDTH + pixel, _LEAD_HALF_WIDTH - pixel, edge)
    shine = 26 * np.exp(-((edge / (0.35 * _LEAD_HALF_WIDTH)) ** 2)) + 8 * mottle
    picture = over(picture, colour("#16141a") + shine[..., None], lead)
    for radius in (0.125, 0.272, 0.432):
        ring = np.abs(np.hypot(bent_x - 0.5, bent_y - 0.5) - radius)
        bar = smoothstep(0.0088 + pixel, 0.0088 - pixel, ring)
        shine = 30 * np.exp(-((ring / 0.0035) ** 2))
        picture = over(picture, colour("#141217") + shine[..., None], bar)
    return finished(to_image(picture), side)


def _panes(dice: Dice) -> tuple[Plane, Plane, Colours]:
    """Middles of the panes, [N] each, and their colours, [N, 3]."""
    xs, ys, paints = [], [], []
    for radius, count, turn, palette in _RINGS:
        angle = (np.arange(count) + turn + dice.throw(count, -0.08, 0.08)) * (2 * np.pi / count)
        from_middle = radius * dice.throw(count, 0.97, 1.03)
        xs.append(0.5 + from_middle * np.cos(angle))
        ys.append(0.5 + from_middle * np.sin(angle))
        chosen = np.stack([colour(palette[i % len(palette)]) for i in range(count)])
        paints.append(chosen * dice.throw(count, 0.85, 1.15)[:, None])
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(paints)


def _cells(x: Plane, y: Plane, seed_x: Plane, seed_y: Plane) -> tuple[Plane, Plane]:
    """Index of the nearest middle for each pixel, and the distance to the edge of its cell."""
    panes, edges = [], []
    for top in range(0, len(x), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        squared = (x[rows, :, None] - seed_x) ** 2 + (y[rows, :, None] - seed_y) ** 2
        two = np.argpartition(squared, 1, axis=-1)[..., :2]
        near = np.take_along_axis(squared, two, axis=-1)
        two = np.take_along_axis(two, np.argsort(near, axis=-1), axis=-1)
        near = np.sort(near, axis=-1)
        apart = np.hypot(seed_x[two[..., 0]] - seed_x[two[..., 1]], seed_y[two[..., 0]] - seed_y[two[..., 1]])
        panes.append(two[..., 0])
        # The distance to the line midway between the two.
        edges.append((near[..., 1] - near[..., 0]) / (2 * apart))
    return np.concatenate(panes), np.concatenate(edges)

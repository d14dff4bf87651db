"""Sunrise over hills, cut in wood: ink lines along the forms, and three blocks of colour beneath."""

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

_SEED = 2
_PAPER, _INK = "#f3e6c9", "#1c1a22"
_RED, _OCHRE, _BLUE = "#cf3b26", "#dda23f", "#3d6f8e"
_SUN = (0.60, 0.36, 0.15)


def draw_woodcut(side: int) -> Image.Image:
    """Draw the painting as a square of `side` pixels."""
    large = side * OVERSAMPLING
    dice = Dice(_SEED)
    x, y = grid(large)
    pixel = 1 / large
    # The knife's hand, and the grain of the block.
    wobble, grain = dice.noise(large, 6, octaves=3), dice.noise(large, 48, octaves=2)
    picture: Colours = np.broadcast_to(colour(_PAPER), (large, large, 3)) + 4 * grain[..., None]

    picture = _sky(picture, x, y, wobble, grain, pixel)
    ridge = 0.47 - 0.17 * np.abs(np.sin(2.6 * x + 0.5)) ** 1.5 - 0.03 * np.sin(17 * x) + 0.018 * wobble
    picture = _mountain(picture, x, y, ridge, wobble, grain, pixel)
    hills = (
        (0.60 + 0.040 * np.sin(5.0 * x + 1.0), _BLUE, 46, 0.55),
        (0.68 + 0.050 * np.sin(4.2 * x + 3.4), _OCHRE, 36, 0.50),
        (0.78 + 0.045 * np.sin(5.6 * x + 0.2), _PAPER, 28, 0.55),
        (0.88 + 0.050 * np.sin(3.6 * x + 2.2), _RED, 22, 0.60),
    )
    for top, block, lines, darkness in hills:
        depth = y - top - 0.006 * wobble
        picture = over(picture, np.broadcast_to(colour(block), picture.shape), smoothstep(-pixel, pixel, depth))
        # Lines along the ridge, wider and further apart towards the viewer, and dark in the hollows.
        along = np.sqrt((depth + 0.02).clip(0)) * lines + 0.35 * wobble
        hollow = 0.5 + 0.5 * np.sin(7 * x + 40 * top.mean() + 6 * depth)
        ink = _lines(along, darkness * hollow + 0.06 * grain, lines / (2 * np.sqrt((depth + 0.02).clip(0.02))), pixel)
        picture = _inked(picture, ink * smoothstep(-pixel, pixel, depth))
        picture = _inked(picture, smoothstep(0.0075, 0.0045, np.abs(depth) + 0.001 * grain))
    picture = _pines(picture, x, y, grain, pixel)
    frame = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) + 0.0012 * grain
    margin = smoothstep(0.020, 0.018, frame)
    picture = over(picture, np.broadcast_to(colour(_PAPER), picture.shape), margin)
    picture = _inked(picture, smoothstep(0.022, 0.018, frame) * smoothstep(0.008, 0.011, frame))
    return finished(to_image(picture), side)


def _sky(picture: Colours, x: Plane, y: Plane, wobble: Plane, grain: Plane, pixel: float) -> Colours:
    """Rays about a red sun."""
    centre_x, centre_y, radius = _SUN
    distance = np.hypot(x - centre_x, y - centre_y)
    rays = np.arctan2(y - centre_y, x - centre_x) / (2 * np.pi) * 84 + 0.25 * wobble
    width = 0.62 * smoothstep(radius + 0.01, 0.75, distance) + 0.05 * grain
    ink = _lines(rays, width, 84 / (2 * np.pi * distance.clip(0.02)), pixel)
    picture = _inked(picture, ink * smoothstep(radius + 0.02, radius + 0.03, distance))
    disc = smoothstep(radius + pixel, radius - pixel, distance + 0.002 * grain)
    cuts = _lines(y * 70 + 0.3 * wobble, 0.42 * smoothstep(-0.3, 1.0, (y - centre_y) / radius), 70, pixel)
    picture = over(picture, np.broadcast_to(colour(_RED), picture.shape), disc)
    return over(picture, np.broadcast_to(colour(_PAPER), picture.shape), disc * cuts)


def _mountain(picture: Colours, x: Plane, y: Plane, ridge: Plane, wobble: Plane, grain: Plane, pixel: float) -> Colours:
    """A range with snow on it, its flanks cut downhill and dark away from the sun."""
    depth = y - ridge
    body = smoothstep(-pixel, pixel, depth)
    picture = over(picture, np.broadcast_to(colour(_PAPER), picture.shape), body)
    slope = np.gradient(ridge, pixel, axis=1)
    snow = smoothstep(0.05, 0.075, depth + 0.028 * wobble + 0.012 * grain)
    shade = 0.16 + 0.62 * smoothstep(-0.5, 0.7, -slope * np.sign(_SUN[0] - x))
    downhill = (x + 0.35 * np.sign(slope) * depth) * 95 + 0.5 * wobble
    ink = _lines(downhill, shade * snow + 0.05 * grain, 95, pixel)
    picture = over(picture, np.broadcast_to(colour(_BLUE), picture.shape), 0.55 * body * snow)
    picture = _inked(picture, ink * body * smoothstep(0.02, 0.05, depth + 0.012 * wobble))
    return _inked(picture, smoothstep(0.0060, 0.0035, np.abs(depth) + 0.001 * grain))


def _pines(picture: Colours, x: Plane, y: Plane, grain: Plane, pixel: float) -> Colours:
    """Black pines with light cut into them."""
    for centre, foot, height in ((0.12, 0.83, 0.30), (0.20, 0.85, 0.22), (0.065, 0.86, 0.20), (0.88, 0.90, 0.26)):
        down = (y - foot + height) / height  # 0 at the tip, 1 at the foot
        tiers = (down * 6.5) % 1.0
        half = height * (0.035 + 0.20 * down * (0.45 + 0.55 * tiers)) + 0.003 * grain
        inside = smoothstep(-pixel, pixel, half - np.abs(x - centre)) * smoothstep(0, 2 * pixel, down * (1 - down))
        trunk = smoothstep(-pixel, pixel, 0.010 - np.abs(x - centre)) * smoothstep(
            0, pixel, (foot + 0.03 - y) * (y - foot)
        )
        picture = _inked(picture, np.maximum(inside, trunk))
        lit = _lines(down * 26 + (x - centre) * 40, 0.30, 26 / height, pixel)
        picture = over(
            picture, np.broadcast_to(colour(_OCHRE), picture.shape), inside * lit * smoothstep(0.0, 0.012, x - centre)
        )
    return picture


def _lines(phase: Plane, width: Plane | float, frequency: Plane | float, pixel: float) -> Plane:
    """Lines where `phase` is a whole number: `width` is their share of a period, `frequency` periods in a side."""
    distance = np.abs(phase - np.rint(phase))
    soft = np.maximum(pixel * frequency, 1e-4)  # a pixel, in periods
    return np.clip(0.5 + (0.5 * width - distance) / soft, 0, 1) * smoothstep(0.02, 0.06, np.asarray(width))


def _inked(picture: Colours, amount: Plane) -> Colours:
    return over(picture, np.broadcast_to(colour(_INK), picture.shape), amount)

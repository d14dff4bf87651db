"""An afternoon by the water, in dots of unmixed colour beside their complements."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from trainface.style.paintings.brush import (
    OVERSAMPLING,
    Colours,
    Dice,
    colour,
    finished,
    grid,
    over,
    ramp,
    sample,
    smoothstep,
)

_SEED = 1
_SCENE_SIDE = 256
_LAYERS = ((0.0125, 0.015), (0.0085, 0.0125), (0.0055, 0.0095))
"""Radius of the dots and distance between them, from the ground up."""
_COMPLEMENTS = 0.14
"""Share of the dots in the colour across the wheel."""


def draw_dots(side: int) -> Image.Image:
    """Draw the painting as a square of `side` pixels."""
    dice = Dice(_SEED)
    scene = _scene(dice)
    scale = side * OVERSAMPLING
    canvas = Image.new("RGB", (scale, scale), "#efe0bd")
    pen = ImageDraw.Draw(canvas)
    for radius, distance in _LAYERS:
        across = round(1 / distance) + 2
        n = across * across
        # A square grid, every other row shifted by half, and each dot moved at random.
        rows, columns = np.divmod(np.arange(n), across)
        x = (columns - 0.5 + 0.5 * (rows % 2) + dice.throw(n, -0.4, 0.4)) * distance
        y = (rows - 0.5 + dice.throw(n, -0.4, 0.4)) * distance
        radii = radius * dice.throw(n, 0.65, 1.1)
        colours = _divided(sample(scene, x, y), dice)
        for i in np.argsort(dice.throw(n)):  # no dot's neighbour is always the one above it
            left, top, right, bottom = (
                (x[i] - radii[i]) * scale,
                (y[i] - radii[i]) * scale,
                (x[i] + radii[i]) * scale,
                (y[i] + radii[i]) * scale,
            )
            pen.ellipse((left, top, right, bottom), fill=tuple(map(int, colours[i])))
    return finished(canvas, side)


def _divided(colours: Colours, dice: Dice) -> Colours:
    """Purer than the scene's, each dot a little off, some the complement: what the eye is to mix again."""
    n = len(colours)
    grey = colours.mean(axis=1, keepdims=True)
    pure = grey + 1.45 * (colours - grey)
    complement = np.clip(2 * grey - colours, 0, 255) * 0.7 + 60
    pure = np.where(dice.throw(n)[:, None] < _COMPLEMENTS, 0.45 * pure + 0.55 * complement, pure)
    jitter = np.stack([dice.bells(n) for _ in range(3)], axis=1) * 17 + dice.bells(n)[:, None] * 11
    divided: Colours = np.clip(pure + jitter, 0, 255)
    return divided


def _scene(dice: Dice) -> Colours:
    x, y = grid(_SCENE_SIDE)
    clouds = dice.noise(_SCENE_SIDE, 4, octaves=3)
    ripples = dice.noise(_SCENE_SIDE, 24, octaves=2)

    # The sky with a low sun, and what it lights.
    picture = ramp(y + 0.04 * clouds, [(0, "#2f6fc0"), (0.26, "#7db5e6"), (0.42, "#f3cfa0"), (0.56, "#f6a873")])
    picture = over(picture, np.broadcast_to(colour("#fbe9dd"), picture.shape), 0.8 * smoothstep(0.25, 0.8, clouds))
    sun = np.hypot(x - 0.66, (y - 0.40))
    picture = over(picture, np.broadcast_to(colour("#ffe27a"), picture.shape), np.exp(-((sun / 0.16) ** 2)))
    picture = over(picture, np.broadcast_to(colour("#fff6c8"), picture.shape), smoothstep(0.065, 0.05, sun))

    # Far hills, then the water with the sun's path on it.
    hills = 0.5 - 0.05 * np.sin(5 * x + 0.6) - 0.025 * np.sin(13 * x)
    picture = over(picture, ramp(y, [(0.42, "#8f84c4"), (0.56, "#b58bb0")]), smoothstep(0, 0.008, y - hills))
    water = ramp(y + 0.02 * ripples, [(0.54, "#e7b98f"), (0.62, "#4f9db8"), (0.85, "#1d4f8f")])
    path = np.exp(-(((x - 0.66) / (0.03 + 0.22 * (y - 0.54).clip(0))) ** 2)) * smoothstep(-0.2, 0.5, ripples)
    water = over(water, np.broadcast_to(colour("#ffd982"), water.shape), path)
    picture = over(picture, water, smoothstep(0.0, 0.006, y - 0.545))

    # A sail, a meadow, trees with violet shadows.
    for left, top, lean, paint in ((0.40, 0.38, 0.11, "#fffaf0"), (0.385, 0.41, -0.06, "#ef6f4a")):
        down = (y - top) / (0.60 - top)
        inside = smoothstep(0, 0.02, np.minimum(down, 1 - down)) * smoothstep(
            0, 0.008, np.minimum((x - left) * np.sign(lean), abs(lean) * down - (x - left) * np.sign(lean))
        )
        picture = over(picture, np.broadcast_to(colour(paint), picture.shape), inside)
    shore = 0.80 - 0.14 * (1 - x) ** 2 + 0.02 * np.sin(9 * x)
    meadow = ramp(y - shore + 0.05 * clouds, [(0, "#d9c84f"), (0.07, "#86b13c"), (0.22, "#3f7d3a")])
    picture = over(picture, meadow, smoothstep(0, 0.008, y - shore))
    for centre_x, centre_y, radius in ((0.10, 0.34, 0.17), (0.02, 0.50, 0.14), (0.20, 0.52, 0.11), (0.93, 0.74, 0.10)):
        reach = np.hypot(x - centre_x, y - centre_y) / radius + 0.25 * clouds
        light = (x - centre_x - (y - centre_y)) / radius
        leaves = ramp(light, [(-1, "#33306e"), (-0.1, "#1f6b4a"), (0.6, "#6fae3f"), (1.2, "#e3d35c")])
        picture = over(picture, leaves, smoothstep(1.05, 0.9, reach))
    return picture

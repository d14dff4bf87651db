"""A windy night: strokes that follow a field of eddies about the stars."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from trainface.style.paintings.brush import (
    OVERSAMPLING,
    Colours,
    Dice,
    Plane,
    colour,
    finished,
    grid,
    over,
    ramp,
    sample,
    smoothstep,
)

_SEED = 3
_SCENE_SIDE = 256
_POINTS = 14
_LAYERS = ((2200, 0.017, 0.13), (6000, 0.0100, 0.085), (7500, 0.0058, 0.055))
"""Number of strokes, their width and their length, from the ground up."""
# x, y, radius of the eddy, its sense, radius of the light.
_STARS = (
    (0.78, 0.20, 0.20, 1.0, 0.070),
    (0.36, 0.33, 0.19, -1.0, 0.030),
    (0.14, 0.14, 0.12, 1.0, 0.034),
    (0.52, 0.10, 0.10, -1.0, 0.022),
    (0.60, 0.50, 0.13, 1.0, 0.024),
    (0.92, 0.48, 0.10, -1.0, 0.020),
    (0.09, 0.46, 0.11, -1.0, 0.026),
)
_HILL = 0.72


def draw_wind(side: int) -> Image.Image:
    """Draw the painting as a square of `side` pixels."""
    dice = Dice(_SEED)
    scene = _scene(dice)
    scale = side * OVERSAMPLING
    canvas = Image.new("RGB", (scale, scale), "#1b2f66")
    pen = ImageDraw.Draw(canvas)
    for n, width, length in _LAYERS:
        x, y = dice.throw(n, -0.03, 1.03), dice.throw(n, -0.03, 1.03)
        paths = _traced(x, y, length * dice.throw(n, 0.6, 1.2))
        shade = dice.bells(n)[:, None] * 15 + np.stack([dice.bells(n) for _ in range(3)], axis=1) * 7
        colours = np.clip(sample(scene, x, y) + shade, 0, 255)
        # A bristle's ridge beside the middle of each stroke catches the light.
        ridges = np.clip(colours * 1.10 + 22, 0, 255)
        widths = np.maximum(np.rint(width * dice.throw(n, 0.7, 1.15) * scale), 1).astype(int)
        across = _normals(paths) * (0.22 * width)
        for i in range(n):
            _stroke(pen, paths[i] * scale, int(widths[i]), colours[i])
            _stroke(pen, (paths[i] + across[i])[2:-2] * scale, max(int(widths[i]) // 4, 1), ridges[i])
    return finished(canvas, side)


def _stroke(pen: ImageDraw.ImageDraw, path: Plane, width: int, paint: Colours) -> None:
    fill = tuple(map(int, paint))
    pen.line([tuple(point) for point in path], fill=fill, width=width, joint="curve")
    radius = width / 2 - 0.5
    for end_x, end_y in (path[0], path[-1]):
        pen.ellipse((end_x - radius, end_y - radius, end_x + radius, end_y + radius), fill=fill)


def _traced(x: Plane, y: Plane, length: Plane) -> Plane:
    """Paths along the field with their middles at (x, y): [N] each -> [N, points, 2]."""
    halves = []
    for sense in (-1.0, 1.0):
        px, py, points = x, y, []
        for _ in range(_POINTS // 2):
            u, v = _field(px, py)
            step = sense * length / _POINTS
            px, py = px + step * u, py + step * v
            points.append(np.stack([px, py], axis=-1))
        halves.append(points)
    return np.stack([*reversed(halves[0]), np.stack([x, y], axis=-1), *halves[1]], axis=1)


def _normals(paths: Plane) -> Plane:
    """Unit vectors across paths [N, points, 2]."""
    along = np.gradient(paths, axis=1)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    unit: Plane = across / np.maximum(np.hypot(across[..., :1], across[..., 1:]), 1e-9)
    return unit


def _field(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Unit vectors of the wind: across the sky in waves, round the stars in eddies, along the ground below."""
    u, v = np.ones_like(x), 0.55 * np.sin(7 * x + 9 * y) + 0.25 * np.sin(15 * x - 4 * y)
    for star_x, star_y, radius, sense, _ in _STARS:
        dx, dy = x - star_x, y - star_y
        pull = 4.5 * sense * np.exp(-(dx * dx + dy * dy) / (radius * radius)) / radius
        u, v = u - pull * dy, v + pull * dx
    ground = smoothstep(-0.02, 0.02, y - _hill(x))
    u = u + ground * (1.0 - u)
    v = v + ground * (0.45 * np.cos(6.5 * x + 0.4) + 0.5 * np.sin(11 * x + 14 * y) - v)
    # A dark tree on the left, whose strokes lick upwards.
    tree = smoothstep(0.0, 0.03, _tree(x, y))
    u, v = u + tree * (0.35 * np.sin(26 * y + 8 * x) - u), v + tree * (-1.0 - v)
    size = np.maximum(np.hypot(u, v), 1e-6)
    return u / size, v / size


def _hill(x: Plane) -> Plane:
    line: Plane = _HILL - 0.06 * np.sin(6.5 * x + 0.4) - 0.02 * np.sin(15 * x)
    return line


def _tree(x: Plane, y: Plane) -> Plane:
    """Above 0 inside of the tree."""
    down = np.clip((y - 0.30) / 0.7, 0, 1)
    inside: Plane = 0.085 * np.sqrt(down) + 0.012 * np.sin(24 * y) - np.abs(x - 0.23 - 0.02 * np.sin(9 * y))
    return np.where(y > 0.30, inside, -1.0)


def _scene(dice: Dice) -> Colours:
    x, y = grid(_SCENE_SIDE)
    clouds = dice.noise(_SCENE_SIDE, 5, octaves=3)
    bands = np.sin(22 * y + 5 * np.sin(5 * x) + 2.5 * clouds)
    picture = ramp(
        y + 0.05 * clouds + 0.05 * bands,
        [(0, "#12225e"), (0.22, "#1f4aa0"), (0.42, "#3f7fc6"), (0.58, "#7fb4cf"), (0.72, "#d3d9a4")],
    )
    picture = over(picture, np.broadcast_to(colour("#cfe3ea"), picture.shape), 0.5 * smoothstep(0.5, 1.0, bands))
    for star_x, star_y, radius, _, light in _STARS:
        distance = np.hypot(x - star_x, y - star_y)
        rings = 0.5 + 0.5 * np.cos(distance / radius * 15)
        glow = np.exp(-((distance / (0.62 * radius)) ** 2)) * (0.45 + 0.45 * rings)
        picture = over(picture, np.broadcast_to(colour("#f6d45a"), picture.shape), glow)
        disc = smoothstep(light, 0.6 * light, distance)
        picture = over(picture, np.broadcast_to(colour("#fff4c2"), picture.shape), disc)
    depth = y - _hill(x)
    ground = ramp(depth + 0.04 * clouds, [(0, "#4f7a5c"), (0.06, "#24506a"), (0.16, "#1b2f55"), (0.3, "#141d3a")])
    furrows = np.sin(60 * depth + 4 * clouds)
    ground = over(ground, np.broadcast_to(colour("#b8a23e"), ground.shape), 0.55 * smoothstep(0.55, 1.0, furrows))
    picture = over(picture, ground, smoothstep(-0.004, 0.004, depth))
    bark = ramp(clouds + 0.6 * np.sin(40 * y + 30 * x), [(-1, "#0d1a1c"), (0.3, "#1d3a2c"), (1.2, "#4d5f2c")])
    return over(picture, bark, smoothstep(-0.004, 0.008, _tree(x, y)))

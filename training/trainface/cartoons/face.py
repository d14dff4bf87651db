"""The head itself: skull, ears, shaded skin, beard."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from trainface.cartoons.attributes import Attributes, Jitter
from trainface.cartoons.canvas import (
    Canvas,
    Plane,
    bump,
    ellipse,
    mix,
    ramp,
    rounded_box,
    smooth_union,
    smoothstep,
)
from trainface.cartoons.palette import HAIR, SKIN

# Jaw of each face shape: half width, y of its middle, half height, corner radius (of the half width).
_JAWS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "oval": (0.56, 0.4, 0.6, 1.0),
        "round": (0.65, 0.36, 0.58, 0.95),
        "square": (0.6, 0.38, 0.59, 0.78),
        "heart": (0.47, 0.42, 0.6, 0.95),
    }
)


def skull(head: Canvas, a: Attributes, j: Jitter) -> Plane:
    """Distance to the outline of the head; the chin is at y = 1, the crown at -1."""
    half_width, y0, half_height, rounding = _JAWS[a.face_shape]
    half_width *= j.jaw_width
    jaw = rounded_box(head.x - 0.4 * j.yaw, head.y - y0, half_width, half_height, rounding * half_width)
    return smooth_union(ellipse(head.x, head.y + 0.2, 0.72, 0.8), jaw, 0.3)


def paint_ears(head: Canvas, a: Attributes, j: Jitter) -> None:
    """Both ears, drawn before the skin covers their roots."""
    for side in (-1.0, 1.0):
        ear = head.moved(side * 0.735 - 0.3 * j.yaw, 0.1).window(-0.2, -0.3, 0.2, 0.3)
        x, y = ear.x + 0.07 * side * ear.y, ear.y
        t = 0.62 + 0.25 * side * j.light_x - 0.5 * bump(x - side * 0.01, y + 0.01, 0.085, 0.16)
        ear.paint(ear.coverage(ellipse(x, y, 0.115, 0.2)), ramp(t, *SKIN[a.skin]))


def paint_skin(head: Canvas, distance: Plane, a: Attributes, j: Jitter) -> None:
    """The head as a lit ellipsoid, with the relief of sockets, cheeks, lips and chin laid over it."""
    x, y = head.x, head.y
    fx, fy = x - j.yaw, y - j.pitch
    u, v = x / 0.86, (y - 0.02) / 1.12
    depth = np.sqrt(np.maximum(1.0 - u * u - v * v, 0.03))
    t = 0.2 + 0.64 * depth - 0.2 * v + 0.3 * j.light_x * u
    t -= 0.16 * smoothstep(-0.16, 0.02, distance)
    for side in (-1.0, 1.0):
        t -= 0.17 * bump(fx - side * 0.27, fy + 0.1, 0.26, 0.17)
        t += 0.09 * bump(fx - side * 0.38, fy - 0.22, 0.26, 0.2)
    t -= 0.12 * bump(fx, fy - 0.8, 0.26, 0.07)
    t += 0.08 * bump(fx, fy - 0.9, 0.26, 0.16)
    head.paint(head.coverage(distance), ramp(t, *SKIN[a.skin]))
    warmth = bump(fx - 0.43, fy - 0.3, 0.26, 0.22) + bump(fx + 0.43, fy - 0.3, 0.26, 0.22)
    head.tint(0.55 * warmth, (1.02, 0.86, 0.84))


def paint_beard(head: Canvas, distance: Plane, a: Attributes, j: Jitter) -> None:
    """Hair on the lower face; the mouth is drawn over it afterwards."""
    if a.beard == "none":
        return
    x, y = head.x - 0.7 * j.yaw, head.y - j.pitch
    lip = y - 0.475 - 0.3 * x * x
    moustache = np.maximum(np.abs(lip) - 0.075 * np.sqrt(np.maximum(1.0 - (x / 0.36) ** 2, 0.0)), np.abs(x) - 0.36)
    chin = ellipse(x, y - 0.86, 0.3, 0.2)
    cheeks = (0.66 - 1.25 * x * x - y) * 0.6
    whole = np.maximum(smooth_union(cheeks, moustache, 0.12), distance - 0.045)
    shape, softness, density = {
        "stubble": (np.maximum(whole, distance), 0.16, 0.3),
        "moustache": (moustache, 0.05, 1.0),
        "goatee": (smooth_union(np.maximum(chin, distance - 0.05), moustache, 0.1), 0.06, 1.0),
        "full": (whole, 0.07, 1.0),
    }[a.beard]
    shadow, light = HAIR[a.hair_colour]
    base = SKIN[a.skin][0]
    t = 0.42 - 0.25 * y + 0.18 * j.light_x * x + 0.07 * np.sin(40.0 * x / (1.6 - y * 0.6))
    t += 0.11 * smoothstep(0.0, -0.2, shape)
    amount = density * np.minimum(smoothstep(0.5 * softness, -0.5 * softness, shape), head.coverage(distance - 0.045))
    head.paint(amount, ramp(t, mix(shadow, base, 0.12), light))

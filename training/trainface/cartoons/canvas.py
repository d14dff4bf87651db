"""Painting by signed distances: a canvas with local coordinates, windows into it, and a few distance functions.

A shape is a signed distance d (negative inside) in the canvas's local units; its coverage of a pixel is how much of a
pixel-wide ramp lies inside, which is the box filter of a straight edge. Ellipses use Quilez's first-order distance
(https://iquilezles.org/articles/ellipsedist/, accurate near the outline, where alone it matters).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating[Any]]
"""float32 [h, w]: one number per pixel."""
Picture: TypeAlias = NDArray[np.floating[Any]]
"""float32 [3, h, w], RGB, 0 to 255."""
Colour: TypeAlias = tuple[float, float, float]
"""sRGB, each 0 to 255."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture, or a window of one, that is painted in place."""

    rgb: Picture
    """A window's is a view of the whole."""
    x: Plane
    y: Plane
    """Local coordinates of the pixel centres, x to the right and y downwards."""
    pixel: float
    """Side of a pixel in local units."""

    @classmethod
    def blank(cls, side: int) -> Canvas:
        """A black square picture of `side` pixels whose coordinates run from -1 to 1."""
        centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0 / side) - np.float32(1.0)
        x, y = np.meshgrid(centres, centres)
        return cls(np.zeros((3, side, side), np.float32), x, y, 2.0 / side)

    def placed(self, x0: float, y0: float, scale: float, roll: float = 0.0, width: float = 1.0) -> Canvas:
        """The same picture in coordinates with origin (x0, y0), turned clockwise by `roll` radians.

        Their unit is `scale` of ours long, and `width` times that sideways; distances are right for a width near 1.
        """
        c, s = cos(roll) / scale, sin(roll) / scale
        dx, dy = self.x - x0, self.y - y0
        return Canvas(self.rgb, (c * dx + s * dy) * (1.0 / width), c * dy - s * dx, self.pixel / scale)

    def moved(self, x0: float, y0: float) -> Canvas:
        """The same picture with the origin at (x0, y0)."""
        return Canvas(self.rgb, self.x - x0, self.y - y0, self.pixel)

    def window(self, left: float, top: float, right: float, bottom: float) -> Canvas:
        """The part of the picture that holds the box given in local coordinates; possibly empty."""
        # Local coordinates are affine in the pixel grid: invert that map at the four corners of the box.
        side_y, side_x = self.x.shape
        x00, y00 = float(self.x[0, 0]), float(self.y[0, 0])
        ax, ay = float(self.x[0, 1]) - x00, float(self.y[0, 1]) - y00
        bx, by = float(self.x[1, 0]) - x00, float(self.y[1, 0]) - y00
        area = ax * by - bx * ay
        corners = [(px - x00, py - y00) for px in (left, right) for py in (top, bottom)]
        columns = [(by * px - bx * py) / area for px, py in corners]
        rows = [(ax * py - ay * px) / area for px, py in corners]
        across = slice(_clip(min(columns) - 1, side_x), _clip(max(columns) + 3, side_x))
        down = slice(_clip(min(rows) - 1, side_y), _clip(max(rows) + 3, side_y))
        return Canvas(self.rgb[:, down, across], self.x[down, across], self.y[down, across], self.pixel)

    def coverage(self, d: Plane) -> Plane:
        """How much of each pixel lies inside the shape, 0 to 1."""
        return clamp(0.5 - d * (1.0 / self.pixel))

    def stroke(self, d: Plane, half_width: float | Plane) -> Plane:
        """Coverage of a line along d = 0; right also where the line is thinner than a pixel."""
        outer = clamp(0.5 + (half_width - d) * (1.0 / self.pixel))
        return clamp(outer - clamp(0.5 - (half_width + d) * (1.0 / self.pixel)))

    def paint(self, amount: Plane, colour: Colour | Picture) -> None:
        """Lay `colour` (one, or float32 [3, h, w]) over the picture, opaque where `amount` is 1."""
        if isinstance(colour, tuple):
            colour = np.array(colour, np.float32)[:, None, None]
        self.rgb[...] += amount * (colour - self.rgb)

    def tint(self, amount: Plane, factor: Colour) -> None:
        """Multiply the picture by `factor` where `amount` is 1: shadows below 1, glow above."""
        for channel, f in zip(self.rgb, factor, strict=True):
            channel *= 1.0 + (f - 1.0) * amount


def _clip(position: float, side: int) -> int:
    return min(max(int(position), 0), side)


def ramp(t: Plane, dark: Colour, light: Colour) -> Picture:
    """From dark at t = 0 to light at t = 1 and beyond: float32 [3, h, w]."""
    low, high = (np.array(colour, np.float32)[:, None, None] for colour in (dark, light))
    shaded: Picture = low + (high - low) * t
    return shaded


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """The colour at `t` on the way from a to b."""
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def clamp(t: Plane) -> Plane:
    """`t` cut to 0 ... 1 (np.clip costs twice as much on small arrays)."""
    return np.minimum(np.maximum(t, 0.0), 1.0)


def smoothstep(low: float, high: float, t: Plane) -> Plane:
    """0 below low, 1 above high, cubic between; low may exceed high."""
    u = clamp((t - low) * (1.0 / (high - low)))
    eased: Plane = u * u * (3.0 - 2.0 * u)
    return eased


def bump(x: Plane, y: Plane, rx: float, ry: float) -> Plane:
    """A soft blob: 1 at the origin, 0 on and outside the ellipse of radii (rx, ry)."""
    u = np.maximum(1.0 - ((x * (1.0 / rx)) ** 2 + (y * (1.0 / ry)) ** 2), 0.0)
    soft: Plane = u * u
    return soft


def ellipse(x: Plane, y: Plane, rx: float, ry: float) -> Plane:
    """Distance to an ellipse about the origin."""
    ux, uy = x * (1.0 / rx), y * (1.0 / ry)
    k0 = np.sqrt(ux * ux + uy * uy)
    ux *= 1.0 / rx
    uy *= 1.0 / ry
    distance: Plane = k0 * (k0 - 1.0) / np.maximum(np.sqrt(ux * ux + uy * uy), 1e-3)
    return distance


def rounded_box(x: Plane, y: Plane, half_width: float, half_height: float, radius: float) -> Plane:
    """Distance to a rectangle about the origin whose corners have `radius`."""
    qx, qy = np.abs(x) - (half_width - radius), np.abs(y) - (half_height - radius)
    outside = np.sqrt(np.maximum(qx, 0.0) ** 2 + np.maximum(qy, 0.0) ** 2)
    distance: Plane = outside + np.minimum(np.maximum(qx, qy), 0.0) - radius
    return distance


def smooth_union(a: Plane, b: Plane, k: float) -> Plane:
    """Union whose inner corner is rounded over about `k`."""
    h = np.maximum(k - np.abs(a - b), 0.0)
    return np.minimum(a, b) - h * h * (0.25 / k)


def smooth_cut(a: Plane, b: Plane, k: float) -> Plane:
    """Intersection of a and b whose corner is rounded over about `k`."""
    return -smooth_union(-a, -b, k)

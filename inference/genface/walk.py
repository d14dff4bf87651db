"""Smooth paths between latents: great circles and their splines.

Latents of a Gaussian in many dimensions lie near a sphere, and a straight line between two of them passes through an
empty inside. So walks go along the sphere (White, "Sampling generative networks", 2016), with lengths interpolated on
their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

Vectors = NDArray[np.float32]
_Rows = NDArray[np.float64]

# Below this sine two directions are as good as equal or opposite: the formula of slerp would divide by it.
_MIN_SINE = 1e-6


def slerp(start: Vectors, end: Vectors, t: NDArray[np.floating]) -> Vectors:
    """Points on the great circle from `start` to `end`, their lengths interpolated linearly (Shoemake 1985).

    start, end: float32 [z_dim] or [N, z_dim]; t: [N] in [0, 1]. Returns float32 [N, z_dim], at 0 and 1 exactly the
    ends. Opposite vectors have no one great circle: they, and all but equal ones, are joined by a straight line. The
    origin has no direction and takes that of the other end.
    """
    return _slerp(start.astype(np.float64), end.astype(np.float64), t.astype(np.float64)).astype(np.float32)


class Walk:
    """Smooth paths through latents, each through `points` of its own, that may close.

    Between two points a path is their great circle. Through more of them it is a cubic spline on the sphere: de
    Casteljau's algorithm with slerp in the place of straight lines (Shoemake, "Animating rotation with quaternion
    curves", SIGGRAPH 1985), its tangents those of Catmull and Rom taken in the tangent space of each point. Lengths
    follow the same cubic with monotone slopes (Fritsch & Butland 1984), so they never leave those of the points around.
    Every leg, from one point to the next, takes the time 1.
    """

    def __init__(self, points: Vectors, *, loop: bool = False) -> None:
        """Lay paths through float32 [paths, points, z_dim]. Raises UserError for fewer than two points."""
        if points.ndim != 3 or points.shape[1] < 2:
            raise UserError(f"a walk goes through at least 2 points, not {list(points.shape)} (paths, points, numbers)")
        self.paths = len(points)
        self.legs = points.shape[1] if loop else points.shape[1] - 1
        """From point to point, the way back to the first one included."""
        self._loop = loop
        self._controls = _bezier_controls(points.astype(np.float64), loop)

    def times(self, frames: int) -> NDArray[np.float64]:
        """Evenly spaced times, float64 [frames], from the first point to the last one.

        The times of a loop end one step before the first point comes again, so that it can be played round and round.
        Raises UserError for fewer than two frames.
        """
        if frames < 2:
            raise UserError(f"a walk has at least 2 frames, not {frames}")
        # Whole multiples before the division: a time that falls on a point is that whole number.
        times: NDArray[np.float64] = np.arange(frames) * self.legs / (frames if self._loop else frames - 1)
        return times

    def at(self, paths: NDArray[np.integer], times: NDArray[np.float64]) -> Vectors:
        """Latents of paths [N] at times [N] in [0, legs]: float32 [N, z_dim], at whole times exactly the points."""
        legs = np.clip(times.astype(np.int64), 0, self.legs - 1)
        curve = self._controls[paths, legs]  # [N, 4, z_dim]
        part = times - legs
        while curve.shape[1] > 1:  # de Casteljau
            curve = np.stack([_slerp(curve[:, i], curve[:, i + 1], part) for i in range(curve.shape[1] - 1)], axis=1)
        latents: Vectors = curve[:, 0].astype(np.float32)
        return latents


def walk_latents(points: Vectors, frames: int, *, loop: bool = False) -> Vectors:
    """All latents of the paths through float32 [paths, points, z_dim]: float32 [paths, frames, z_dim]."""
    walk = Walk(points, loop=loop)
    paths = len(points)
    every = walk.at(np.repeat(np.arange(paths), frames), np.tile(walk.times(frames), paths))
    return every.reshape(paths, frames, -1)


def _slerp(start: _Rows, end: _Rows, t: NDArray[np.float64]) -> _Rows:
    """`slerp` in float64, of ends [z_dim] or [N, z_dim] at t [N]."""
    s = t[:, None]
    (a, a_length), (b, b_length) = _polar(start), _polar(end)
    a, b = np.where(a_length > 0, a, b), np.where(b_length > 0, b, a)
    angle = _angle(a, b)
    sine = np.sin(angle)
    on_circle = sine > _MIN_SINE
    divisor = np.where(on_circle, sine, 1.0)
    weight_a = np.where(on_circle, np.sin((1 - s) * angle) / divisor, 1 - s)
    weight_b = np.where(on_circle, np.sin(s * angle) / divisor, s)
    between = ((1 - s) * a_length + s * b_length) * (weight_a * a + weight_b * b)
    return np.where(s == 0, start, np.where(s == 1, end, between))


def _bezier_controls(points: _Rows, loop: bool) -> _Rows:
    """The four control points of every leg: [paths, points, z_dim] -> [paths, legs, 4, z_dim]."""
    before, after = np.roll(points, 1, axis=1), np.roll(points, -1, axis=1)
    to_next, to_previous = _towards(points, after), _towards(points, before)
    (_, length), (_, next_length), (_, previous_length) = _polar(points), _polar(after), _polar(before)
    rise, last_rise = next_length - length, length - previous_length
    turn = (to_next - to_previous) / 2
    slope = _monotone_slope(last_rise, rise)
    if not loop:  # the ends of an open path have one neighbour, and set out along its great circle
        turn[:, 0], turn[:, -1] = to_next[:, 0], -to_previous[:, -1]
        slope[:, 0], slope[:, -1] = rise[:, 0], last_rise[:, -1]
    leaving = _leave(points, turn / 3, length + slope / 3)
    arriving = np.roll(_leave(points, -turn / 3, length - slope / 3), -1, axis=1)
    controls = np.stack([points, leaving, arriving, after], axis=2)
    return controls if loop else controls[:, :-1]


def _towards(start: _Rows, end: _Rows) -> _Rows:
    """The tangent at `start`'s direction that leads to `end`'s, as long as the angle; zero where none is the one."""
    (a, _), (b, _) = _polar(start), _polar(end)
    angle = _angle(a, b)
    sine = np.sin(angle)
    scale = np.divide(angle, sine, out=np.zeros_like(sine), where=sine > _MIN_SINE)
    return scale * (b - np.cos(angle) * a)


def _leave(start: _Rows, tangent: _Rows, length: _Rows) -> _Rows:
    """The vector of this length that lies from `start` along a tangent of the sphere, by its length as an angle."""
    a, _ = _polar(start)
    along, angle = _polar(tangent)
    return length * (np.cos(angle) * a + np.sin(angle) * along)


def _monotone_slope(left: _Rows, right: _Rows) -> _Rows:
    """The harmonic mean of two slopes of one sign, else zero."""
    product = left * right
    return np.divide(2 * product, left + right, out=np.zeros_like(product), where=product > 0)


def _polar(vectors: _Rows) -> tuple[_Rows, _Rows]:
    """Directions [..., z_dim] of length one, or zero for zero, and lengths [..., 1]."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0), length


def _angle(a: _Rows, b: _Rows) -> _Rows:
    """Angle between unit vectors, [..., 1]; unlike the arc cosine of their product, exact for small ones (Kahan)."""
    apart, along = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (a - b, a + b))
    angle: _Rows = 2 * np.arctan2(apart, along)
    return angle

"""Eyes, brows, nose, mouth and glasses, in coordinates that turn with the face."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from trainface.cartoons.attributes import Attributes, Jitter
from trainface.cartoons.canvas import Canvas, Colour, Plane, bump, ellipse, mix, ramp, rounded_box, smoothstep
from trainface.cartoons.palette import (
    EYE_WHITE,
    EYES,
    HAIR,
    LASH,
    LIP_ROSE,
    MOUTH_INSIDE,
    SKIN,
    TEETH,
    TONGUE,
)

_EYE_X, _EYE_Y = 0.305, 0.03
# Brow: arch, half thickness, rise from the inner to the outer end.
_BROWS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"soft": (0.04, 0.032, -0.012), "arched": (0.075, 0.025, 0.0), "straight": (0.012, 0.042, -0.006)}
)
# Nose: half width, y of the tip.
_NOSES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"small": (0.095, 0.25), "broad": (0.175, 0.3), "long": (0.12, 0.37)}
)
# Mouth: half width, how far the corners rise, how far the lips part.
_MOUTHS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"neutral": (0.22, 0.012, 0.0), "smile": (0.28, 0.085, 0.0), "open": (0.28, 0.09, 0.13)}
)
# Glasses: half width, half height, corner radius, half thickness of the frame, its colour.
_GLASSES: Mapping[str, tuple[float, float, float, float, Colour]] = MappingProxyType(
    {
        "round": (0.238, 0.238, 0.238, 0.017, (150.0, 104.0, 52.0)),
        "square": (0.262, 0.195, 0.08, 0.027, (34.0, 30.0, 36.0)),
    }
)


def paint_eyes(face: Canvas, a: Attributes, j: Jitter) -> None:
    """White, iris, pupil, highlights, lids and lashes of both eyes."""
    w = 0.19 * j.eye_size
    upper, lower = 0.118 * j.eye_size, (0.062 if a.mouth == "neutral" else 0.052) * j.eye_size
    shadow, _ = SKIN[a.skin]
    for side in (-1.0, 1.0):
        eye = face.moved(side * _EYE_X * j.eye_spacing, _EYE_Y).window(-0.27, -0.25, 0.27, 0.17)
        x, y = eye.x, eye.y + j.eye_tilt * side * eye.x
        bow = 1.0 - (x / w) ** 2
        over, under = -upper * bow, lower * bow
        gap = eye.coverage(np.maximum(over - y, y - under) * 0.8)
        white = ramp(1.0 - 0.5 * smoothstep(0.06, 0.0, y - over) - 0.25 * (x / w) ** 2, (176, 158, 152), EYE_WHITE)
        eye.paint(gap, white)
        ix, iy = x - j.gaze, y + 0.024
        r = np.sqrt(ix * ix + iy * iy)
        iris, pupil = 0.102 * j.eye_size, 0.047 * j.eye_size
        glow = 0.55 + 5.0 * iy - 1.1 * smoothstep(0.65 * iris, 1.05 * iris, r)
        eye.paint(gap * eye.coverage(r - iris), ramp(glow, *EYES[a.eye_colour]))
        eye.paint(gap * eye.coverage(r - pupil), (12.0, 9.0, 10.0))
        eye.tint(gap * smoothstep(0.05, 0.0, y - over), (0.7, 0.67, 0.67))
        gleam = np.sqrt((ix - 0.04 * (0.3 + j.light_x)) ** 2 + (iy + 0.036) ** 2)
        eye.paint(0.95 * gap * eye.coverage(gleam - 0.026), (255.0, 255.0, 255.0))
        # The lash line is thickest towards the temple, and both lids fade out at the corners.
        reach = smoothstep(1.12, 0.95, np.abs(x / w))
        eye.paint(0.92 * reach * eye.stroke(y - over, 0.013 + 0.008 * side * x / w), LASH)
        eye.paint(0.4 * reach * eye.stroke(y - under, 0.008), mix(shadow, LASH, 0.5))
        eye.paint(0.5 * reach * eye.stroke(y - over * 1.1 + 0.05, 0.009), mix(shadow, LASH, 0.25))


def paint_brows(face: Canvas, a: Attributes, j: Jitter) -> None:
    """Two tapering strokes in the hair's colour."""
    arch, thickness, rise = _BROWS[a.brows]
    colour = mix(mix(*HAIR[a.hair_colour], 0.25), SKIN[a.skin][0], 0.15)
    half = 0.215
    for side in (-1.0, 1.0):
        y0 = _EYE_Y - 0.25 + j.brow_height - (0.015 if a.mouth == "open" else 0.0)
        brow = face.moved(side * (_EYE_X * j.eye_spacing + 0.015), y0).window(-0.3, -0.2, 0.3, 0.2)
        outward = side * brow.x / half
        line = brow.y - arch * (outward - 0.02) ** 2 + rise * outward
        taper = thickness * (1.0 - 0.75 * smoothstep(-0.2, 1.0, outward))
        ends = smoothstep(1.05, 0.85, outward) * smoothstep(-1.08, -0.8, outward)
        brow.paint(0.93 * ends * brow.stroke(line, taper), colour)


def paint_nose(face: Canvas, a: Attributes, j: Jitter) -> None:
    """Mostly light and shade: a shaded side, a lit ridge and tip, wings, nostrils, a shadow below."""
    half, tip = _NOSES[a.nose]
    half *= j.nose_size
    tip *= j.nose_size
    nose = face.moved(0.35 * j.yaw, 0.3 * j.pitch).window(-0.3, -0.25, 0.3, 0.6)
    x, y = nose.x, nose.y
    lit = 1.0 if j.light_x > 0 else -1.0
    strength = 0.35 + 0.65 * abs(j.light_x)
    nose.tint(strength * bump(x + lit * 0.11, y - 0.12, 0.11, 0.34), (0.86, 0.79, 0.76))
    nose.tint(bump(x, y - tip - 0.11, 1.35 * half, 0.085), (0.72, 0.62, 0.6))
    for side in (-1.0, 1.0):
        nose.tint(bump(x - side * half * 1.02, y - tip - 0.02, 0.07, 0.09), (0.78, 0.7, 0.68))
        nose.tint(bump(x - side * half * 0.62, y - tip + 0.02, 0.09, 0.08), (1.06, 1.04, 1.03))
    nose.tint(bump(x - lit * 0.015, y - 0.08, 0.06, 0.34), (1.09, 1.09, 1.09))
    nose.tint(bump(x - lit * 0.02, y - tip + 0.03, 0.11, 0.09), (1.15, 1.14, 1.13))
    for side in (-1.0, 1.0):
        nose.tint(bump(x - side * half * 0.5, y - tip - 0.075 + 0.1 * side * x, 0.06, 0.035), (0.35, 0.26, 0.25))


def paint_mouth(face: Canvas, a: Attributes, j: Jitter) -> None:
    """Lips by four curves (two outlines, two edges of the gap), with teeth and tongue behind an open mouth."""
    half, rise, gape = _MOUTHS[a.mouth]
    half *= j.mouth_width
    shadow, light = SKIN[a.skin]
    mouth = face.moved(0.1 * j.yaw, 0.585).window(-0.42, -0.25, 0.42, 0.32)
    x, y = mouth.x, mouth.y
    s = x / half
    bow = np.maximum(1.0 - s * s, 0.0)
    middle = rise * (bow - 0.55)
    cupid = 1.0 - 0.3 * np.maximum(1.0 - np.abs(s) * 5.0, 0.0)
    top = middle - 0.062 * j.lip_fullness * np.sqrt(bow) * bow**0.3 * cupid
    gap_low = middle + gape * bow**0.7
    bottom = gap_low + 0.088 * j.lip_fullness * bow**0.75
    within = np.maximum(top - y, y - bottom) * 0.9
    inner = np.maximum(np.maximum(middle - y, y - gap_low), (np.abs(s) - 0.96) * half)
    mouth.tint(0.5 * bump(x, y - float(gape) - 0.15, 0.2, 0.07), (0.74, 0.66, 0.64))
    lip = mix(mix(shadow, light, 0.45), LIP_ROSE, 0.42)
    t = 0.5 - 0.35 * smoothstep(0.02, -0.02, y - middle) + 0.2 * j.light_x * s
    t += 0.4 * bump(x - 0.05 * j.light_x, y - gap_low - 0.03, 0.14, 0.03)
    lips = ramp(t, mix(lip, (40.0, 10.0, 14.0), 0.3), mix(lip, (255.0, 225.0, 215.0), 0.25))
    mouth.paint(0.95 * mouth.coverage(within) * smoothstep(1.02, 0.9, np.abs(s)), lips)
    if gape:
        mouth.paint(mouth.coverage(inner), MOUTH_INSIDE)
        tongue = np.maximum(inner, ellipse(x, y - float(gape) - rise * 0.45 - 0.03, 0.15, 0.075))
        mouth.paint(mouth.coverage(tongue), TONGUE)
        teeth = np.maximum(inner, y - middle - 0.5 * gape * np.sqrt(bow))
        white = ramp(1.0 - 0.35 * s * s - 0.25 * smoothstep(0.02, 0.0, y - middle), (150.0, 120.0, 116.0), TEETH)
        mouth.paint(mouth.coverage(teeth), white)
    else:
        mouth.paint(0.75 * smoothstep(1.08, 0.9, np.abs(s)) * mouth.stroke(y - middle, 0.011), mix(lip, LASH, 0.6))
    if rise > 0.05:
        _paint_dimples(mouth, half, rise)


def _paint_dimples(mouth: Canvas, half: float, rise: float) -> None:
    for side in (-1.0, 1.0):
        corner = bump(mouth.x - side * (half + 0.015), mouth.y + 0.55 * rise, 0.06, 0.07)
        mouth.tint(corner, (0.76, 0.66, 0.64))


def paint_glasses(face: Canvas, a: Attributes, j: Jitter) -> None:
    """Two lenses with a glare, a bridge and the temples."""
    if a.glasses == "none":
        return
    half_width, half_height, radius, wire, colour = _GLASSES[a.glasses]
    x0 = max(_EYE_X * j.eye_spacing, half_width + 0.05)
    for side in (-1.0, 1.0):
        lens = face.moved(side * x0, _EYE_Y + 0.02).window(-0.6, -0.35, 0.6, 0.4)
        x, y = lens.x, lens.y
        rim = rounded_box(x, y, half_width, half_height, radius)
        glass = lens.coverage(rim)
        lens.paint(0.1 * glass, (226.0, 236.0, 244.0))
        lens.paint(0.16 * glass * smoothstep(0.07, 0.0, np.abs(x + y * 0.8 + 0.07)), (255.0, 255.0, 255.0))
        lens.tint(_under(rim, wire), (0.84, 0.8, 0.8))
        frame = ramp(0.5 - 2.0 * y + 0.3 * j.light_x * x, mix(colour, (0.0, 0.0, 0.0), 0.35), colour)
        lens.paint(lens.stroke(rim, wire), frame)
        temple = np.maximum(half_width - side * x, side * (x + side * x0) - 0.7)
        arm = lens.stroke(y + 0.06 + 0.05 * side * x, wire * 0.9) * lens.coverage(temple)
        bridge = lens.stroke(y + 0.07 - 1.4 * (x + side * x0) ** 2, wire) * lens.coverage(
            np.maximum(half_width + side * x, -side * x - x0)
        )
        lens.paint(np.maximum(arm, bridge), frame)


def _under(rim: Plane, wire: float) -> Plane:
    return smoothstep(wire + 0.05, wire, np.abs(rim))

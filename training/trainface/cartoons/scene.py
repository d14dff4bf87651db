"""What surrounds the head: background, neck and clothes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from trainface.cartoons.attributes import Attributes, Jitter
from trainface.cartoons.canvas import Canvas, Plane, ellipse, mix, ramp, smoothstep
from trainface.cartoons.palette import BACKGROUND, CLOTHES, SKIN

# From page coordinates and the light's side to brightness: 0 is the colour's shadow tone, 1 its light tone.
_BACKDROPS: Mapping[str, Callable[[Plane, Plane, float], Plane]] = MappingProxyType(
    {
        "plain": lambda x, y, light: 0.62 - 0.12 * y + 0.08 * light * x,
        "gradient": lambda x, y, light: 0.5 - 0.45 * y + 0.18 * light * x,
        "spotlight": lambda x, y, light: 1.05 - 0.75 * np.sqrt((x - 0.2 * light) ** 2 + (y + 0.15) ** 2),
        "horizon": lambda x, y, light: (
            0.12 + (0.75 - 0.2 * y) * smoothstep(0.42, 0.12, y + 0.05 * np.sin(3.0 * x + 4.0 * light))
        ),
    }
)
# From |x| and y to the distance to the opening that shows neck and chest.
_NECKLINES: Mapping[str, Callable[[Plane, Plane], Plane]] = MappingProxyType(
    {
        "crew": lambda side, y: ellipse(side, y - 1.1, 0.5, 0.27),
        "v_neck": lambda side, y: np.maximum((side - 0.46 + 0.62 * (y - 1.1)) * 0.85, 0.9 - y),
        "shirt": lambda side, y: np.maximum((side - 0.4 + 0.9 * (y - 1.12)) * 0.74, 0.9 - y),
    }
)


def paint_background(page: Canvas, a: Attributes, j: Jitter) -> None:
    """Fill the page (coordinates -1 to 1) with one of four soft backdrops."""
    page.rgb[...] = ramp(_BACKDROPS[a.background](page.x, page.y, j.light_x), *BACKGROUND[a.background_colour])


def paint_neck(torso: Canvas, skull: Plane, a: Attributes, j: Jitter) -> None:
    """Neck and upper chest, in the shadow of the chin (`skull`: the head's distance on the same pixels)."""
    x, y = torso.x, torso.y
    widening = 0.35 + 0.9 * np.maximum(y - 1.05, 0.0) ** 2
    u = x / (widening + 0.08)
    t = 0.78 - 0.5 * u * u + 0.2 * j.light_x * u
    t -= 0.62 * (1.0 - smoothstep(-0.05, 0.4, skull))
    inside = np.maximum(np.abs(x) - widening, 0.4 - y)
    torso.paint(torso.coverage(inside), ramp(t, *SKIN[a.skin]))


def paint_clothes(torso: Canvas, a: Attributes, j: Jitter) -> None:
    """Shoulders in a garment whose neckline is the attribute `clothes`."""
    x, y = torso.x, torso.y
    side = np.abs(x)
    shoulders = 1.16 + 0.06 * side + 0.3 * np.maximum(side - 0.5, 0.0) ** 2 - y
    shadow, light = CLOTHES[a.clothes_colour]
    t = 0.72 - 0.28 * (x / 1.2) ** 2 + 0.22 * j.light_x * x + 0.25 * (1.3 - y)
    t += 0.05 * np.sin(9.0 * side - 5.0 * y)
    hole = _NECKLINES[a.clothes](side, y)
    cloth = torso.coverage(np.maximum(shoulders, -hole))
    torso.paint(cloth, ramp(t, shadow, light))
    if a.clothes != "shirt":
        band = torso.stroke(hole - 0.045, 0.045) * torso.coverage(shoulders - 0.03)
        torso.paint(band, ramp(t - 0.22, shadow, light))
        return
    # The two leaves of the collar.
    leaf = np.maximum.reduce([-hole, hole - 0.19, shoulders - 0.05, (y - 1.42 - 0.25 * side) * 0.9])
    torso.tint((1.0 - smoothstep(0.0, 0.1, leaf)) * cloth, (0.75, 0.75, 0.78))
    torso.paint(torso.coverage(leaf), ramp(t + 0.12, mix(shadow, light, 0.2), mix(light, (255.0, 255.0, 255.0), 0.25)))

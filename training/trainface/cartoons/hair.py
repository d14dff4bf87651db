"""Hair: one silhouette and one face opening, shaped by a row of numbers per style; what hangs behind is drawn first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from trainface.cartoons.attributes import Attributes, Jitter
from trainface.cartoons.canvas import Canvas, Plane, ellipse, ramp, rounded_box, smooth_cut, smooth_union, smoothstep
from trainface.cartoons.palette import HAIR


@dataclass(frozen=True, kw_only=True)
class Style:
    """A hair style in head coordinates: the head is 2 high and about 1.5 wide, y = -1 is the crown, 1 the chin."""

    volume: float
    """Thickness above the skull."""
    hairline: float
    """y of the hair's edge at the parting."""
    arch: float
    """How far that edge has come down one unit beside the parting."""
    length: float
    """y where the sides end."""
    opening: float = 0.68
    """Half width of the face left free between the sides."""
    parting: float = 0.0
    """x of the parting; the face's jitter chooses the side and how far."""
    flare: float = 0.0
    """How much the sides widen per unit downwards."""
    wave: float = 0.0
    """Amplitude of waves in the outline and the strands."""
    curl: float = 0.0
    """Amplitude of curls."""
    behind: bool = False
    """Whether the silhouette is also filled behind neck and shoulders."""
    tuft: tuple[float, float, float, float] | None = None
    """An ellipse (x, y, rx, ry) that joins the silhouette: a quiff."""
    knot: tuple[float, float, float, float] | None = None
    """An ellipse behind the head: a bun, a pony tail. x > 0 is the parting's side."""
    density: float = 1.0
    """Below 1 the skin shows through."""


STYLES: Mapping[str, Style | None] = MappingProxyType(
    {
        "bald": None,
        "buzz": Style(volume=0.015, hairline=-0.66, arch=0.28, length=-0.08, opening=0.655, density=0.82),
        "short": Style(volume=0.09, hairline=-0.74, arch=0.36, length=0.02, parting=0.42, wave=0.008),
        "quiff": Style(
            volume=0.05, hairline=-0.68, arch=0.16, length=-0.04, parting=0.2, wave=0.012, tuft=(0.14, -0.9, 0.52, 0.36)
        ),
        "fringe": Style(volume=0.1, hairline=-0.36, arch=0.06, length=0.14, opening=0.66, wave=0.01),
        "curly": Style(volume=0.15, hairline=-0.58, arch=0.3, length=0.12, curl=0.04, parting=0.1),
        "bob": Style(
            volume=0.13, hairline=-0.44, arch=0.22, length=0.72, opening=0.57, flare=0.1, parting=0.12, behind=True
        ),
        "long": Style(
            volume=0.09, hairline=-0.74, arch=0.72, length=2.2, opening=0.58, flare=0.03, parting=0.08, behind=True
        ),
        "wavy": Style(
            volume=0.14,
            hairline=-0.68,
            arch=0.55,
            length=1.5,
            opening=0.6,
            flare=0.12,
            wave=0.05,
            parting=0.34,
            behind=True,
        ),
        "bun": Style(volume=0.045, hairline=-0.68, arch=0.4, length=-0.02, knot=(0.0, -1.14, 0.32, 0.27)),
        "afro": Style(volume=0.4, hairline=-0.6, arch=0.32, length=0.42, opening=0.69, curl=0.03, behind=True),
        "ponytail": Style(
            volume=0.055, hairline=-0.66, arch=0.42, length=0.0, parting=0.3, knot=(0.72, 0.5, 0.26, 0.85)
        ),
    }
)


def paint_behind(head: Canvas, a: Attributes, j: Jitter) -> None:
    """What hangs behind neck and ears: the silhouette of long styles, a bun, a pony tail."""
    style = STYLES[a.hair_style]
    if style is None:
        return
    if style.knot is not None:
        x, y, rx, ry = style.knot
        side = _side(j)
        _paint_strands(head, ellipse(head.x - side * x, head.y - y, rx, ry), a, j, style, shade=-0.1)
    if style.behind:
        _paint_strands(head, _silhouette(head, j, style), a, j, style, shade=-0.25)


def paint_front(head: Canvas, skull: Plane, a: Attributes, j: Jitter) -> None:
    """The hair that frames the face, and the soft shadow that it throws on the skin (`skull`: the head's distance)."""
    style = STYLES[a.hair_style]
    if style is None:
        return
    parting = _parting(j, style) + 0.5 * j.yaw
    aside = head.x - parting
    slope = 2.0 * style.arch * aside
    edge = style.hairline + style.arch * aside * aside + style.wave * np.sin(11.0 * head.x)
    opening = smooth_cut(
        (edge - head.y) / np.sqrt(1.0 + slope * slope), np.abs(head.x - 0.4 * j.yaw) - style.opening, 0.3
    )
    if not style.behind:
        opening = np.maximum(opening, skull + 0.03)  # else the backdrop shows between temple and hair
    hair = smooth_cut(_silhouette(head, j, style), -opening, 0.04)
    if not style.behind:
        # Short sides end in a sideburn, slanting towards the ear.
        hair = smooth_cut(hair, (head.y - style.length) * 0.9 + (0.72 - np.abs(head.x)) * 0.3, 0.06)
    shadow = (1.0 - smoothstep(0.0, 0.16, hair)) * head.coverage(skull)
    head.tint(shadow, (0.74, 0.66, 0.64))
    _paint_strands(head, hair, a, j, style, shade=0.0)


def _side(j: Jitter) -> float:
    return 1.0 if j.parting > 0 else -1.0


def _parting(j: Jitter, style: Style) -> float:
    return style.parting * (0.6 * _side(j) + 0.4 * j.parting)


def _silhouette(head: Canvas, j: Jitter, style: Style) -> Plane:
    volume = style.volume * j.hair_volume
    x, y = head.x, head.y
    if style.wave:
        x = x + style.wave * np.sin(6.5 * y + 2.0 * j.parting) * smoothstep(-0.4, 0.4, y)
    cap = ellipse(x, y + 0.2, 0.74 + volume, 0.81 + volume)
    if style.tuft is not None:
        tx, ty, rx, ry = style.tuft
        side = _side(j)
        cap = smooth_union(cap, ellipse(x - side * tx, y - ty, rx, ry * j.hair_volume), 0.3)
    if style.behind:
        half_height = 0.5 * (style.length + 0.3)
        narrowed = x / (1.0 + style.flare * np.maximum(y + 0.2, 0.0))
        cap = smooth_union(cap, rounded_box(narrowed, y + 0.3 - half_height, 0.77 + volume, half_height, 0.28), 0.2)
    if style.curl:
        cap = cap + style.curl * _curls(x, y)
    return cap


def _curls(x: Plane, y: Plane) -> Plane:
    curls: Plane = np.sin(15.0 * x + 2.0 * np.sin(7.0 * y)) * np.sin(15.0 * y + 2.0 * np.sin(7.0 * x))
    return curls


def _paint_strands(head: Canvas, hair: Plane, a: Attributes, j: Jitter, style: Style, shade: float) -> None:
    x, y = head.x, head.y
    u, v = x / 1.05, (y + 0.1) / 1.35
    roundness = np.sqrt(np.maximum(1.0 - u * u - v * v, 0.0))
    t = 0.27 + shade + 0.35 * roundness - 0.13 * v + 0.2 * j.light_x * u
    # A band of gloss around the crown, and strands that spread from above the parting.
    along = (x - _parting(j, style)) / np.maximum(y + 1.9, 0.3)
    strands = np.sin(34.0 * along + 9.0 * style.wave * np.sin(6.5 * y)) + 0.6 * np.sin(71.0 * along + 1.3)
    gloss = np.maximum(1.0 - np.abs(v + 0.52 - 0.45 * u * u - 0.02 * strands) * 4.5, 0.0)
    t += 0.3 * gloss * gloss
    t += (0.09 * _curls(1.35 * x, 1.35 * y) + 0.09 * _curls(2.2 * x, 2.2 * y)) if style.curl else (0.05 * strands)
    t -= 0.22 * smoothstep(-0.12, 0.0, hair)
    head.paint(head.coverage(hair) * style.density, ramp(np.maximum(t, 0.0), *HAIR[a.hair_colour]))

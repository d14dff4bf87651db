"""Colours by attribute value, sRGB 0 to 255. Skin, hair and cloth have a shadow and a light tone to shade between."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trainface.cartoons.canvas import Colour

Tones = tuple[Colour, Colour]
"""Shadow, light."""

SKIN: Mapping[str, Tones] = MappingProxyType(
    {
        "porcelain": ((208, 150, 132), (255, 234, 220)),
        "fair": ((196, 134, 108), (254, 219, 192)),
        "olive": ((166, 114, 78), (238, 198, 152)),
        "tan": ((140, 88, 58), (221, 168, 121)),
        "brown": ((92, 54, 36), (178, 121, 84)),
        "deep": ((52, 31, 25), (128, 84, 62)),
    }
)

HAIR: Mapping[str, Tones] = MappingProxyType(
    {
        "black": ((14, 13, 18), (78, 74, 88)),
        "brown": ((34, 20, 14), (112, 74, 52)),
        "chestnut": ((58, 30, 18), (156, 98, 62)),
        "auburn": ((70, 20, 14), (172, 72, 48)),
        "ginger": ((118, 48, 14), (230, 136, 64)),
        "blond": ((140, 100, 46), (246, 218, 150)),
        "grey": ((96, 96, 102), (214, 214, 218)),
    }
)

EYES: Mapping[str, Tones] = MappingProxyType(
    {
        "brown": ((38, 20, 12), (132, 78, 44)),
        "hazel": ((64, 46, 18), (170, 132, 62)),
        "green": ((24, 62, 40), (112, 164, 96)),
        "blue": ((22, 58, 108), (112, 172, 222)),
        "grey": ((54, 64, 76), (160, 174, 184)),
    }
)

CLOTHES: Mapping[str, Tones] = MappingProxyType(
    {
        "navy": ((20, 28, 58), (62, 82, 134)),
        "red": ((104, 22, 28), (204, 70, 66)),
        "teal": ((10, 68, 72), (58, 152, 148)),
        "mustard": ((138, 92, 18), (228, 178, 74)),
        "white": ((170, 172, 182), (250, 249, 246)),
        "charcoal": ((30, 31, 36), (92, 94, 102)),
    }
)

BACKGROUND: Mapping[str, Tones] = MappingProxyType(
    {
        "sky": ((112, 158, 202), (206, 228, 244)),
        "sand": ((196, 164, 124), (244, 228, 202)),
        "sage": ((122, 152, 124), (212, 226, 204)),
        "lilac": ((144, 128, 182), (222, 212, 238)),
        "rose": ((200, 134, 142), (246, 216, 216)),
        "slate": ((62, 74, 92), (138, 152, 170)),
    }
)

EYE_WHITE: Colour = (246, 243, 239)
LASH: Colour = (32, 20, 18)
LIP_ROSE: Colour = (188, 62, 74)
MOUTH_INSIDE: Colour = (74, 18, 24)
TEETH: Colour = (250, 246, 238)
TONGUE: Colour = (198, 92, 98)

"""Drawings that the cascades take for a human and a cat face: test material that is nobody's picture."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

BACKGROUND = (80, 100, 110)
_OVERSAMPLING = 4


class _Pen:
    """Draws in shares of the side."""

    def __init__(self, side: int) -> None:
        self.side = side * _OVERSAMPLING
        self.image = Image.new("RGB", (self.side, self.side), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def ellipse(self, *box: float, fill: tuple[int, int, int]) -> None:
        self._draw.ellipse([x * self.side for x in box], fill=fill)

    def rectangle(self, *box: float, fill: tuple[int, int, int]) -> None:
        self._draw.rectangle([x * self.side for x in box], fill=fill)

    def polygon(self, *corners: float, fill: tuple[int, int, int]) -> None:
        self._draw.polygon([x * self.side for x in corners], fill=fill)

    def done(self) -> Image.Image:
        side = self.side // _OVERSAMPLING
        return self.image.resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(side / 150))


def human_face(side: int) -> Image.Image:
    """Hair, brows, eyes, nose and mouth; the eyes are centred at (0.5, 0.43)."""
    pen, skin, hair, shade = _Pen(side), (224, 180, 150), (50, 35, 25), (150, 100, 85)
    pen.ellipse(0.14, 0.02, 0.86, 0.75, fill=hair)
    pen.ellipse(0.2, 0.12, 0.8, 0.97, fill=skin)
    for x in (0.36, 0.64):
        pen.ellipse(x - 0.1, 0.37, x + 0.1, 0.47, fill=shade)
        pen.rectangle(x - 0.1, 0.34, x + 0.1, 0.375, fill=hair)
        pen.ellipse(x - 0.07, 0.395, x + 0.07, 0.465, fill=(245, 245, 245))
        pen.ellipse(x - 0.035, 0.395, x + 0.035, 0.465, fill=(40, 30, 30))
    pen.ellipse(0.46, 0.42, 0.54, 0.64, fill=(236, 196, 168))
    pen.ellipse(0.43, 0.6, 0.57, 0.65, fill=shade)
    pen.ellipse(0.37, 0.72, 0.63, 0.82, fill=(150, 60, 60))
    pen.rectangle(0.38, 0.762, 0.62, 0.775, fill=(70, 30, 30))
    return pen.done()


def cat_face(side: int) -> Image.Image:
    """Ears, eyes, nose and muzzle; the eyes are centred at (0.5, 0.5)."""
    pen, fur, inner = _Pen(side), (190, 180, 170), (150, 110, 110)
    pen.polygon(0.1, 0.05, 0.4, 0.25, 0.14, 0.5, fill=fur)
    pen.polygon(0.9, 0.05, 0.6, 0.25, 0.86, 0.5, fill=fur)
    pen.polygon(0.16, 0.14, 0.32, 0.26, 0.19, 0.4, fill=inner)
    pen.polygon(0.84, 0.14, 0.68, 0.26, 0.81, 0.4, fill=inner)
    pen.ellipse(0.1, 0.18, 0.9, 0.95, fill=fur)
    for x in (0.33, 0.67):
        pen.ellipse(x - 0.1, 0.42, x + 0.1, 0.58, fill=(60, 50, 45))
        pen.ellipse(x - 0.08, 0.435, x + 0.08, 0.565, fill=(200, 200, 90))
        pen.ellipse(x - 0.025, 0.435, x + 0.025, 0.565, fill=(10, 10, 10))
    pen.ellipse(0.35, 0.62, 0.65, 0.88, fill=(225, 220, 215))
    pen.polygon(0.44, 0.64, 0.56, 0.64, 0.5, 0.71, fill=(190, 110, 110))
    pen.rectangle(0.495, 0.7, 0.505, 0.78, fill=(80, 60, 60))
    return pen.done()


def snapshot(*placed: tuple[Image.Image, tuple[int, int]], size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Faces at their places (left, top) before a plain background."""
    photo = Image.new("RGB", size, BACKGROUND)
    for face, place in placed:
        photo.paste(face, place)
    return photo

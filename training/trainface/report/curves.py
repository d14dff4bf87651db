"""curves.png: the course of a run over images seen, in one picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainface.history import History

Lang = Literal["en", "ru"]
Column = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a panel."""

    label: dict[Lang, str]
    read: Callable[[History], Column]
    colour: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: dict[Lang, str]
    curves: tuple[Curve, ...]
    marks: bool = False
    """Points on the line, where values are few."""


# Blue, vermilion and green of Okabe and Ito's palette: apart for every kind of colour vision.
_BLUE, _VERMILION, _GREEN = "#0072B2", "#D55E00", "#009E73"


def _thousandfold(column: Column) -> Column:
    return column[0], 1000 * column[1]


PANELS: tuple[Panel, ...] = (
    Panel(
        title={"en": "Losses, mean of each tick", "ru": "Функции потерь, среднее за интервал"},
        curves=(
            Curve(
                label={"en": "generator", "ru": "генератор"},
                read=lambda history: history.column("g_loss"),
                colour=_VERMILION,
            ),
            Curve(
                label={"en": "discriminator", "ru": "дискриминатор"},
                read=lambda history: history.column("d_loss"),
                colour=_BLUE,
            ),
        ),
    ),
    Panel(
        title={
            "en": "Pair accuracy: how often D puts a real above a generated picture",
            "ru": "Доля пар, в которых D ставит настоящее изображение выше созданного",
        },
        curves=(
            Curve(
                label={"en": "pair accuracy", "ru": "доля верных пар"},
                read=lambda history: history.column("pair_accuracy"),
                colour=_BLUE,
            ),
        ),
    ),
    Panel(
        title={"en": "KID x 1000 of the best averaged generator", "ru": "KID × 1000 лучшего усреднённого генератора"},
        curves=(
            Curve(
                label={"en": "KID x 1000", "ru": "KID × 1000"},
                read=lambda history: _thousandfold(history.score_column("kid")),
                colour=_GREEN,
            ),
        ),
        marks=True,
    ),
    Panel(
        title={
            "en": "Frechet distance of the best averaged generator",
            "ru": "Расстояние Фреше лучшего усреднённого генератора",
        },
        curves=(
            Curve(
                label={"en": "Frechet distance", "ru": "расстояние Фреше"},
                read=lambda history: history.score_column("frechet"),
                colour=_GREEN,
            ),
        ),
        marks=True,
    ),
)
_AXIS = {"en": "thousands of real images seen", "ru": "просмотрено настоящих изображений, тыс."}
_EVENT = {"en": "event", "ru": "событие"}


def draw_curves(history: History, lang: Lang = "en") -> bytes | None:
    """The panels that have anything to show, one above the other, as PNG; None where none has.

    Dashed vertical lines are events; after a roll-back a curve begins anew further left.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [panel for panel in PANELS if any(_is_drawn(curve.read(history)) for curve in panel.curves)]
    if not panels:
        return None
    figure = Figure(figsize=(9, 2.6 * len(panels) + 0.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0], panels, strict=True):
        for curve in panel.curves:
            kimg, values = curve.read(history)
            marker = "o" if panel.marks or len(kimg) < 3 else ""
            axes.plot(kimg, values, color=curve.colour, label=curve.label[lang], marker=marker, markersize=4, lw=1.6)
        for index, event in enumerate(history.events):
            label = _EVENT[lang] if index == 0 else None
            axes.axvline(event.kimg, color="0.45", lw=1, linestyle="--", label=label)
        axes.set_title(panel.title[lang], fontsize=10, loc="left")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(panel.curves) > 1 or history.events:
            axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel(_AXIS[lang], fontsize=9)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _is_drawn(column: Column) -> bool:
    return bool(np.isfinite(column[1]).any())

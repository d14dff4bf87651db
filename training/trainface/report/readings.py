"""What the figures of a run say, in plain words, English and Russian; the sentences stand in `report.bands`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainface.config import Config
from trainface.history import History
from trainface.report import bands
from trainface.report.artefacts import Artefacts
from trainface.report.curves import Lang


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured artefact."""

    name: str
    fakes: str
    reals: str
    """A dash where no reals were at hand, or where reals have none by their nature."""
    reading: str


def read_bands(value: float, table: bands.Bands, lang: Lang) -> str:
    """The sentence of the band that `value` lies in; NaN lies in the last one."""
    return next((text for end, text in table if value < end), table[-1][1])[lang]


def number(value: float, lang: Lang, digits: int = 3) -> str:
    """Significant digits for people: a comma and hard spaces in Russian, a point and commas in English."""
    if not math.isfinite(value):
        return "—"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{min(decimals, 6)}f}"
    return text.replace(",", "\u00a0").replace(".", ",") if lang == "ru" else text


def whole(value: int, lang: Lang) -> str:
    """A whole number with its thousands set apart."""
    return f"{value:,}".replace(",", "\u00a0") if lang == "ru" else f"{value:,}"


def read_artefacts(fakes: Artefacts, reals: Artefacts | None, clipped: float, lang: Lang) -> list[Finding]:
    """The measured artefacts with their readings; ratios are taken to the reals, so without them few can be read.

    `clipped`: share of the generator's values that clamping moves, 0 to 1.
    """

    def ratio(name: str, table: bands.Bands) -> str:
        if reals is None:
            return bands.NO_REALS[lang]
        of_reals = getattr(reals, name)
        return read_bands(getattr(fakes, name) / of_reals if of_reals else math.inf, table, lang)

    excess = fakes.near_duplicates - (reals.near_duplicates if reals else 0.0)
    cast = max(abs(a - b) for a, b in zip(fakes.colour, reals.colour, strict=True)) if reals else math.nan
    readings = {
        "diversity": ratio("diversity", bands.DIVERSITY),
        "near_duplicates": read_bands(excess, bands.NEAR_DUPLICATES, lang),
        "sharpness": ratio("sharpness", bands.SHARPNESS),
        "checkerboard": ratio("checkerboard", bands.CHECKERBOARD),
        "contrast": ratio("contrast", bands.CONTRAST),
        "colour": read_bands(cast, bands.COLOUR, lang) if reals else bands.NO_REALS[lang],
    }
    found = [
        Finding(
            name=bands.NAMES[name][lang], fakes=_shown(fakes, name, lang), reals=_shown(reals, name, lang), reading=text
        )
        for name, text in readings.items()
    ]
    text = read_bands(clipped, bands.CLIPPED, lang)
    return [
        *found,
        Finding(name=bands.NAMES["clipped"][lang], fakes=number(100 * clipped, lang, 2), reals="—", reading=text),
    ]


def read_course(history: History, config: Config, lang: Lang) -> list[str]:
    """Sentences on the balance at the end and on the course of the scores; empty for an empty history.

    The balance is read for the relativistic loss alone: only there the pairs are what D is taught.
    """
    sentences = []
    _, accuracies = history.column("pair_accuracy")
    if len(accuracies) and np.isfinite(accuracies[-1]) and config.loss == "relativistic":
        accuracy, verdict = number(accuracies[-1], lang), read_bands(accuracies[-1], bands.PAIR_ACCURACY, lang)
        sentences.append(
            {
                "en": f"At the end D ranks {accuracy} of the pairs rightly: {verdict}.",
                "ru": f"В конце обучения D верно упорядочивает долю пар {accuracy}: {verdict}.",
            }[lang]
        )
    best = history.best_score()
    if best is not None:
        last = history.scores[-1]
        worse = last.best.get("kid", math.nan) / best.best["kid"] - 1 if best.best["kid"] > 0 else math.nan
        if last is best:
            text = {
                "en": "The last score is the best: a longer run may well improve it.",
                "ru": "Последняя оценка — лучшая: более долгое обучение, вероятно, улучшило бы её.",
            }
        else:
            rise = number(100 * worse, lang, 2)
            text = {
                "en": f"KID was best at {number(best.kimg, lang)} kimg; at the end it is {rise} % higher.",
                "ru": f"Лучший KID — на {number(best.kimg, lang)} тыс. изображений; в конце он выше на {rise} %.",
            }
        sentences.append(text[lang])
    return sentences


def _shown(artefacts: Artefacts | None, name: str, lang: Lang) -> str:
    if artefacts is None:
        return "—"
    value = 100 * artefacts.near_duplicates if name == "near_duplicates" else getattr(artefacts, name)
    return " / ".join(number(part, lang) for part in value) if isinstance(value, tuple) else number(value, lang)

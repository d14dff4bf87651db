"""The texts of a hand-in: scores of the archive in words, the README, the environment, the report as a page."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from evalface.one_nn import LeaveOneOut, PermutationTest
from evalface.readings import sides_against_chance
from trainface.report.curves import Lang
from trainface.report.readings import number, whole
from trainface.report.run_report import Archive

_USUAL_N = 10_000
ROOMS = ("genface", "evalface", "trainface", "exportface")

Text = dict[Lang, str]

_ROWS: dict[str, Text] = {
    "frechet": {"en": "{name}", "ru": "расстояние Фреше ({name})"},
    "floor": {"en": "noise floor", "ru": "шумовой порог"},
    "kid": {"en": "KID x 1000", "ru": "KID × 1000"},
    "precision": {"en": "precision", "ru": "точность (precision)"},
    "recall": {"en": "recall", "ru": "полнота (recall)"},
    "density": {"en": "density", "ru": "плотность (density)"},
    "coverage": {"en": "coverage", "ru": "охват (coverage)"},
    "leave_one_out": {"en": "LOO-1NN in features", "ru": "LOO-1NN в признаках"},
    "leave_one_out_pixels": {"en": "LOO-1NN in raw pixels", "ru": "LOO-1NN в пикселях"},
}
_COVER = ("density", "coverage")
_ALL: Text = {"en": "{real} real, {fake} generated", "ru": "настоящих: {real}, сгенерированных: {fake}"}
_OTHERS: Text = {
    "en": "real pictures against other real ones, {n} each",
    "ru": "настоящие против других настоящих, по {n}",
}
_PAIRS: Text = {"en": "{n} of each side, k = {k}", "ru": "по {n} с каждой стороны, k = {k}"}
_ONE_NN: Text = {
    "en": "{n} of each side; of the reals {real}, of the fakes {fake}; chance {chance}",
    "ru": "по {n} с каждой стороны; среди настоящих {real}, среди сгенерированных {fake}; случайный уровень {chance}",
}
_ONE_NN_SHARE = "У {share} % изображений ближайший сосед того же рода (случайный уровень — {chance} %): {verdict}."
# Keys: real and fake accuracy against chance, -1 below, 0 at, 1 above; as evalface.readings has it in English.
_ONE_NN_VERDICTS = {
    (0, 0): "этот тест не отличает сгенерированные изображения от настоящих",
    (1, 1): "настоящие и сгенерированные держатся порознь, то есть их можно различить",
    (-1, -1): "сгенерированные лежат вплотную к настоящим — признак копирования обучающих изображений",
    (-1, 1): "сгенерированные теснятся между настоящими — признак низкого разнообразия или коллапса мод",
    (1, -1): "сгенерированные рассеяны возле настоящих, которые держатся вместе",
    (0, 1): "сгенерированные теснятся сильнее настоящих — слабый признак низкого разнообразия",
    (1, 0): "настоящие держатся вместе, а сгенерированные рассеяны: часть настоящих не охвачена",
    (0, -1): "сгенерированные ближе к настоящим, чем было бы случайно: возможны почти точные копии",
    (-1, 0): "настоящие ближе к сгенерированным, чем было бы случайно: разброс сгенерированных меньше",
}
_TOO_FEW = "для вывода изображений слишком мало"

_MISSING: dict[str, Text] = {
    "real": {
        "en": "No real data were given or found, so the archive is not scored and the measured artefacts have nothing"
        " to be compared with. Give them by --real.",
        "ru": "Настоящие данные не указаны и не найдены, поэтому архив не оценён, а измеренные артефакты сравнить не с"
        " чем. Укажите данные через --real.",
    },
    "other": {
        "en": "The real data that were given ({src}) are not, or are no longer, those that the run was trained on.",
        "ru": "Указанные настоящие данные ({src}) не совпадают с теми, на которых обучался запуск.",
    },
    "log": {
        "en": "The run has no log, so there are no curves.",
        "ru": "В папке запуска нет журнала, поэтому нет и графиков.",
    },
    "few": {
        "en": "The archive holds {n} pictures, not 10,000: its scores are comparable only at equal numbers.",
        "ru": "В архиве {n} изображений, а не 10 000: его оценки сравнимы только при равном их числе.",
    },
}


def missing_lines(*, real: str | None, is_training_data: bool, has_log: bool, n: int, lang: Lang) -> tuple[str, ...]:
    """What a reader of the hand-in would look for in vain or should know, in words."""
    lines = []
    if real is None:
        lines.append(_MISSING["real"][lang])
    elif not is_training_data:
        lines.append(_MISSING["other"][lang].format(src=real))
    if not has_log:
        lines.append(_MISSING["log"][lang])
    if n < _USUAL_N:
        lines.append(_MISSING["few"][lang].format(n=whole(n, lang)))
    return tuple(lines)


def archive_section(document: dict[str, Any], lang: Lang, *, folder: Path) -> Archive:
    """The scores of `document`, what evalface's report.json holds, for the report in `folder`."""
    scores = document["scores"]
    frechet, kid = scores["frechet"], scores["kid"]
    everything = _ALL[lang].format(real=whole(document["real"]["n"], lang), fake=whole(document["fake"]["n"], lang))
    name = frechet["name"] if lang == "en" else document["extractor"]["title"]
    rows = [(_ROWS["frechet"][lang].format(name=name), number(frechet["value"], lang, 4), everything)]
    # A score that needs every picture is null where one side is a file of statistics.
    if frechet["floor"] is not None:
        others = _OTHERS[lang].format(n=whole(frechet["floor_n"], lang))
        rows.append((_ROWS["floor"][lang], number(frechet["floor"], lang, 4), others))
    if kid is not None:
        spread = number(1000 * kid["standard_error"], lang, 2)
        rows.append((_ROWS["kid"][lang], f"{number(1000 * kid['value'], lang, 4)} ± {spread}", everything))
    if (manifold := scores["precision_recall"]) is not None:
        pairs = _PAIRS[lang].format(n=whole(manifold["n_per_side"], lang), k=manifold["k"])
        rows += [(_ROWS[key][lang], number(manifold[key], lang), pairs) for key in ("precision", "recall")]
    if (cover := scores["density_coverage"]) is not None:
        counts = _ALL[lang].format(real=whole(cover["n_real"], lang), fake=whole(cover["n_fake"], lang))
        rows += [(_ROWS[key][lang], number(cover[key], lang), f"{counts}, k = {cover['k']}") for key in _COVER]
    for key in ("leave_one_out", "leave_one_out_pixels"):
        if scores[key] is not None:
            rows.append((_ROWS[key][lang], *_one_nn(LeaveOneOut(**scores[key]), lang)))
    if lang == "en":
        readings = [f"{said['about']}: {said['sentence']}" for said in document["readings"]]
    else:
        readings = _readings_in_russian(scores)
    # The notes name files as they were given; those of the folder are named as its reader finds them.
    notes = [note.replace(f"{folder}/", "") for note in document["notes"]]
    return Archive(rows=rows, readings=readings, notes=notes)


def _one_nn(score: LeaveOneOut, lang: Lang) -> tuple[str, str]:
    detail = _ONE_NN[lang].format(
        n=whole(score.n_per_side, lang),
        real=number(score.real_accuracy, lang),
        fake=number(score.fake_accuracy, lang),
        chance=number(score.chance, lang),
    )
    return number(score.accuracy, lang), detail


def _readings_in_russian(scores: dict[str, Any]) -> list[str]:
    if scores["leave_one_out"] is None:
        return []
    test = PermutationTest(**scores["leave_one_out_test"])
    return [read_one_nn_in_russian(LeaveOneOut(**scores["leave_one_out"]), test)]


def read_one_nn_in_russian(score: LeaveOneOut, test: PermutationTest | None = None) -> str:
    """What `evalface.readings.read_one_nn` says."""
    sides = sides_against_chance(score, test)
    return _ONE_NN_SHARE.format(
        share=number(100 * score.accuracy, "ru", 3),
        chance=number(100 * score.chance, "ru", 3),
        verdict=_TOO_FEW if sides is None else _ONE_NN_VERDICTS[sides],
    )


def environment() -> str:
    """The installed packages as a requirements.txt; the four rooms, which are on no index, as comments."""
    installed = {
        str(distribution.metadata["Name"]): distribution.version
        for distribution in metadata.distributions()
        if distribution.metadata["Name"]
    }
    lines = [f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
    lines += [f"# {name} {installed[name]}: of this project's source" for name in ROOMS if name in installed]
    pinned = (f"{name}=={version}" for name, version in installed.items() if name not in ROOMS)
    return "\n".join([*lines, *sorted(pinned, key=str.lower)]) + "\n"


def page(markdown_text: str, title: str, lang: Lang) -> str:
    """Markdown as one HTML page; its pictures stay files beside it."""
    import html

    import markdown  # type: ignore[import-untyped]

    body = markdown.markdown(markdown_text, extensions=["tables", "sane_lists"])
    return _PAGE.format(lang=lang, title=html.escape(title), body=body)


_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }}
  body {{ overflow-wrap: anywhere; }}
  table {{ border-collapse: collapse; }}
  th, td {{ text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }}
  img {{ max-width: 100%; height: auto; }}
  pre {{ overflow-x: auto; padding: .5rem; background: #8882; white-space: pre-wrap; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""

"""The bands that a run's figures fall into, with a sentence for each, English and Russian: data, no code."""

from __future__ import annotations

import math

from trainface.report.curves import Lang

Text = dict[Lang, str]
Bands = tuple[tuple[float, Text], ...]
"""Upper ends in rising order, the last infinite, each with its sentence."""

DIVERSITY: Bands = (
    (
        0.4,
        {
            "en": "far less varied than the reals: a collapse",
            "ru": "разнообразие намного ниже, чем у настоящих: коллапс мод",
        },
    ),
    (0.8, {"en": "less varied than the reals", "ru": "разнообразие ниже, чем у настоящих"}),
    (1.25, {"en": "about as varied as the reals", "ru": "разнообразие примерно такое же, как у настоящих"}),
    (
        math.inf,
        {
            "en": "more varied than the reals: noise or strange colours",
            "ru": "разброс больше, чем у настоящих: шум или неестественные цвета",
        },
    ),
)
NEAR_DUPLICATES: Bands = (
    (0.01, {"en": "hardly any picture has a twin", "ru": "почти ни у одного изображения нет двойника"}),
    (0.05, {"en": "some pictures have a twin", "ru": "у части изображений есть почти точный двойник"}),
    (
        math.inf,
        {
            "en": "many pictures have a twin: modes are missing",
            "ru": "у многих изображений есть двойник: часть мод потеряна",
        },
    ),
)
SHARPNESS: Bands = (
    (0.6, {"en": "blurred", "ru": "изображения размыты"}),
    (0.85, {"en": "somewhat softer than the reals", "ru": "изображения несколько мягче настоящих"}),
    (1.2, {"en": "about as sharp as the reals", "ru": "резкость примерно такая же, как у настоящих"}),
    (
        math.inf,
        {
            "en": "grainier than the reals: texture noise",
            "ru": "мелких деталей больше, чем у настоящих: текстурный шум",
        },
    ),
)
CHECKERBOARD: Bands = (
    (1.5, {"en": "no checkerboard in the spectrum", "ru": "«шахматного» узора в спектре нет"}),
    (3.0, {"en": "a faint checkerboard", "ru": "слабый «шахматный» узор"}),
    (math.inf, {"en": "a plain checkerboard", "ru": "заметный «шахматный» узор"}),
)
CONTRAST: Bands = (
    (0.85, {"en": "paler than the reals", "ru": "контраст ниже, чем у настоящих"}),
    (1.15, {"en": "about the reals' contrast", "ru": "контраст примерно такой же, как у настоящих"}),
    (math.inf, {"en": "harsher than the reals", "ru": "контраст выше, чем у настоящих"}),
)
COLOUR: Bands = (
    (4.0, {"en": "no cast", "ru": "сдвига цвета нет"}),
    (10.0, {"en": "a slight cast", "ru": "небольшой сдвиг цвета"}),
    (math.inf, {"en": "a cast of colour or brightness", "ru": "заметный сдвиг цвета или яркости"}),
)
CLIPPED: Bands = (
    (0.02, {"en": "next to nothing is clipped", "ru": "обрезается лишь ничтожная доля значений"}),
    (0.05, {"en": "some lights and shadows are clipped", "ru": "часть светов и теней обрезана"}),
    (math.inf, {"en": "lights and shadows are burnt out", "ru": "света и тени выбиты"}),
)
PAIR_ACCURACY: Bands = (
    (0.52, {"en": "the discriminator has lost the game", "ru": "дискриминатор проиграл"}),
    (0.6, {"en": "the discriminator is weak", "ru": "дискриминатор слаб"}),
    (0.9, {"en": "the game is balanced", "ru": "игра сбалансирована"}),
    (0.97, {"en": "the discriminator is ahead", "ru": "дискриминатор впереди"}),
    (
        math.inf,
        {
            "en": "the discriminator is too strong: raise gamma or lower its learning rate",
            "ru": "дискриминатор слишком силён: увеличьте gamma или уменьшите его скорость обучения",
        },
    ),
)

NAMES: dict[str, Text] = {
    "diversity": {
        "en": "diversity (mean distance at 8x8 px, levels)",
        "ru": "разнообразие (среднее расстояние при 8×8 пикс., в уровнях яркости)",
    },
    "near_duplicates": {"en": "pictures with a near duplicate, %", "ru": "изображения с почти точным двойником, %"},
    "sharpness": {"en": "sharpness (variance of the Laplacian)", "ru": "резкость (дисперсия лапласиана)"},
    "checkerboard": {"en": "checkerboard (edge of the spectrum)", "ru": "«шахматный» узор (край спектра)"},
    "contrast": {
        "en": "contrast (standard deviation, levels)",
        "ru": "контраст (стандартное отклонение, в уровнях яркости)",
    },
    "colour": {"en": "mean colour (R, G, B)", "ru": "средний цвет (R, G, B)"},
    "clipped": {
        "en": "values clipped at black or white, %",
        "ru": "значения, обрезанные по чёрному или белому, %",
    },
}
NO_REALS: Text = {
    "en": "no real pictures were at hand to compare with",
    "ru": "сравнить не с чем: настоящих изображений под рукой не было",
}

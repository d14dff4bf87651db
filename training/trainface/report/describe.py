"""A configuration in words, English and Russian."""

from __future__ import annotations

from trainface.config import Config
from trainface.report.bands import Text
from trainface.report.curves import Lang

ARCHITECTURES: dict[str, Text] = {
    "dcgan": {"en": "DCGAN (Radford et al. 2015)", "ru": "DCGAN (Radford et al. 2015)"},
    "normfree": {
        "en": "small convolutional networks without normalisation",
        "ru": "небольшие свёрточные сети без нормализации",
    },
    "r3": {
        "en": "residual networks after R3GAN (Huang et al. 2024)",
        "ru": "остаточные сети по образцу R3GAN (Huang et al. 2024)",
    },
    "pyramid": {
        "en": "pyramid networks, which make and read pictures at every scale",
        "ru": "пирамидальные сети, создающие и читающие изображение в каждом масштабе",
    },
}
REGIMES: dict[str, Text] = {
    "msg": {
        "en": "with gradients at all scales at once (MSG-GAN, Karnewar and Wang 2020)",
        "ru": "с градиентами во всех масштабах сразу (MSG-GAN, Karnewar и Wang 2020)",
    },
    "progressive": {
        "en": "grown scale by scale (Karras et al. 2018)",
        "ru": "с постепенным наращиванием масштаба (Karras et al. 2018)",
    },
}
LOSSES: dict[str, Text] = {
    "relativistic": {
        "en": "a relativistic pairing loss (Jolicoeur-Martineau 2018; Huang et al. 2024)",
        "ru": "релятивистская парная функция потерь (Jolicoeur-Martineau 2018; Huang et al. 2024)",
    },
    "bce": {
        "en": "binary cross-entropy (Goodfellow et al. 2014)",
        "ru": "двоичная перекрёстная энтропия (Goodfellow et al. 2014)",
    },
    "lsgan": {
        "en": "the least-squares loss (Mao et al. 2017)",
        "ru": "метод наименьших квадратов, LSGAN (Mao et al. 2017)",
    },
    "hinge": {
        "en": "the hinge loss (Lim and Ye 2017)",
        "ru": "кусочно-линейная функция потерь, hinge (Lim и Ye 2017)",
    },
    "wgan": {
        "en": "the Wasserstein loss (Arjovsky et al. 2017)",
        "ru": "функция потерь Вассерштейна (Arjovsky et al. 2017)",
    },
}
PENALTIES: dict[str, Text] = {
    "r1r2": {
        "en": "a zero-centred gradient penalty on real and generated pictures (R1 + R2, Mescheder 2018)",
        "ru": "штраф на градиент с центром в нуле на настоящих и созданных изображениях (R1 + R2, Mescheder 2018)",
    },
    "r1": {
        "en": "a zero-centred gradient penalty on real pictures (R1, Mescheder 2018)",
        "ru": "штраф на градиент с центром в нуле на настоящих изображениях (R1, Mescheder 2018)",
    },
    "length-one": {
        "en": "a gradient penalty towards length one (WGAN-GP, Gulrajani et al. 2017)",
        "ru": "штраф, приближающий длину градиента к единице (WGAN-GP, Gulrajani et al. 2017)",
    },
}
TRICKS: dict[str, Text] = {
    "instance_noise": {"en": "noise on the discriminator's input", "ru": "шум на входе дискриминатора"},
    "g_noise": {
        "en": "noise layers in the generator (training only)",
        "ru": "шумовые слои в генераторе (только при обучении)",
    },
    "d_noise": {"en": "noise layers in the discriminator", "ru": "шумовые слои в дискриминаторе"},
    "soft_labels": {"en": "soft labels", "ru": "мягкие метки"},
    "label_noise": {"en": "noisy labels", "ru": "зашумлённые метки"},
    "label_flips": {"en": "flipped labels", "ru": "перевёрнутые метки"},
    "real_as_fake": {"en": "reals passed off as fakes", "ru": "настоящие изображения под видом созданных"},
    "replay": {"en": "a replay buffer of earlier fakes", "ru": "буфер ранее созданных изображений"},
    "skip_d_below": {
        "en": "leaving out the discriminator's step while its loss is low",
        "ru": "пропуск шага дискриминатора, пока его потери малы",
    },
    "augment": {"en": "differentiable augmentation", "ru": "дифференцируемая аугментация"},
    "x_flip": {"en": "mirroring of half the reals", "ru": "зеркальное отражение половины настоящих изображений"},
}


def networks(config: Config, lang: Lang) -> str:
    """Which networks, in a phrase."""
    phrase = ARCHITECTURES[config.architecture][lang]
    return f"{phrase}, {REGIMES[config.regime][lang]}" if config.architecture == "pyramid" else phrase


def penalty(config: Config, lang: Lang) -> str | None:
    """Which gradient penalty, in a phrase; None without one."""
    return PENALTIES[config.penalty][lang] if max(config.gamma.start, config.gamma.end) > 0 else None


def tricks(config: Config, lang: Lang) -> list[str]:
    """A phrase for each trick that is switched on, with its setting."""
    record = config.to_dict()
    on = [name for name in TRICKS if record[name] not in ("0", False)]
    return [TRICKS[name][lang] + ("" if record[name] is True else f" ({name} {record[name]})") for name in on]

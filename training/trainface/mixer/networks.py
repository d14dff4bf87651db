"""Encoders and decoders of mixers, built from a configuration.

Pictures are float32 [N, 3, size, size], codes float32 [N, code_dim].
"""

from __future__ import annotations

import itertools
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genface.errors import UserError
from genface.mixer_card import Method
from trainface.config import Config
from trainface.mixer.config import Design, MixerConfig
from trainface.networks import build_generator
from trainface.networks.parts import LEAK, RECTIFIER_GAIN, init_normal
from trainface.networks.r3 import Block

START = 4
"""Side of the smallest maps."""
_LOG_VAR_AT_FIRST = -2.0


class Encoder(nn.Module):
    """RGB in [-1, 1] -> codes; one that is variational gives the means."""

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, code_dim]
        return self.distribution(images)[0]

    @abstractmethod
    def distribution(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """(mean, log of the variance) of each code, float [N, code_dim]; None for codes that are points."""


class Decoder(nn.Module):
    """Codes -> RGB in `output_range`."""

    output_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    """What the picture's numbers mean: black, white. Those of a decoder without a sigmoid may go beyond it a little."""

    def forward(self, codes: Tensor) -> Tensor:
        # [N, code_dim] -> [N, 3, size, size]
        return self.finish(self.raw(codes))

    @abstractmethod
    def raw(self, codes: Tensor) -> Tensor:
        """The picture before its last function, as the loss on pixels takes it."""

    def finish(self, raw: Tensor) -> Tensor:
        """That last function: nothing, or a sigmoid."""
        return raw


class _SigmoidDecoder(Decoder):
    output_range = (0.0, 1.0)

    def finish(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class PoolingEncoder(Encoder):
    """3x3 convolutions with ReLU, each followed by max pooling, and one linear layer."""

    def __init__(self, *, widths: Sequence[int], code_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for before, after in itertools.pairwise([3, *widths]):
            self.layers.extend([nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)])
        self.to_code = nn.Linear(widths[-1] * START**2, code_dim)

    def distribution(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.to_code(self.layers(images).flatten(1)), None


class UpsamplingDecoder(_SigmoidDecoder):
    """One linear layer, then nearest-neighbour upsampling and 3x3 convolutions with ReLU, and a sigmoid."""

    def __init__(self, *, widths: Sequence[int], code_dim: int) -> None:
        """`widths` are the channels at 4, 8 ... size/2 px."""
        super().__init__()
        self.from_code = nn.Linear(code_dim, widths[0] * START**2)
        self.layers = nn.Sequential(nn.ReLU())
        for before, after in itertools.pairwise([*widths, widths[-1]]):
            self.layers.extend([nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), nn.ReLU()])
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)
        self._width = widths[0]

    def raw(self, codes: Tensor) -> Tensor:
        start: Tensor = self.from_code(codes)
        images: Tensor = self.to_rgb(self.layers(start.reshape(-1, self._width, START, START)))
        return images


class DenseDecoder(_SigmoidDecoder):
    """Fully connected layers with ReLU, and a sigmoid; an embedding's direction is all that it sees."""

    def __init__(self, *, widths: Sequence[int], code_dim: int, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for before, after in itertools.pairwise([code_dim, *widths]):
            self.layers.extend([nn.Linear(before, after), nn.ReLU()])
        self.layers.append(nn.Linear(widths[-1], 3 * size**2))
        self._size = size

    def raw(self, codes: Tensor) -> Tensor:
        pixels: Tensor = self.layers(spread_out(codes))
        return pixels.reshape(-1, 3, self._size, self._size)


class ResidualEncoder(Encoder):
    """Strided 4x4 convolutions with R3GAN's residual blocks between them, no normalisation, and one linear layer."""

    def __init__(self, *, widths: Sequence[int], blocks: int, code_dim: int, variational: bool) -> None:
        """`widths` are the channels at size/2, size/4 ... 4 px, `blocks` the residual blocks at each."""
        super().__init__()
        gain = _block_gain(widths, blocks)
        self.layers = nn.Sequential()
        for before, after in itertools.pairwise([3, *widths]):
            convolution = nn.Conv2d(before, after, 4, stride=2, padding=1)
            init_normal(convolution, RECTIFIER_GAIN)
            self.layers.extend([convolution, nn.LeakyReLU(LEAK), *(Block(after, gain) for _ in range(blocks))])
        self.to_mean = _linear(widths[-1] * START**2, code_dim)
        self.to_log_var = _linear(widths[-1] * START**2, code_dim) if variational else None
        if self.to_log_var is not None:
            nn.init.zeros_(self.to_log_var.weight)
            nn.init.constant_(self.to_log_var.bias, _LOG_VAR_AT_FIRST)

    def forward(self, images: Tensor) -> Tensor:
        mean: Tensor = self.to_mean(self.layers(images).flatten(1))
        return mean

    def distribution(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.layers(images).flatten(1)
        return self.to_mean(features), None if self.to_log_var is None else self.to_log_var(features)


class ResidualDecoder(Decoder):
    """One linear layer, then transposed 4x4 convolutions with residual blocks between them; no normalisation."""

    def __init__(self, *, widths: Sequence[int], blocks: int, code_dim: int, directions: bool) -> None:
        """`widths` are the channels at 4, 8 ... size/2 px; `directions`: only the direction of a code counts."""
        super().__init__()
        gain = _block_gain(widths, blocks)
        self.from_code = _linear(code_dim, widths[0] * START**2)
        self.layers = nn.Sequential(nn.LeakyReLU(LEAK), *(Block(widths[0], gain) for _ in range(blocks)))
        for before, after in itertools.pairwise(widths):
            convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
            init_normal(convolution, RECTIFIER_GAIN)
            self.layers.extend([convolution, nn.LeakyReLU(LEAK), *(Block(after, gain) for _ in range(blocks))])
        self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1)
        init_normal(self.to_rgb, 0.5)
        self._width, self._directions = widths[0], directions

    def raw(self, codes: Tensor) -> Tensor:
        start: Tensor = self.from_code(spread_out(codes) if self._directions else codes)
        images: Tensor = self.to_rgb(self.layers(start.reshape(-1, self._width, START, START)))
        return images


class GeneratorDecoder(Decoder):
    """A generator of `trainface.networks`, whose latents are the codes."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def raw(self, codes: Tensor) -> Tensor:
        images: Tensor = self.generator(codes)
        return images


def build_encoder(config: MixerConfig) -> Encoder:
    """The encoder, for a configuration with a `code_dim`.

    Raises UserError for the method `embedding`, whose encoder is the embedder's own file.
    """
    if config.method == "embedding":
        raise UserError("a mixer of the method embedding has no encoder of its own: its codes are the embedder's")
    if config.design == "classic":
        return PoolingEncoder(widths=config.widths, code_dim=config.code_size)
    return ResidualEncoder(
        widths=config.widths, blocks=config.blocks, code_dim=config.code_size, variational=config.kl > 0
    )


def build_decoder(config: MixerConfig) -> Decoder:
    """The decoder, for a configuration with a `code_dim` and, where the method is `gan`, a `generator`."""
    return _DECODERS[config.method, config.design](config)


def spread_out(codes: Tensor) -> Tensor:
    """Codes [N, D] at length sqrt(D), so that their numbers are about 1 in size; 0 stays 0."""
    return F.normalize(codes.to(torch.float32), dim=1) * math.sqrt(codes.shape[1])


def _generator(config: MixerConfig) -> Decoder:
    assert config.generator is not None, "the run fills it in before networks are built"
    return GeneratorDecoder(build_generator(Config.from_dict(json.loads(config.generator))))


def _residual(config: MixerConfig) -> Decoder:
    return ResidualDecoder(
        widths=config.widths[::-1],
        blocks=config.blocks,
        code_dim=config.code_size,
        directions=config.method == "embedding",
    )


_DECODERS: Mapping[tuple[Method, Design], Callable[[MixerConfig], Decoder]] = {
    ("autoencoder", "classic"): lambda config: UpsamplingDecoder(widths=config.widths[::-1], code_dim=config.code_size),
    ("autoencoder", "modern"): _residual,
    ("embedding", "classic"): lambda config: DenseDecoder(
        widths=config.widths, code_dim=config.code_size, size=config.size
    ),
    ("embedding", "modern"): _residual,
    ("gan", "modern"): _generator,
}


def _block_gain(widths: Sequence[int], blocks: int) -> float:
    # Fix-up (Zhang et al. 2019), as in `networks.r3`.
    return RECTIFIER_GAIN * math.pow(max(len(widths) * blocks, 1), -0.25)


def _linear(before: int, after: int) -> nn.Linear:
    """Weights N(0, 1 / fan_in), biases 0: a variance of 1 stays 1."""
    layer = nn.Linear(before, after)
    nn.init.normal_(layer.weight, 0.0, 1.0 / math.sqrt(before))
    nn.init.zeros_(layer.bias)
    return layer

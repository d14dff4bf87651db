"""VGG-19 (Simonyan and Zisserman 2015), the network that style transfer was found with, by torchvision's weights."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalface.extractors.state_file import not_such_weights, read_state
from evalface.files import sha256_of, written_whole
from genface.errors import UserError
from trainface.style.features import Features

FILE = "vgg19-dcbb9e9d.pth"
URL = f"https://download.pytorch.org/models/{FILE}"
PUBLISHED_PREFIX = "dcbb9e9d"
"""The start of the file's SHA-256, which torchvision publishes as part of its name."""

_FORM = f"VGG-19 weights in the form of {FILE}"
_MAX_BYTES = 600_000_000
_TIMEOUT_S = 20
_WIDTHS = (64, 128, 256, 512, 512)
_DEPTHS = (2, 2, 4, 4, 1)
"""Convolutions at each resolution, up to conv5_1, the last that is looked at; the network itself has four there."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg19Features(Features):
    """The rectified maps of VGG-19, its maxima of pooling replaced by means as Gatys et al. 2016 recommend.

    Raises UserError for a file that holds no such weights.
    """

    name = "vgg19"
    title = "VGG-19"
    content_layers = ("conv4_2",)
    style_layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state, self.weights_sha256 = read_state(weights, _FORM)
        self.published = self.weights_sha256.startswith(PUBLISHED_PREFIX)
        self.convs = nn.ModuleDict()
        try:
            for name, (index, channels_in, channels_out) in _LAYERS.items():
                conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
                conv.load_state_dict({part: state[f"features.{index}.{part}"] for part in ("weight", "bias")})
                self.convs[name] = conv
        except (KeyError, RuntimeError) as error:
            raise not_such_weights(weights, _FORM, error) from error
        for part, values in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(part, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Mapping[str, Tensor]:
        x = (pictures * 0.5 + 0.5 - self.mean) / self.std
        maps: dict[str, Tensor] = {}
        for name, conv in self.convs.items():
            if name.endswith("_1") and maps:
                x = F.avg_pool2d(x, 2)
            x = F.relu(conv(x))
            maps[name] = x
        return maps


def _layers() -> dict[str, tuple[int, int, int]]:
    """Layer -> its index in torchvision's `features`, channels in, channels out."""
    layers = {}
    index, channels = 0, 3
    for block, (width, depth) in enumerate(zip(_WIDTHS, _DEPTHS, strict=True), 1):
        for place in range(1, depth + 1):
            layers[f"conv{block}_{place}"] = (index, channels, width)
            index, channels = index + 2, width  # the rectifier has an index, too
        index += 1  # and so has the pooling
    return layers


_LAYERS = MappingProxyType(_layers())


def find_weights(given: Path | None, *, download: bool, say: Callable[[str], None]) -> Path | None:
    """The file of weights: the one that was given, else torch's cached one, else a downloaded one, else None.

    A cached file of another hash is left alone, and said. Raises UserError for a given file that is not there, and for
    a download that fails.
    """
    if given is not None:
        if not given.is_file():
            raise UserError(f"--vgg-weights {given}: no such file")
        return given
    cached = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if cached.is_file():
        digest = sha256_of(cached)
        if digest.startswith(PUBLISHED_PREFIX):
            return cached
        say(f"{cached}: SHA-256 {digest} is not that of the published VGG-19; not used")
    if not download:
        return None
    say(f"downloading {URL}")
    try:
        _fetch(cached)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{URL}: cannot be downloaded ({reason}); fetch it elsewhere and give it by --vgg-weights FILE, or take"
            " --features lite0"
        ) from error
    return cached


def _fetch(target: Path) -> None:
    """Download into torch's cache; the file appears only if its hash is right. Raises ValueError where it is not."""
    digest, size = hashlib.sha256(), 0
    with urllib.request.urlopen(URL, timeout=_TIMEOUT_S) as answer, written_whole(target) as file:
        while chunk := answer.read(1 << 20):
            size += len(chunk)
            if size > _MAX_BYTES:
                raise ValueError(f"delivers more than {_MAX_BYTES} bytes")
            digest.update(chunk)
            file.write(chunk)
        if not digest.hexdigest().startswith(PUBLISHED_PREFIX):
            raise ValueError(f"delivered {size} bytes of SHA-256 {digest.hexdigest()}, not the published file")

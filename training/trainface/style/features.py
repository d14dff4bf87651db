"""The networks whose feature maps say what a picture shows and in which manner, and which of them there is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from genface.errors import UserError
from trainface.style.losses import content_loss, gram, style_loss

FeatureChoice = Literal["auto", "vgg19", "lite0"]


class Features(nn.Module):
    """A frozen network, seen as named feature maps of growing coarseness."""

    name: ClassVar[str]
    title: ClassVar[str]
    content_layers: ClassVar[tuple[str, ...]]
    style_layers: ClassVar[tuple[str, ...]]
    weights_sha256: str
    published: bool
    """Whether the weights are known, by their hash, as those that were published."""

    @abstractmethod
    def forward(self, pictures: Tensor) -> Mapping[str, Tensor]:
        """RGB float32 [N, 3, H, W] in [-1, 1], sides of at least `sides.MIN_SIDE` -> maps [N, C, h, w] by layer."""

    def describe(self) -> dict[str, Any]:
        """What a report or a checkpoint says of the features: everything that can change a number."""
        return {
            "name": self.name,
            "title": self.title,
            "weights_sha256": self.weights_sha256,
            "published": self.published,
            "content_layers": list(self.content_layers),
            "style_layers": list(self.style_layers),
        }


@dataclass(frozen=True)
class Look:
    """What the losses see of pictures."""

    content: Sequence[Tensor]
    """Maps [N, C, h, w] of the content layers."""
    grams: Sequence[Tensor]
    """Gram matrices [N, C, C] of the style layers."""

    def content_loss(self, photo: Look) -> Tensor:
        """[N]: how far from the content of `photo`."""
        return content_loss(self.content, photo.content)

    def style_loss(self, grams: Sequence[Tensor]) -> Tensor:
        """[N]: how far from the Gram matrices of a painting."""
        return style_loss(self.grams, grams)


def look(features: Features, pictures: Tensor, autocast: AbstractContextManager[Any] | None = None) -> Look:
    """See float32 [N, 3, H, W] in [-1, 1] through the features; the network alone runs under `autocast`."""
    with autocast or nullcontext():
        maps = features(pictures)
    return Look(
        content=[maps[layer].float() for layer in features.content_layers],
        grams=[gram(maps[layer].float()) for layer in features.style_layers],
    )


def choose_features(
    choice: FeatureChoice,
    *,
    weights: Path | None = None,
    download: bool = False,
    device: torch.device | None = None,
    say: Callable[[str], None],
) -> Features:
    """Build the features, frozen; what a person must know about the choice goes to `say`.

    `auto` takes VGG-19 where its weights are given, or lie in torch's cache, or may be downloaded, else EfficientNet-
    Lite0. `vgg19` makes the absence of its weights an error. Raises UserError for that, and for options that do not
    belong together.
    """
    from trainface.style.lite0 import Lite0Features
    from trainface.style.vgg19 import Vgg19Features, find_weights

    if choice not in get_args(FeatureChoice):
        raise UserError(f"unknown features {choice!r}; known: {', '.join(get_args(FeatureChoice))}")
    if choice == "lite0":
        if weights is not None or download:
            raise UserError("--vgg-weights and --download belong to VGG-19, not to lite0: leave them out")
        chosen: Features = Lite0Features()
    elif (path := find_weights(weights, download=download, say=say)) is not None:
        chosen = Vgg19Features(path)
        if not chosen.published:
            say(f"{path}: SHA-256 {chosen.weights_sha256} is not that of torchvision's VGG-19; used as it is")
    elif choice == "vgg19":
        raise UserError(
            "the weights of VGG-19 are not on this machine: name torchvision's file by --vgg-weights, fetch it by"
            " --download, or take --features lite0"
        )
    else:
        say("VGG-19's weights are not on this machine: the features are EfficientNet-Lite0's (--download fetches them)")
        chosen = Lite0Features()
    return chosen.eval().requires_grad_(False).to(device or torch.device("cpu"))

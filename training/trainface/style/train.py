"""What a stylizer learns: to give in one pass what the optimisation of Gatys et al. looks for in hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evalface.files import sha256_of
from genface.errors import UserError
from genface.photo_file import read_photo
from trainface.data.batches import Batches
from trainface.data.dataset import FaceSet, split_holdout
from trainface.pixels import to_floats
from trainface.step import Stats
from trainface.style.config import StyleConfig
from trainface.style.features import Features, Look, look
from trainface.style.losses import out_of_range, total_variation
from trainface.style.network import build_stylizer
from trainface.style.pictures import scaled, to_pixels, to_tensor
from trainface.supervised.task import Networks, Part, Task, Turn

_RANGE_WEIGHT = 10.0
_SHOWN = 4
_MEASURED = 16


@dataclass(frozen=True, kw_only=True)
class Painting:
    """One style: a painting's file."""

    name: str
    sha256: str
    picture: Tensor
    """float32 [1, 3, h, w] in [-1, 1]."""


def read_paintings(paths: Sequence[Path], longer_side: int) -> list[Painting]:
    """Read the paintings; each is called by its file's name without the ending.

    Raises UserError for a file that is no picture, and for two of one name.
    """
    paintings: list[Painting] = []
    for path in paths:
        picture = scaled(read_photo(path).image, longer_side, str(path), "--set painting_size=N")
        if path.stem in [painting.name for painting in paintings]:
            raise UserError(f"{path}: a second painting called {path.stem}; give it another name")
        paintings.append(Painting(name=path.stem, sha256=sha256_of(path), picture=to_tensor(picture)))
    return paintings


class StyleTask(Task):
    """Photos to pictures in the styles of the paintings, at any strength.

    At weights w the wanted Gram matrices lie between those of the photo itself, by its weight w_0, and those of the
    paintings: strength 0 asks for the photo, strength 1 for the painting's style, and what is between is asked for as
    well and not left to chance.
    """

    kind = "trainface-style"
    said = ("loss", "content", "style", "tv", "held_content", "held_style")

    def __init__(
        self,
        config: StyleConfig,
        faces: FaceSet,
        paintings: Sequence[Painting],
        features: Features,
        device: torch.device,
    ) -> None:
        """`features` are on the device. Raises UserError for photos that are all held out."""
        assert config.paintings == tuple(painting.name for painting in paintings), "the configuration names them"
        training, held_out = split_holdout(faces.digests, config.holdout)
        if len(training) == 0:
            raise UserError(f"{faces.name}: all of its {len(faces)} photos are held out; give a smaller --set holdout")
        self._config, self._faces, self._paintings, self._features = config, faces, paintings, features
        self._device = device
        self._batches = Batches(faces.images, training, config, device)
        # Photos that are held out are shown where there are such, else those that come first.
        shown = held_out if len(held_out) else training
        self._shown, self._measured = self._photos(shown[:_SHOWN]), self._photos(held_out[:_MEASURED])
        with torch.no_grad():
            looks = [look(features, painting.picture.to(device)) for painting in paintings]
        self._grams = [torch.cat(layer) for layer in zip(*(one.grams for one in looks), strict=True)]
        self._network = build_stylizer(config).to(device)
        part = Part(networks={"stylizer": self._network}, lr=config.lr, beta1=config.beta1, beta2=config.beta2)
        self.parts = {"stylizer": part}
        self.columns = len(paintings) + 1

    def step(self, turn: Turn) -> Stats:
        photos = self._batches.draw(turn.cur_nimg, turn.rng).images
        weights = draw_weights(len(photos), len(self._paintings), self._config.full_strength, turn.rng)
        with turn.autocast():
            pictures = self._network(photos, weights)
        with torch.no_grad():
            seen = look(self._features, photos, turn.autocast())
        losses = self._losses(pictures, look(self._features, pictures, turn.autocast()), seen, weights)
        config = self._config
        loss = config.content_weight * losses["content"] + config.style_weight * losses["style"]
        loss = loss + config.tv_weight * losses["tv"] + _RANGE_WEIGHT * losses["out_of_range"]
        stats = turn.descend("stylizer", loss)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in losses.items()} | stats

    def pictures(self, networks: Networks) -> NDArray[np.uint8]:
        """A row for each of a few photos: itself, then every style at full strength."""
        columns = [self._shown, *(self._paint(networks["stylizer"], self._shown, k) for k in self._numbers)]
        return to_pixels(torch.stack(columns, dim=1).flatten(0, 1))

    def measure(self, networks: Networks) -> dict[str, float]:
        """Losses at full strength on photos that are held out, the mean over the styles, and the style's by name."""
        if len(self._measured) == 0:
            return {}
        seen = look(self._features, self._measured)
        contents, styles = [], {}
        for k in self._numbers:
            pictures = self._paint(networks["stylizer"], self._measured, k)
            weights = at_full_strength(k, len(self._paintings), self._device).expand(len(pictures), -1)
            losses = self._losses(pictures, look(self._features, pictures), seen, weights)
            contents.append(losses["content"].item())
            styles[f"held_style_{self._paintings[k - 1].name}"] = losses["style"].item()
        means = {"held_content": float(np.mean(contents)), "held_style": float(np.mean(list(styles.values())))}
        return means | styles

    def facts(self) -> dict[str, Any]:
        return {
            "preparation": self._faces.preparation.to_dict(),
            "data": {"name": self._faces.name, "key": self._faces.key, "images": len(self._faces)},
            "styles": [{"name": painting.name, "sha256": painting.sha256} for painting in self._paintings],
            "features": self._features.describe(),
            "embedder": None,
            "generator": None,
        }

    def identity(self) -> dict[str, str]:
        features = self._features
        return {
            "data": self._faces.key,
            "paintings": " ".join(painting.sha256 for painting in self._paintings),
            "features": f"{features.name} {features.weights_sha256}",
        }

    def opening(self) -> str:
        names = ", ".join(self._config.paintings)
        return (
            f"{len(self._faces)} photos ({len(self._measured)} of the held-out ones measured), styles {names}, features"
            f" {self._features.title}"
        )

    @property
    def _numbers(self) -> range:
        return range(1, len(self._paintings) + 1)

    def _losses(self, pictures: Tensor, now: Look, photo: Look, weights: Tensor) -> dict[str, Tensor]:
        wanted = [mixed_grams(weights, own, table) for own, table in zip(photo.grams, self._grams, strict=True)]
        return {
            "content": now.content_loss(photo).mean(),
            "style": now.style_loss(wanted).mean(),
            "tv": total_variation(pictures).mean(),
            "out_of_range": out_of_range(pictures).mean(),
        }

    def _paint(self, network: nn.Module, photos: Tensor, k: int) -> Tensor:
        weights = at_full_strength(k, len(self._paintings), self._device)
        # One photo at a time: enough for a few, and no batch of large pictures in memory.
        return torch.cat([network(photo[None], weights) for photo in photos]).clamp(-1, 1)

    def _photos(self, indices: NDArray[np.int64]) -> Tensor:
        return to_floats(torch.from_numpy(np.array(self._faces.images[indices])).to(self._device))


def at_full_strength(k: int, styles: int, device: torch.device) -> Tensor:
    """Weights of style k alone, 1 to `styles` (0: the photo itself): float32 [1, styles + 1]."""
    weights = torch.zeros(1, styles + 1, device=device)
    weights[0, k] = 1
    return weights


def draw_weights(n: int, styles: int, full_strength: float, rng: torch.Generator) -> Tensor:
    """One style for each picture, at strength 1 for a share `full_strength` of them, else at any: [n, styles + 1]."""
    chosen = torch.randint(1, styles + 1, (n, 1), generator=rng, device=rng.device)
    drawn, coin = torch.rand(2, n, 1, generator=rng, device=rng.device)
    strength = torch.where(coin < full_strength, 1.0, drawn)
    weights = torch.zeros(n, styles + 1, device=rng.device).scatter_(1, chosen, strength)
    weights[:, :1] = 1 - strength
    return weights


def mixed_grams(weights: Tensor, own: Tensor, paintings: Tensor) -> Tensor:
    """Wanted Gram matrices: w_0 times the photo's own and w_k times painting k's.

    [N, K + 1], [N, C, C], [K, C, C] -> [N, C, C].
    """
    return weights[:, 0, None, None] * own + torch.einsum("nk,kij->nij", weights[:, 1:], paintings)

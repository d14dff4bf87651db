"""A small convolutional reader of the built-in faces' attributes, with its accuracy measured and stored beside it.

One trunk, one linear head per attribute. It learns from renders of a seed that no training set uses, and sees them
blurred, shifted and noisy, so that a generator's softness alone does not mislead it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from genface.errors import UserError
from trainface import atomic, cartoons
from trainface.device import use_bf16

FORMAT_VERSION = 1
TRAIN_SEED, TEST_SEED = 20_261, 20_262
"""Seeds of the renders: to learn from, and to measure accuracy on. The training set's own is 0."""
HEADS: Mapping[str, tuple[str, ...]] = {name: tuple(row) for name, row in cartoons.PROBABILITIES.items()}
"""Attribute -> its values, in the order of the head's outputs."""
NUM_VALUES = sum(map(len, HEADS.values()))
_HEAD_SIZES = [len(values) for values in HEADS.values()]
_SMALLEST, _LARGEST = 16, 128
# A binomial kernel of variance 0.5 pixel^2 a pass.
_KERNEL = torch.tensor([1.0, 2.0, 1.0]) / 4.0


class AttributeNet(nn.Module):
    """RGB float32 [N, 3, size, size] in [-1, 1] -> logits float32 [N, NUM_VALUES], the heads side by side.

    `size` is a power of two from 16 to 128. Strided stages go down to 4 px, whose positions stay apart: where a
    colour is tells whose colour it is.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_convolution(3, 32, stride=1)]
        before = 32
        for stage in range(size.bit_length() - 3):
            after = min(64 << stage, 128)
            layers += [*_convolution(before, after, stride=2), *_convolution(after, after, stride=1)]
            before = after
        self.trunk = nn.Sequential(*layers)
        self.read = nn.Sequential(nn.Linear(before * 16, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, NUM_VALUES))

    def forward(self, images: Tensor) -> Tensor:
        # [N, 3, size, size] -> [N, C, 4, 4] -> [N, NUM_VALUES]
        logits: Tensor = self.read(self.trunk(images).flatten(1))
        return logits.to(torch.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeClassifier:
    """A trained net and what it can do on renders that it never saw."""

    net: AttributeNet
    size: int
    accuracy: Mapping[str, float]
    """Attribute -> balanced accuracy (mean recall over its values, chance is 1 / values) on held-out renders."""
    accuracy_degraded: Mapping[str, float]
    """The same on held-out renders blurred by sigma 1.0 pixel with noise of standard deviation 8 levels."""

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, size, size, 3] -> float32 [N, NUM_VALUES]; each attribute's columns sum to 1."""
        if images.ndim != 4 or images.shape[1:] != (self.size, self.size, 3):
            raise UserError(f"pictures of shape {list(images.shape[1:])}: this classifier reads {self.size} px RGB")
        return np.concatenate([_softmax_heads(self.net(block)) for block in _blocks(images)])


def labelled_renders(seed: int, num: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Faces 0 to num - 1 of `seed`: uint8 [num, size, size, 3] and value indices int64 [num, attributes]."""
    images = np.stack(list(cartoons.render_many(seed, range(num), size)))
    chosen = [cartoons.attributes(seed, index) for index in range(num)]
    labels = [[values.index(getattr(a, name)) for name, values in HEADS.items()] for a in chosen]
    return images, np.array(labels, dtype=np.int64)


def blur(images: Tensor, passes: int) -> Tensor:
    """Binomial blur of standard deviation sqrt(passes / 2) pixels, borders repeated; [N, 3, H, W] both sides."""
    row = _KERNEL.view(1, 1, 1, 3).expand(3, 1, 1, 3)
    for _ in range(passes):
        images = F.conv2d(F.pad(images, (1, 1, 0, 0), mode="replicate"), row, groups=3)
        images = F.conv2d(F.pad(images, (0, 0, 1, 1), mode="replicate"), row.transpose(2, 3), groups=3)
    return images


def degraded(images: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Blurred by sigma 1.0 pixel, then with Gaussian noise of standard deviation 8 levels; uint8 [N, H, W, 3]."""
    noise = np.random.default_rng(seed).normal(0.0, 8.0, images.shape)
    soft = blur(torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32), passes=2)
    return np.clip(np.rint(soft.permute(0, 2, 3, 1).numpy() + noise), 0, 255).astype(np.uint8)


def train_classifier(size: int, *, num_train: int, num_test: int, epochs: int, seed: int = 0) -> AttributeClassifier:
    """Learn from `num_train` fresh renders, measure on `num_test` others.

    AdamW, one-cycle learning rate up to 3e-3, batches of 64, sum of the heads' cross-entropies. Raises UserError
    unless size is a power of two from 16 to 128.
    """
    _check_size(size)
    print(f"rendering {num_train + num_test} faces of {size} px", file=sys.stderr, flush=True)
    images, labels = labelled_renders(TRAIN_SEED, num_train, size)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    targets = torch.from_numpy(labels)
    torch.manual_seed(seed)
    net = AttributeNet(size).to(memory_format=torch.channels_last)
    batch = min(64, num_train)
    steps = epochs * (num_train // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    bf16 = use_bf16("auto", torch.device("cpu"))
    for epoch in range(epochs):
        losses = []
        for chosen in torch.split(torch.randperm(num_train)[: num_train // batch * batch], batch):
            seen = _augment(pixels[chosen].to(torch.float32) / 127.5 - 1.0)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = net(seen.contiguous(memory_format=torch.channels_last))
            heads = zip(torch.split(logits, _HEAD_SIZES, dim=1), targets[chosen].unbind(1), strict=True)
            loss = torch.stack([F.cross_entropy(head, target) for head, target in heads]).sum()
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {epochs}  loss {np.mean(losses):.2f}", file=sys.stderr, flush=True)
    net.eval().requires_grad_(False)
    unmeasured = AttributeClassifier(net=net, size=size, accuracy={}, accuracy_degraded={})
    images, labels = labelled_renders(TEST_SEED, num_test, size)
    return AttributeClassifier(
        net=net,
        size=size,
        accuracy=balanced_accuracy(unmeasured.probabilities(images), labels),
        accuracy_degraded=balanced_accuracy(unmeasured.probabilities(degraded(images)), labels),
    )


def balanced_accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Mean recall over the values of each attribute; values absent from `labels` int64 [N, attributes] don't count."""
    found = {}
    for (name, columns), truth in zip(head_columns().items(), labels.T, strict=True):
        right = probabilities[:, columns].argmax(1) == truth
        found[name] = float(np.mean([right[truth == value].mean() for value in np.unique(truth)]))
    return found


def head_columns() -> dict[str, slice]:
    """Attribute -> its columns among the NUM_VALUES outputs."""
    ends = np.cumsum(_HEAD_SIZES).tolist()
    return {name: slice(end - len(HEADS[name]), end) for name, end in zip(HEADS, ends, strict=True)}


def save(classifier: AttributeClassifier, path: Path) -> None:
    """Write net and figures as a torch file that loads with `weights_only=True`."""
    record = {
        "format_version": FORMAT_VERSION,
        "size": classifier.size,
        "heads": {name: list(values) for name, values in HEADS.items()},
        "accuracy": dict(classifier.accuracy),
        "accuracy_degraded": dict(classifier.accuracy_degraded),
        "net": classifier.net.state_dict(),
    }
    atomic.write(path, lambda file: torch.save(record, file))


def load(path: Path, size: int) -> AttributeClassifier:
    """Read what `save` wrote; raises UserError for another size, other attributes or no such file."""
    try:
        record: dict[str, Any] = torch.load(path, weights_only=True)
        made_for = record["format_version"], record["size"], record["heads"]
    except Exception as error:  # torch.load raises whatever its unpickler meets
        raise UserError(f"{path}: is no attribute classifier ({error}); delete it to train one") from error
    if made_for != (FORMAT_VERSION, size, {name: list(values) for name, values in HEADS.items()}):
        raise UserError(
            f"{path}: was made for {record['size']} px or for other attributes, this run wants {size} px;"
            " give another --classifier, or delete it to train one"
        )
    net = AttributeNet(size)
    net.load_state_dict(record["net"])
    net.eval().requires_grad_(False)
    return AttributeClassifier(
        net=net, size=size, accuracy=record["accuracy"], accuracy_degraded=record["accuracy_degraded"]
    )


def _convolution(before: int, after: int, *, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _augment(images: Tensor) -> Tensor:
    """What a generator's pictures may suffer: mirrored, shifted by a few pixels, blurred, noisy; [N, 3, H, W]."""
    num, size = len(images), images.shape[-1]
    images = torch.where(torch.rand(num, 1, 1, 1) < 0.5, images.flip(3), images)
    reach = size // 16
    top, left = torch.randint(2 * reach + 1, (2,)).tolist()
    images = F.pad(images, (reach,) * 4, mode="replicate")[:, :, top : top + size, left : left + size]
    softness = torch.rand(num, 1, 1, 1).mul(1.5).sub(0.5).clamp(0.0, 1.0)
    images = torch.lerp(images, blur(images, int(torch.randint(1, 5, ()))), softness)
    return images + 0.12 * torch.rand(num, 1, 1, 1) * torch.randn_like(images)


def _blocks(images: NDArray[np.uint8], length: int = 256) -> Iterator[Tensor]:
    """uint8 [N, H, W, 3] -> float32 [at most length, 3, H, W] in [-1, 1], in order."""
    for start in range(0, len(images), length):
        yield torch.from_numpy(images[start : start + length]).permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0


def _softmax_heads(logits: Tensor) -> NDArray[np.float32]:
    heads = [head.softmax(1) for head in torch.split(logits, _HEAD_SIZES, dim=1)]
    probabilities: NDArray[np.float32] = torch.cat(heads, 1).numpy()
    return probabilities


def _check_size(size: int) -> None:
    if size & (size - 1) or not _SMALLEST <= size <= _LARGEST:
        raise UserError(f"size {size}: the classifier reads powers of two from {_SMALLEST} to {_LARGEST} px")

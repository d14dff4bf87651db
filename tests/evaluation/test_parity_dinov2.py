"""DINOv2 beside torchvision's vision transformer, and the rule for its place embeddings beside its definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.vision_transformer import VisionTransformer

from evalface.extractors import dinov2
from evalface.extractors.choose import choose_extractor
from evalface.extractors.dinov2 import SIZES, DinoV2
from evalface.extractors.dinov2_network import DinoV2Network, place_embeddings
from evalface.files import sha256_of
from genface.errors import UserError

WIDTH, DEPTH = 384, 12
RELATIVE = 1e-5  # float32, another order of sums
Faces = Callable[..., np.ndarray]

# What facebookresearch's vision_transformer.py names in one block, and outside of the blocks.
BLOCK_KEYS = [
    "norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias", "ls1.gamma",
    "norm2.weight", "norm2.bias", "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias", "ls2.gamma",
]  # fmt: skip
OTHER_KEYS = [
    "cls_token", "pos_embed", "mask_token", "patch_embed.proj.weight", "patch_embed.proj.bias",
    "norm.weight", "norm.bias",
]  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT-S/14 with every number at random, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(0)
    network = DinoV2Network(WIDTH, DEPTH)
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.normal_(0, 0.05 if value.ndim > 1 else 0.3, generator=generator)
            if name.endswith(("norm1.weight", "norm2.weight")):
                value.add_(1)
    path = tmp_path_factory.mktemp("dinov2") / "random-vits14.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def ours(weights: Path) -> DinoV2:
    return DinoV2(weights)


@pytest.mark.parametrize(("width", "count"), [(384, 22_056_576), (768, 86_580_480), (1024, 304_368_640)])
def test_keys_and_counts_are_the_published_ones(width: int, count: int) -> None:
    with torch.device("meta"):
        state = DinoV2Network(width, SIZES[width].depth).state_dict()
    blocks = [f"blocks.{i}.{key}" for i in range(SIZES[width].depth) for key in BLOCK_KEYS]
    assert sorted(state) == sorted(OTHER_KEYS + blocks)
    assert sum(value.numel() for value in state.values()) == count
    assert state["pos_embed"].shape == (1, 1370, width)
    assert state["patch_embed.proj.weight"].shape == (width, 3, 14, 14)


def bicubic(table: np.ndarray, size: int, scale: float) -> np.ndarray:
    """float64 [37, 37, d] -> [size, size, d]: Keys' cubic with a = -0.75, edges repeated, half-pixel centres."""
    weights = np.zeros((size, len(table)))
    for i in range(size):
        at = (i + 0.5) / scale - 0.5
        for place in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            t = abs(at - place)
            value = (1.25 * t - 2.25) * t * t + 1 if t <= 1 else ((-0.75 * t + 3.75) * t - 6) * t + 3
            weights[i, np.clip(place, 0, len(table) - 1)] += value
    return np.einsum("yh,hwd,xw->yxd", weights, table, weights)


def test_place_embeddings_at_224_are_the_published_rule() -> None:
    table = np.random.default_rng(0).normal(size=(1, 1 + 37 * 37, 5))
    got = place_embeddings(torch.from_numpy(table).float(), 16).numpy()
    assert got.shape == (1, 257, 5)
    np.testing.assert_allclose(got[:, 0], table[:, 0], atol=1e-7)
    places = table[0, 1:].reshape(37, 37, 5)
    np.testing.assert_allclose(got[0, 1:].reshape(16, 16, 5), bicubic(places, 16, 16.1 / 37), atol=1e-4)
    # Without the tenth of a patch it is another network.
    assert np.abs(got[0, 1:].reshape(16, 16, 5) - bicubic(places, 16, 16 / 37)).max() > 0.1


def test_place_embeddings_at_518_are_the_learnt_ones() -> None:
    table = torch.randn(1, 1 + 37 * 37, 5)
    assert torch.equal(place_embeddings(table, 37), table)


def in_torchvision(state: dict[str, torch.Tensor]) -> VisionTransformer:
    """The same function: LayerScale is folded into the projections, the places are those for 224 px."""
    network = VisionTransformer(224, 14, DEPTH, WIDTH // 64, WIDTH, 4 * WIDTH).eval()
    network.heads = torch.nn.Identity()
    renamed = {
        "class_token": state["cls_token"],
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "encoder.pos_embedding": place_embeddings(state["pos_embed"], 16),
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    for i in range(DEPTH):
        ours = {key: state[f"blocks.{i}.{key}"] for key in BLOCK_KEYS}
        their = f"encoder.layers.encoder_layer_{i}."
        for part in ("weight", "bias"):
            first, second = (ours[f"ls{k}.gamma"].reshape(-1, *[1] * (part == "weight")) for k in (1, 2))
            renamed |= {
                f"{their}ln_1.{part}": ours[f"norm1.{part}"],
                f"{their}self_attention.in_proj_{part}": ours[f"attn.qkv.{part}"],
                f"{their}self_attention.out_proj.{part}": first * ours[f"attn.proj.{part}"],
                f"{their}ln_2.{part}": ours[f"norm2.{part}"],
                f"{their}mlp.0.{part}": ours[f"mlp.fc1.{part}"],
                f"{their}mlp.3.{part}": second * ours[f"mlp.fc2.{part}"],
            }
    network.load_state_dict(renamed)
    return network


def test_features_are_torchvisions_at_every_size(weights: Path, ours: DinoV2, noise_faces: Faces) -> None:
    theirs = in_torchvision(torch.load(weights, weights_only=True))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for size in ((64, 64), (300, 200)):
        block = noise_faces(2, *size)
        resized = [np.asarray(Image.fromarray(face).resize((224, 224), Image.BICUBIC)) for face in block]
        x = ((torch.from_numpy(np.stack(resized)) / 255 - mean) / std).permute(0, 3, 1, 2)
        with torch.inference_mode():
            expected = theirs(x).numpy()
        got = ours.features(block)
        assert got.shape == (2, WIDTH)
        assert expected.std(axis=0).max() > 1e-3, "constant features prove nothing"
        assert np.abs(got - expected).max() <= RELATIVE * np.abs(expected).max()


def test_features_do_not_depend_on_their_block(ours: DinoV2, noise_faces: Faces) -> None:
    block = noise_faces(9)
    assert np.array_equal(ours.features(block)[5:], ours.features(block[5:]))


def test_unknown_weights_are_named_and_known_ones_too(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    chosen = choose_extractor("dinov2", weights, "tf1", said.append)
    digest = sha256_of(weights)
    assert digest in chosen.distance_name
    assert digest in said[0]
    assert "not that of the published file" in said[0]
    known = dinov2.Size(title="DINOv2 ViT-S/14", depth=DEPTH, file="x_pretrain.pth", sha256=digest)
    monkeypatch.setitem(SIZES, WIDTH, known)
    chosen = choose_extractor("dinov2", weights, "tf1", said.append)
    assert chosen.distance_name == "Frechet distance (DINOv2 ViT-S/14)"
    assert "as published" in said[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("norm.bias"), "norm.bias"),
        (lambda state: state.pop("cls_token"), "class token of width None"),
        (lambda state: state.update(cls_token=torch.zeros(1, 1, 100)), "class token of width 100"),
        (lambda state: state.update(register_tokens=torch.zeros(1, 4, WIDTH)), "with registers is another network"),
        (lambda state: state.update(norm=[1]), "no dictionary of tensors"),
    ],
)
def test_other_weights_are_a_users_error(
    change: Callable[[dict[str, object]], object], message: str, weights: Path, tmp_path: Path
) -> None:
    state = torch.load(weights, weights_only=True)
    change(state)
    path = tmp_path / "other.pth"
    torch.save(state, path)
    with pytest.raises(UserError, match=message):
        DinoV2(path)


def test_dinov2_without_weights_tells_where_they_are() -> None:
    with pytest.raises(UserError, match=r"wants --weights FILE .*dinov2_vits14/dinov2_vits14_pretrain\.pth.*SHA-256"):
        choose_extractor("dinov2", None, "tf1", pytest.fail)

"""The stylizer: identity, mixtures, norms that are given, sizes, and that it can be exported."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from trainface.style.config import PRESETS, StyleConfig
from trainface.style.network import Stylizer, build_stylizer

CONFIG: StyleConfig = replace(PRESETS["tiny"], paintings=("a", "b"))


@pytest.fixture
def stylizer() -> Stylizer:
    """Untrained, but with styles that differ."""
    torch.manual_seed(0)
    network = build_stylizer(CONFIG).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim < 3:
            parameter += 0.3 * torch.randn_like(parameter)
    return network


def pictures(n: int, height: int, width: int) -> Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def weights(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def test_style_0_is_the_photo_itself(stylizer: Stylizer) -> None:
    photo = pictures(1, 16, 20)
    assert torch.equal(stylizer(photo, weights((1, 0, 0))), photo)


def test_no_training_can_spoil_the_identity() -> None:
    torch.manual_seed(0)
    network = build_stylizer(CONFIG)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    photo = pictures(1, 16, 16)
    network(photo, weights((0.3, 0.7, 0))).square().sum().backward()
    optimizer.step()
    assert torch.equal(network(photo, weights((1, 0, 0))), photo)


def test_strength_goes_from_the_photo_to_the_style(stylizer: Stylizer) -> None:
    photo = pictures(1, 16, 16)
    strengths = (0.0, 0.25, 0.5, 0.75, 1.0)
    distances = [(stylizer(photo, weights((1 - s, s, 0))) - photo).square().mean().item() for s in strengths]
    assert distances[0] == 0
    assert all(low < high for low, high in itertools.pairwise(distances))


def test_styles_differ_and_each_row_has_its_own(stylizer: Stylizer) -> None:
    photo = pictures(1, 16, 16).expand(3, -1, -1, -1)
    rows = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.5, 0.5))
    together = stylizer(photo, weights(*rows))
    for row, picture in zip(rows, together, strict=True):
        # 1e-5: a batch is summed in another order than one picture.
        torch.testing.assert_close(stylizer(photo[:1], weights(row))[0], picture, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=0.01)
    assert not torch.allclose(together[0], together[2], atol=0.01)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 11), (10, 13), (15, 32)])
def test_any_size(stylizer: Stylizer, height: int, width: int) -> None:
    picture = stylizer(pictures(1, height, width), weights((0, 1, 0)))
    assert picture.shape == (1, 3, height, width)
    assert picture.isfinite().all()


def test_its_own_norms_given_back_change_nothing(stylizer: Stylizer) -> None:
    photo, row = pictures(2, 16, 16), weights((0, 1, 0), (0.5, 0, 0.5))
    zeros = torch.zeros(1, 2, sum(stylizer.norm_channels))
    own, norms = stylizer.with_norms(photo, row, zeros, torch.zeros(1))
    assert norms.shape == (2, 2, sum(stylizer.norm_channels))
    again, seen = stylizer.with_norms(photo, row, norms, torch.ones(1))
    assert torch.equal(own, again)
    assert torch.equal(norms, seen)
    assert torch.equal(own, stylizer(photo, row))
    assert (norms[:, 1] >= 0).all(), "the second are variances"


def test_first_norms_are_those_of_the_first_maps(stylizer: Stylizer) -> None:
    photo = pictures(1, 16, 16)
    first = stylizer.shrink[0].conv(photo)  # type: ignore[operator, union-attr]
    zeros = torch.zeros(1, 2, sum(stylizer.norm_channels))
    norms = stylizer.with_norms(photo, weights((0, 1, 0)), zeros, torch.zeros(1))[1]
    torch.testing.assert_close(norms[0, 0, :4], first.mean((0, 2, 3)))
    torch.testing.assert_close(norms[0, 1, :4], first.var((0, 2, 3), correction=0))


def test_a_tile_with_given_norms_is_that_part_of_the_picture(stylizer: Stylizer) -> None:
    """What tiling rests on: beyond `reach` nothing acts but the norms."""
    side, reach = 160, stylizer.reach
    photo, row = pictures(1, side, side), weights((0, 1, 0))
    zeros = torch.zeros(1, 2, sum(stylizer.norm_channels))
    whole, norms = stylizer.with_norms(photo, row, zeros, torch.zeros(1))
    corner = 8  # a multiple of 4
    tile, _ = stylizer.with_norms(photo[:, :, corner:, corner:], row, norms, torch.ones(1))
    inner = tile[:, :, reach:, reach:]
    # 1e-5: sums over another number of columns may be taken in another order.
    torch.testing.assert_close(inner, whole[:, :, corner + reach :, corner + reach :], atol=1e-5, rtol=1e-5)
    border = slice(reach - 8, reach)
    near = (tile[:, :, border, reach:] - whole[:, :, corner + reach - 8 : corner + reach, corner + reach :]).abs()
    assert near.max() > 1e-5, "the reach is not much longer than it must be"


@pytest.mark.filterwarnings("ignore")  # of the exporter, about itself
def test_onnx_with_free_sides(stylizer: Stylizer) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")

    class Given(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stylizer = stylizer

        def forward(self, photo: Tensor, weights: Tensor, norms: Tensor, use_norms: Tensor) -> tuple[Tensor, Tensor]:
            picture, own = self.stylizer.with_norms(photo, weights, norms[None], use_norms)
            return picture, own[0]

    channels = sum(stylizer.norm_channels)
    free = {2: torch.export.Dim("H", min=8), 3: torch.export.Dim("W", min=8)}
    program = torch.onnx.export(
        Given(),
        (pictures(1, 21, 30), weights((0, 1, 0)), torch.zeros(2, channels), torch.zeros(1)),
        dynamo=True,
        verbose=False,
        opset_version=20,
        external_data=False,
        input_names=["photo", "weights", "norms", "use_norms"],
        output_names=["picture", "norms_out"],
        dynamic_shapes={"photo": free, "weights": None, "norms": None, "use_norms": None},
    )
    assert program is not None
    file = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    norms = np.abs(np.random.default_rng(0).standard_normal((2, channels))).astype(np.float32)
    for (height, width), use in itertools.product(((16, 16), (9, 27), (34, 18)), (0.0, 1.0)):
        photo, row, use_norms = pictures(1, height, width), weights((0.25, 0, 0.75)), torch.tensor([use])
        expected, own = stylizer.with_norms(photo, row, torch.from_numpy(norms)[None], use_norms)
        feeds = {"photo": photo.numpy(), "weights": row.numpy(), "norms": norms, "use_norms": use_norms.numpy()}
        picture, norms_out = session.run(None, feeds)
        # 1e-4 of a range of 2 is an eightieth of a level: another library's order of sums in nine layers.
        np.testing.assert_allclose(picture, expected.numpy(), atol=1e-4)
        np.testing.assert_allclose(norms_out, own[0].numpy(), atol=1e-4)

"""The two networks of a mixer as ONNX graphs."""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from exportface.deployable import Deployable
from exportface.graph_names import rename_tensors
from exportface.to_onnx import CODES, LATENT, PHOTOS, exported, to_onnx
from trainface.mixer.networks import Decoder, Encoder
from trainface.mixer.objective import signed
from trainface.pixels import to_floats

_SIGNED = (-1.0, 1.0)


class PhotosToCodes(nn.Module):
    """Photos uint8 [N, S, S, 3] -> codes float32 [N, D]."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.requires_grad_(False).eval()

    def forward(self, photos: Tensor) -> Tensor:
        codes: Tensor = self.encoder(to_floats(photos))
        return codes


class SignedDecoder(nn.Module):
    """Codes float32 [N, D] -> RGB float32 [N, 3, S, S], about [-1, 1], whatever range the decoder has."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.requires_grad_(False).eval()

    def forward(self, codes: Tensor) -> Tensor:
        images: Tensor = self.decoder(codes)
        return images if self.decoder.output_range == _SIGNED else signed(images, self.decoder)


def encoder_graph(encoder: PhotosToCodes, size: int) -> onnx.ModelProto:
    """`photos` uint8 [N, size, size, 3], RGB -> `codes` float32 [N, D]; N is free."""
    return exported(
        encoder,
        # A batch of 2: the exporter takes sizes 0 and 1 for constants.
        {PHOTOS: torch.zeros(2, size, size, 3, dtype=torch.uint8)},
        outputs=[CODES],
        free={PHOTOS: {0: Dim("N")}},
        name="encoder",
    )


def decoder_graph(decoder: SignedDecoder, code_dim: int) -> onnx.ModelProto:
    """The decoder as a generator of pictures: `z` float32 [N, code_dim] -> `images` uint8 [N, S, S, 3]."""
    return to_onnx(Deployable(decoder), code_dim)


def as_shipped(decoder: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of what `decoder_graph` gave, whose input is called `codes`."""
    model = onnx.ModelProto()
    model.CopyFrom(decoder)
    rename_tensors(model.graph, {LATENT: CODES})
    model.graph.name = "decoder"
    return model

"""The resizes by which pictures reach a network. A Frechet distance means nothing without the name of its resize."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F


def resize_tf1(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear as TensorFlow 1 had it: source = target * in / out, no half pixel, no antialias.

    [N, H, W, C], any number type, in 0..255 -> float32 [N, size, size, C]. Bit-equal on a CPU to torch-fidelity's
    `interpolate_bilinear_2d_like_tensorflow1x`; columns first, so an enlargement interpolates few rows.
    """
    x = _lerp(pixels.float(), 2, size)
    return _lerp(x, 1, size)


def _lerp(x: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    source = torch.arange(size, dtype=torch.float32, device=x.device)
    source = source * torch.tensor(x.shape[dim] / size, dtype=torch.float32)
    low = source.long()
    high = (low + 1).clamp_max(x.shape[dim] - 1)
    shape = [1, 1, 1, 1]
    shape[dim] = size
    below = x.index_select(dim, low)
    return (x.index_select(dim, high) - below).mul_((source - low).view(shape)).add_(below)


def resize_half_pixel(pixels: torch.Tensor, size: int, *, antialias: bool) -> torch.Tensor:
    """Bilinear with half-pixel centres. [N, H, W, C] in 0..255 -> float32 [N, size, size, C].

    Without antialias it is pytorch-fid's rule; with it, an enlargement is the same and a reduction is averaged.
    """
    x = pixels.permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=antialias)
    return x.permute(0, 2, 3, 1)


def resize_clean(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """clean-fid's rule (Parmar et al. 2022): Pillow's bicubic, antialiased, on each channel in float32.

    uint8 [N, H, W, 3] -> float32 [N, size, size, 3], cut to 0..255 where the cubic overshoots, but not rounded. Pillow
    gives up the interpreter's lock, so threads that call this run side by side.
    """
    faces = pixels.cpu().numpy().astype(np.float32)
    out = np.empty((len(faces), size, size, 3), np.float32)
    for face, row in zip(faces, out, strict=True):
        for channel in range(3):
            plane = Image.fromarray(np.ascontiguousarray(face[:, :, channel]))
            row[:, :, channel] = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(out.clip(0, 255, out=out)).to(pixels.device)


def resize_rounded(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Pillow's bicubic, antialiased, on 8-bit RGB: uint8 [N, H, W, 3] -> float32 [N, size, size, 3], whole numbers."""
    faces = [
        np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.BICUBIC))
        for face in pixels.cpu().numpy()
    ]
    return torch.from_numpy(np.stack(faces)).float().to(pixels.device)

"""The vision transformer of DINOv2 (Oquab et al. 2023), with the attribute names of the published state dictionaries.

A ViT (Dosovitskiy et al. 2020) that scales each residual branch by learnt numbers (LayerScale, Touvron et al. 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 14
TRAINED_GRID = 37
"""Patches along a side of the 518 px pictures for which the published embeddings of places were learnt."""
HEAD_WIDTH = 64
_GRID_OFFSET = 0.1


class Attention(nn.Module):
    """Self-attention of all tokens in heads of `HEAD_WIDTH`; queries, keys and values lie side by side in `qkv`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, width // HEAD_WIDTH, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))
        return out


class Mlp(nn.Module):
    """Two layers of four times the width, with the exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class LayerScale(nn.Module):
    """One factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Attention, then the MLP, each on normed tokens, scaled and added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class PatchEmbed(nn.Module):
    """[N, 3, H, W] -> [N, patches, width], row by row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return out


class DinoV2Network(nn.Module):
    """Normed colours [N, 3, S, S] with S a multiple of 14 -> [N, width], the class token after the last norm."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TRAINED_GRID**2, width))
        # Not used for features; part of the published file.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbed(width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embed(x)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = tokens + place_embeddings(self.pos_embed, x.shape[-1] // PATCH).to(tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens[:, 0])
        return out


def place_embeddings(embeddings: Tensor, grid: int) -> Tensor:
    """Embeddings [1, 1 + 37 x 37, d] of the class token and all places -> [1, 1 + grid x grid, d].

    The published rule for weights without registers: bicubic (a = -0.75), not antialiased, and stretched as if the new
    grid were a tenth of a patch larger. The weights were evaluated so; another stretch is another network.
    """
    if grid == TRAINED_GRID:
        return embeddings
    width = embeddings.shape[-1]
    places = embeddings[:, 1:].float().reshape(1, TRAINED_GRID, TRAINED_GRID, width).permute(0, 3, 1, 2)
    scale = (grid + _GRID_OFFSET) / TRAINED_GRID
    places = F.interpolate(places, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
    assert places.shape[-1] == grid, "the offset is too small to add a patch"
    return torch.cat([embeddings[:, :1].float(), places.flatten(2).transpose(1, 2)], dim=1)

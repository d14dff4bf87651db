"""Directions of the latent that change a generator's pictures most: principal components of its own features.

After GANSpace (Härkönen et al. 2020, arXiv 2004.02546): the activations of an early layer for some thousand latents,
their principal components, and least squares between those and z. The two steps are taken in the other order here:
least squares of every activation on z, then the principal components of what was fitted. That is an eigenproblem of
z_dim numbers a side instead of one of thousands, and its directions are orthogonal exactly, where components regressed
one by one are so only roughly. LOG.md tells how far the two agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genface.latents import latents

MAX_DIRECTIONS = 12
SEED = 20_231_113
"""Seed of the latents that the features are computed of (`genface.latents`)."""
NUM_LATENTS = 2048
SIDE = 8
"""Pixels of the feature maps. Maps of 16 px have nearly the same first directions and cost several times as much; those
of 4 px are linear in z in most of the networks."""

_BATCH = 128
_LEAST_SHARE = 1e-4
"""Of the first direction's variance: what causes less is rounding."""
_DECIMALS = 6
_SLACK = 0.02
"""What a stored direction may be off by, of 1 or of the first direction's variance: it is rounded, and another machine
adds in another order."""

Directions = tuple[tuple[float, ...], ...]


def principal_directions(generator: nn.Module, z_dim: int) -> Directions:
    """Unit vectors of z along which the features of a generator move most, the most important first.

    `generator`: z float32 [N, z_dim] -> RGB float32 [N, 3, H, W], in eval mode. Gives up to `MAX_DIRECTIONS` vectors
    of z_dim numbers, orthogonal to each other, rounded to six decimals; the largest number of each is positive. There
    are fewer where the features answer to fewer, and none where they do not move.
    """
    variances, vectors = np.linalg.eigh(_caused_covariance(generator, z_dim))  # the smallest variance first
    least = max(0.0, _LEAST_SHARE * variances[-1])
    found = (vector for variance, vector in zip(variances[::-1], vectors.T[::-1], strict=True) if variance > least)
    return tuple(_signed_and_rounded(vector) for vector in itertools.islice(found, MAX_DIRECTIONS))


def false_directions(generator: nn.Module, z_dim: int, stored: Sequence[Sequence[float]]) -> str | None:
    """What is wrong with `stored` as `principal_directions` of this generator, in words; None where nothing is.

    They are held to what defines them: orthogonal unit vectors, each of which causes the largest variance that is
    left. The numbers themselves may differ: where two variances are nearly equal, another machine finds other vectors
    in the plane of the two.
    """
    if not stored:
        return None
    vectors = np.array(stored, dtype=np.float64)
    if not np.abs(vectors @ vectors.T - np.eye(len(vectors))).max() <= _SLACK:
        return "are not orthogonal unit vectors"
    covariance = _caused_covariance(generator, z_dim)
    caused = np.einsum("ki,ij,kj->k", vectors, covariance, vectors)
    largest = np.linalg.eigvalsh(covariance)[::-1][: len(vectors)]
    for number, (said, is_so) in enumerate(zip(caused, largest, strict=True), 1):
        if not abs(said - is_so) <= _SLACK * largest[0]:
            return f"number {number} is not what moves the features most beside those before it"
    return None


def _signed_and_rounded(vector: NDArray[np.float64]) -> tuple[float, ...]:
    sign = np.sign(vector[np.abs(vector).argmax()])
    return tuple(float(number) for number in (sign * vector).round(_DECIMALS) + 0.0)  # + 0.0 makes -0.0 plain


def _caused_covariance(generator: nn.Module, z_dim: int) -> NDArray[np.float64]:
    """B B^T, float64 [z_dim, z_dim], of the least-squares fit `features = mean + z B`.

    Since z is white, moving it along a unit vector u causes the variance u B B^T u in the fitted features, and the
    eigenvectors are what their principal components are in z.
    """
    z = latents(SEED, range(NUM_LATENTS), z_dim)
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    products: NDArray[np.float64] = sum(  # z^T features; centring one of the two is enough
        centred[part].T @ features for part, features in middle_features(generator, z)
    )
    fit = np.linalg.solve(centred.T @ centred, products)
    covariance: NDArray[np.float64] = fit @ fit.T
    return covariance


class _ReachedError(Exception):
    """The features are there; what follows them in the generator need not be computed."""


def middle_features(generator: nn.Module, z: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows of z and their features, float64 [rows, C * side * side], in batches."""
    reader = _reader(generator, z[:1])
    kept: list[torch.Tensor] = []

    def keep(_module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        kept[:] = given
        raise _ReachedError

    for start in range(0, len(z), _BATCH):
        part = slice(start, start + _BATCH)
        with torch.inference_mode(), reader.register_forward_pre_hook(keep):
            try:
                generator(torch.from_numpy(z[part]))
            except _ReachedError:
                yield part, kept[0].flatten(1).double().numpy()


def _reader(generator: nn.Module, z: NDArray[np.float32]) -> nn.Module:
    """The last module that is given feature maps of `SIDE` px, or of the largest side below where there are none.

    What a module is given is behind the rectifier in every network, whether that is a module or a function.
    """
    readers: dict[int, nn.Module] = {}

    def note(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].ndim == 4 and 1 < given[0].shape[-1] <= SIDE:
            readers[given[0].shape[-1]] = module

    hooks = [module.register_forward_pre_hook(note) for module in generator.modules()]
    try:
        with torch.inference_mode():
            generator(torch.from_numpy(z))
    finally:
        for hook in hooks:
            hook.remove()
    return readers[max(readers)]

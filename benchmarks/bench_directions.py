"""What the directions that exportface stores do to pictures, and how near they come to GANSpace's own.

    python benchmarks/bench_directions.py --checkpoint models/cats64.pt

GANSpace (Härkönen et al. 2020) takes the principal components of the features first and regresses them on z one by one;
exportface fits the features by z first. Both are done here on the same latents and features. The effect of a direction
is the mean change of 64 pictures from -2 to +2 standard deviations along it, in levels of 255; random orthogonal
directions are the reference. The limit of either way is the share of the features' variance that is linear in z.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from torch import nn

from exportface.directions import MAX_DIRECTIONS, NUM_LATENTS, SEED, middle_features, principal_directions
from exportface.source import read_source
from genface.latents import latents

PICTURES = 64
DEVIATIONS = 2.0
Rows = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, required=True)
    source = read_source(parser.parse_args().checkpoint)
    generator, z_dim = source.generator, source.config.z_dim
    torch.set_num_threads(1)

    z = latents(SEED, range(NUM_LATENTS), z_dim)
    features = np.concatenate([part for _, part in middle_features(generator, z)])
    features -= features.mean(axis=0)
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    fitted = centred @ np.linalg.lstsq(centred, features, rcond=None)[0]

    start = time.process_time()
    ours = np.array(principal_directions(generator, z_dim))
    seconds = time.process_time() - start
    theirs = ganspace(features, centred, len(ours))
    among_theirs = np.abs(theirs @ theirs.T - np.eye(len(theirs))).max()
    random = np.linalg.qr(np.random.default_rng(1).normal(size=(z_dim, len(ours))))[0].T
    figures = {
        "linear_share_of_variance": round(float((fitted**2).sum() / (features**2).sum()), 3),
        "seconds_of_one_thread": round(seconds, 2),
        "best_cosine_with_ganspace": np.abs(ours @ theirs.T).max(axis=1).round(2).tolist(),
        "ganspace_largest_cosine_among_themselves": round(float(among_theirs), 3),
        "effect_in_levels": effect(generator, z, ours),
        "effect_of_ganspace": effect(generator, z, theirs),
        "effect_of_random": effect(generator, z, random),
    }
    for name, value in figures.items():
        print(f"{name:42}{value}", file=sys.stderr)
    print(json.dumps({"benchmark": "directions", "checkpoint": source.sha256, **figures}))


def ganspace(features: Rows, z: Rows, count: int) -> Rows:
    """Unit directions [count, z_dim] of the features' principal components, each regressed on z by itself."""
    components = TruncatedSVD(n_components=min(count, MAX_DIRECTIONS), random_state=0).fit_transform(features)
    causes = (components / components.std(axis=0)).T @ z
    unit: Rows = causes / np.linalg.norm(causes, axis=1, keepdims=True)
    return unit


def effect(generator: nn.Module, z: NDArray[np.float32], directions: Rows) -> list[float]:
    """Mean change of a picture's values from one end of each direction to the other, in levels."""
    here, changes = torch.from_numpy(z[:PICTURES]), []
    for direction in torch.from_numpy(directions.astype(np.float32)):
        with torch.inference_mode():
            ends = [generator(here + sign * DEVIATIONS * direction).clamp(-1, 1) for sign in (-1, 1)]
        changes.append(round(float((ends[1] - ends[0]).abs().mean()) * 127.5, 1))
    return changes


if __name__ == "__main__":
    main()

"""How fast evalface is beside the tools it replaces: Inception features, LOO-1NN, a whole score from cached features.

    python benchmarks/bench_evalface.py            # a quarter of an hour on two idle cores
    python benchmarks/bench_evalface.py --part inception
    python benchmarks/bench_evalface.py --quick    # tenth of the sizes

Text for people goes to stderr; the last line on stdout is one JSON document. Sides alternate and medians are compared,
since the machine may be shared.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_fid.inception
import torch
from PIL import Image
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import evalface
from evalface.extractors.inception import Inception
from evalface.extractors.inception_network import InceptionNetwork
from evalface.neighbours import leave_one_out
from genface.cores import usable_cores


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternating(repeats: int, *works: Callable[[], Any]) -> list[float]:
    """Median seconds of each work, run in turn, after one unmeasured turn."""
    for work in works:
        work()
    turns = [[seconds(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*turns, strict=True)]


def bench_inception(images: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Both tools with the same random weights on the same 64 px pixels in memory."""
    torch.manual_seed(0)
    weights = folder / "weights.pth"
    torch.save(InceptionNetwork().state_dict(), weights)
    state = torch.load(weights, weights_only=True)
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
    theirs = pytorch_fid.inception.InceptionV3().eval()
    ours = Inception(weights, "pytorch-fid")
    faces = np.random.default_rng(0).integers(0, 256, (images, 64, 64, 3), dtype=np.uint8)
    device = ours.device
    theirs.to(device)

    def run_theirs() -> None:
        # The loop of pytorch_fid.fid_score.get_activations at its default batch of 50.
        for i in range(0, images, 50):
            batch = torch.from_numpy(faces[i : i + 50]).permute(0, 3, 1, 2).float() / 255
            with torch.no_grad():
                theirs(batch.to(device))[0].squeeze(3).squeeze(2).cpu().numpy()

    our_s, their_s = alternating(repeats, lambda: ours.features(faces), run_theirs)
    tell(f"Inception, {images} images of 64 px: {images / our_s:.1f}/s, pytorch-fid {images / their_s:.1f}/s")
    return {
        "images": images,
        "device": device,
        "images_per_s": images / our_s,
        "pytorch_fid_images_per_s": images / their_s,
        "ratio": their_s / our_s,
    }


def bench_leave_one_out(per_side: int, folds: int, repeats: int) -> dict[str, Any]:
    """scikit-learn's LeaveOneOut is measured on a few of its folds, each at full size, and multiplied to all folds."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(per_side, 1280)).astype(np.float32)
    fake = (rng.normal(size=(per_side, 1280)) + 0.02).astype(np.float32)
    points, labels = np.concatenate([real, fake]), np.repeat([0, 1], per_side)
    some = list(itertools.islice(LeaveOneOut().split(points), folds))

    def run_sklearn() -> None:
        cross_val_score(KNeighborsClassifier(1), points, labels, cv=some)

    our_s, their_s = alternating(repeats, lambda: leave_one_out(real, fake), run_sklearn)
    all_folds = their_s / folds * len(points)
    tell(
        f"LOO-1NN, {per_side:,} of each side x 1280: {our_s:.1f} s; scikit-learn LeaveOneOut {their_s:.1f} s for"
        f" {folds} of its {len(points):,} folds, so {all_folds:,.0f} s for all"
    )
    return {
        "per_side": per_side,
        "width": 1280,
        "seconds": our_s,
        "sklearn_folds_measured": folds,
        "sklearn_seconds_measured": their_s,
        "sklearn_seconds_extrapolated": all_folds,
        "ratio": all_folds / our_s,
    }


def bench_cached_score(n_real: int, n_fake: int, folder: Path) -> dict[str, Any]:
    """A whole score with and without t-SNE, once the features of both sides lie in the cache."""
    os.environ["EVALFACE_CACHE"] = str(folder / "cache")
    rng = np.random.default_rng(0)
    for name, count in (("real", n_real), ("fake", n_fake)):
        (folder / name).mkdir()
        for i in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / name / f"{i:06d}.png", compress_level=1)
    sides = folder / "real", folder / "fake"
    first = seconds(lambda: evalface.score(*sides, extractor="lite0", tsne=False))
    again = seconds(lambda: evalface.score(*sides, extractor="lite0", tsne=False))
    picture = seconds(lambda: evalface.score(*sides, extractor="lite0"))
    tell(
        f"score of {n_real:,} against {n_fake:,} faces of 64 px, EfficientNet-Lite0: {first:.0f} s at first,"
        f" {again:.0f} s from cached features, {picture:.0f} s with t-SNE"
    )
    return {
        "n_real": n_real,
        "n_fake": n_fake,
        "first_seconds": first,
        "cached_seconds": again,
        "cached_with_tsne_seconds": picture,
    }


PARTS: dict[str, Callable[[int, Path], dict[str, Any]]] = {
    "inception": lambda share, folder: bench_inception(500 // share, 3, folder),
    "leave_one_out": lambda share, folder: bench_leave_one_out(10_000 // share, 20, 3),
    "score": lambda share, folder: bench_cached_score(5_000 // share, 10_000 // share, folder),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="one part only; may be repeated")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    result: dict[str, Any] = {
        "benchmark": "evalface",
        "quick": options.quick,
        "cores": usable_cores(),
        "torch": torch.__version__,
    }
    with tempfile.TemporaryDirectory() as name:
        for part in options.part or PARTS:
            result[part] = PARTS[part](share, Path(name))
    print(json.dumps(result))


if __name__ == "__main__":
    main()

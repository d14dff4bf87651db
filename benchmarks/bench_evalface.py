"""How fast evalface is beside the tools it replaces: features, LOO-1NN, a whole score from cached features.

    python benchmarks/bench_evalface.py            # a quarter of an hour on two idle cores
    python benchmarks/bench_evalface.py --part extractors --n 100
    python benchmarks/bench_evalface.py --quick    # tenth of the sizes

On a busy machine take OMP_NUM_THREADS=1 and compare seconds of processor: waiting threads cost time, too, else.
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
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_fid.inception
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits
from torch.utils.flop_counter import FlopCounterMode

import evalface
from evalface.extractors.base import NetworkExtractor
from evalface.extractors.inception import Inception
from evalface.extractors.inception_network import InceptionNetwork
from evalface.extractors.lite0 import Lite0
from evalface.extractors.precision import has_bf16
from evalface.neighbours import leave_one_out
from genface.cores import usable_cores


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Seconds(NamedTuple):
    """How long a work took: on the clock, and of all processors together (which a busy machine does not stretch)."""

    wall: float
    cpu: float


def seconds(work: Callable[[], Any]) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def alternating(repeats: int, works: Mapping[str, Callable[[], Any]]) -> dict[str, Seconds]:
    """Median seconds of each work, run in turn, after one unmeasured turn."""
    for work in works.values():
        work()
    turns = [{name: seconds(work) for name, work in works.items()} for _ in range(repeats)]
    return {
        name: Seconds(*(statistics.median(column) for column in zip(*(turn[name] for turn in turns), strict=True)))
        for name in works
    }


def random_weights(folder: Path) -> Path:
    torch.manual_seed(0)
    weights = folder / "weights.pth"
    torch.save(InceptionNetwork().state_dict(), weights)
    return weights


def pytorch_fids_loop(weights: Path, faces: NDArray[np.uint8]) -> Callable[[], None]:
    """The loop of pytorch_fid.fid_score.get_activations at its default batch of 50, without decoding."""
    state = torch.load(weights, weights_only=True)
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = pytorch_fid.inception.InceptionV3().eval().to(device)

    def run() -> None:
        for i in range(0, len(faces), 50):
            batch = torch.from_numpy(faces[i : i + 50]).permute(0, 3, 1, 2).float() / 255
            with torch.no_grad():
                network(batch.to(device))[0].squeeze(3).squeeze(2).cpu().numpy()

    return run


def alone(extractor: NetworkExtractor, faces: NDArray[np.uint8]) -> Callable[[], None]:
    """The limit of `extractor`: its network on one ready batch, as often as the pictures ask for."""
    batch = extractor._prepare(torch.from_numpy(faces[:8]).to(extractor.device)).permute(0, 3, 1, 2)
    workers = usable_cores() if extractor.device == "cpu" else 1

    def run() -> None:
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(lambda _: extractor._runtime.run(batch), range(-(-len(faces) // len(batch)))))
        torch.set_num_threads(threads)

    return run


def product_gflops() -> dict[str, float]:
    """Rate of 2048 x 2048 matrix products on one thread, fp32 by NumPy's OpenBLAS and bf16 by torch's oneDNN.

    MKL, which torch takes for fp32, holds back on AMD's processors.
    """
    a = torch.randn(2048, 2048)
    exact, rounded = a.numpy(), a.bfloat16()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        took = {
            "fp32": min(seconds(lambda: exact @ exact).cpu for _ in range(10)),
            "bf16": min(seconds(lambda: rounded @ rounded).cpu for _ in range(10)),
        }
    torch.set_num_threads(threads)
    return {name: 2 * 2048**3 / cpu / 1e9 for name, cpu in took.items()}


def bench_extractors(images: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Ours and pytorch-fid on the same 64 px pixels in memory, Inception with the same random weights on both sides."""
    weights = random_weights(folder)
    faces = np.random.default_rng(0).integers(0, 256, (images, 64, 64, 3), dtype=np.uint8)
    exact = Inception(weights, "pytorch-fid")
    extractors: dict[str, NetworkExtractor] = {
        "inception fp32": exact,
        "inception tf1 fp32": Inception(weights, "tf1"),
        "inception clean fp32": Inception(weights, "clean"),
        "lite0 fp32": Lite0(),
    }
    if has_bf16(exact.device):
        extractors["inception bf16"] = Inception(weights, "pytorch-fid", "bf16")
        extractors["lite0 bf16"] = Lite0("bf16")
    works = {"pytorch-fid": pytorch_fids_loop(weights, faces)}
    works |= {name: partial(extractor.features, faces) for name, extractor in extractors.items()}
    works |= {f"{name}, network alone": alone(e, faces) for name, e in extractors.items() if " tf1" not in name}
    took = alternating(repeats, works)
    theirs = took["pytorch-fid"]
    for name, ours in took.items():
        tell(
            f"{name:36s} {images / ours.wall:7.1f} images/s, {theirs.wall / ours.wall:5.2f} x pytorch-fid;"
            f" per second of processor {images / ours.cpu:6.1f}, {theirs.cpu / ours.cpu:5.2f} x"
        )
    with FlopCounterMode(display=False) as flops, torch.inference_mode():
        InceptionNetwork().eval()(torch.zeros(1, 3, 299, 299))
    return {
        "images": images,
        "device": exact.device,
        "runtime": {name: extractor.identity()["runtime"] for name, extractor in extractors.items()},
        "images_per_s": {name: images / ours.wall for name, ours in took.items()},
        "images_per_processor_s": {name: images / ours.cpu for name, ours in took.items()},
        "ratio": {name: theirs.wall / ours.wall for name, ours in took.items()},
        "ratio_of_processor_time": {name: theirs.cpu / ours.cpu for name, ours in took.items()},
        "inception_gflop_per_image": flops.get_total_flops() / 1e9,
        "product_gflops_per_core": product_gflops(),
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

    took = alternating(repeats, {"ours": lambda: leave_one_out(real, fake), "sklearn": run_sklearn})
    our_s, their_s = took["ours"].wall, took["sklearn"].wall
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
    first = seconds(lambda: evalface.score(*sides, extractor="lite0", tsne=False)).wall
    again = seconds(lambda: evalface.score(*sides, extractor="lite0", tsne=False)).wall
    picture = seconds(lambda: evalface.score(*sides, extractor="lite0")).wall
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


PARTS: dict[str, Callable[[int, int, Path], dict[str, Any]]] = {
    "extractors": lambda n, share, folder: bench_extractors(n // share, 3, folder),
    "leave_one_out": lambda n, share, folder: bench_leave_one_out(10_000 // share, 20, 3),
    "score": lambda n, share, folder: bench_cached_score(5_000 // share, 10_000 // share, folder),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="one part only; may be repeated")
    parser.add_argument("--n", type=int, default=500, help="pictures for the extractors")
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
            result[part] = PARTS[part](options.n, share, Path(name))
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""How long the scores take from cached features, over the number of pictures, beside scikit-learn.

    python benchmarks/bench_scores.py                       # 2,000 to 10,000 of each side, 1280 features, 64 px
    python benchmarks/bench_scores.py --sizes 20000 --width 2048 --plot scores.png
    python benchmarks/bench_scores.py --quick               # a tenth of the sizes

Text for people goes to stderr; the last line on stdout is one JSON document. LOO-1NN and scikit-learn's brute-force
neighbours alternate. scikit-learn's LeaveOneOut is measured on a few of its folds at one small size and multiplied, in
the document as `extrapolated`: to all folds, and to other sizes by the square.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from evalface.all_scores import NEIGHBOURS_AT_MOST, K, all_scores
from evalface.neighbours import leave_one_out
from genface.cores import usable_cores

SIZES = (2_000, 5_000, 10_000)
PIXELS_SIDE = 64
LATENT = 40
FOLDS = 10
FOLDS_SIZE = 2_000


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def features(n: int, width: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    """float32 [n, width], like a network's pooled activations: not negative, of few dimensions, with noise."""
    weights = np.random.default_rng(0).normal(size=(LATENT, width)).astype(np.float32)
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, LATENT)).astype(np.float32) + np.float32(shift)
    found: NDArray[np.float32] = np.maximum(z @ weights, 0) + 0.5 * rng.random((n, width), np.float32)
    return found


def pixels(n: int, seed: int) -> NDArray[np.uint8]:
    """uint8 [n, 3 * 64 * 64]: smooth colours with noise."""
    rng = np.random.default_rng(seed)
    rows = np.empty((n, PIXELS_SIDE, PIXELS_SIDE, 3), np.uint8)
    for row in rows:
        coarse = rng.normal(128, 50, (8, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
        row[:] = np.clip(coarse + rng.normal(0, 8, row.shape), 0, 255)
    return rows.reshape(n, -1)


def bench_size(n: int, width: int, repeats: int) -> dict[str, Any]:
    real, fake = features(n, width, 1), features(n, width, 2, shift=0.05)
    both = np.concatenate([real, fake])

    def run_sklearn() -> None:
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(both).kneighbors()

    turns = [(seconds(lambda: leave_one_out(real, fake)), seconds(run_sklearn)) for _ in range(repeats)]
    ours, theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    of_pixels = {"pixels_real": pixels(n, 1), "pixels_fake": pixels(n, 2)}
    start_cpu = time.process_time()
    scores = all_scores(real, fake, **of_pixels, at_most=max(n, NEIGHBOURS_AT_MOST))
    whole_cpu = time.process_time() - start_cpu
    # Of the process so far: sizes rise, so it is this size's peak or more.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    parts = {name: round(value, 2) for name, value in scores.seconds.items()}
    tell(
        f"{n:,} of each side x {width}: LOO-1NN {ours:.1f} s, sklearn's NearestNeighbors {theirs:.1f} s, all scores"
        f" {sum(scores.seconds.values()):.1f} s ({whole_cpu:.0f} s of processor time), peak {peak:.2f} GiB; {parts}"
    )
    return {
        "per_side": n,
        "leave_one_out_seconds": ours,
        "sklearn_nearest_neighbours_seconds": theirs,
        "ratio": theirs / ours,
        "all_scores_seconds": sum(scores.seconds.values()),
        "processor_seconds": whole_cpu,
        "seconds": parts,
        "peak_gib": peak,
    }


def bench_sklearn_leave_one_out(n: int, width: int) -> dict[str, Any]:
    """A few folds of LeaveOneOut with KNeighborsClassifier(1), each of full size."""
    points = np.concatenate([features(n, width, 1), features(n, width, 2)])
    some = list(itertools.islice(LeaveOneOut().split(points), FOLDS))
    labels = np.repeat([0, 1], n)
    measured = seconds(lambda: cross_val_score(KNeighborsClassifier(1), points, labels, cv=some))
    extrapolated = measured / FOLDS * len(points)
    tell(
        f"sklearn LeaveOneOut, {n:,} of each side: {measured:.2f} s for {FOLDS} of {len(points):,} folds, so"
        f" {extrapolated:,.0f} s for all"
    )
    return {"per_side": n, "folds": FOLDS, "measured_seconds": measured, "extrapolated_seconds": extrapolated}


def plot(rows: list[dict[str, Any]], sklearn: dict[str, Any], width: int, path: Path) -> None:
    from matplotlib.figure import Figure

    n = [row["per_side"] for row in rows]
    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    lines = {
        "all scores": [row["all_scores_seconds"] for row in rows],
        "LOO-1NN": [row["leave_one_out_seconds"] for row in rows],
        "scikit-learn, brute NearestNeighbors": [row["sklearn_nearest_neighbours_seconds"] for row in rows],
        "scikit-learn, LeaveOneOut (extrapolated)": [
            sklearn["extrapolated_seconds"] * (size / sklearn["per_side"]) ** 2 for size in n
        ],
    }
    for name, values in lines.items():
        axes.plot(n, values, marker="o", linestyle=":" if "extrapolated" in name else "-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="pictures of each side", ylabel="seconds")
    axes.set_title(f"Scores from cached features of width {width}, {usable_cores()} cores")
    axes.legend()
    figure.savefig(path)
    tell(f"plot: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="pictures of each side")
    parser.add_argument("--width", type=int, default=1280, help="features of a picture")
    parser.add_argument("--repeats", type=int, default=3, help="alternating turns, of which the median counts")
    parser.add_argument("--plot", type=Path, help="write a plot to this file")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    sizes = sorted(max(20, size // share) for size in options.sizes)
    rows = [bench_size(size, options.width, options.repeats) for size in sizes]
    sklearn = bench_sklearn_leave_one_out(FOLDS_SIZE // share, options.width)
    if options.plot:
        plot(rows, sklearn, options.width, options.plot)
    result = {
        "benchmark": "scores",
        "cores": usable_cores(),
        "width": options.width,
        "k": K,
        "sizes": rows,
        "sklearn_leave_one_out": sklearn,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""How long a stylizer takes for a picture, beside the same network in PyTorch.

    python benchmarks/bench_stylize.py --model models/styles/paintings.onnx --checkpoint models/styles/paintings.pt

Random pictures, style 1 at full strength. Two sides alternate, `genface.stylizer` and PyTorch eager in fp32 with the
levels taken in and out, both with all usable cores; the median of each. A picture is one piece up to 512 px, and tiles
beyond. The last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from exportface.style_source import read_style
from genface.cores import usable_cores
from genface.stylizer import Stylizer
from trainface.pixels import to_floats, to_levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(usable_cores())
    stylizer, network = Stylizer(arguments.model), read_style(arguments.checkpoint).stylizer
    weights = stylizer.weights(["1"])
    rows = []
    for size in arguments.sizes:
        photo = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)

        def ours(photo: np.ndarray = photo) -> None:
            stylizer.stylize(photo, weights)

        @torch.inference_mode()
        def eager(photo: np.ndarray = photo) -> None:
            picture = to_floats(torch.from_numpy(photo)[None]).contiguous(memory_format=torch.channels_last)
            to_levels(network(picture, torch.from_numpy(weights)[None])).numpy()

        ours_s, eager_s = alternate(ours, eager, arguments.rounds)
        rows.append(
            {
                "size": size,
                "seconds": round(ours_s, 3),
                "torch_seconds": round(eager_s, 3),
                "torch_over_genface": round(eager_s / ours_s, 2),
            }
        )
    print(json.dumps({"cores": usable_cores(), "rounds": arguments.rounds, "rows": rows}))


def alternate(first: Callable[[], None], second: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Medians of the seconds that two functions take in turn, after one run of each that is not counted."""
    taken: tuple[list[float], list[float]] = ([], [])
    for round_number in range(rounds + 1):
        for function, seconds in zip((first, second), taken, strict=True):
            start = time.perf_counter()
            function()
            if round_number:
                seconds.append(time.perf_counter() - start)
    return statistics.median(taken[0]), statistics.median(taken[1])


if __name__ == "__main__":
    main()

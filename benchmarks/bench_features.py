"""What the strided depthwise convolutions of EfficientNet-Lite0 cost a CPU when they are differentiated in bf16.

    python benchmarks/bench_features.py

Mixers and stylizers learn through these features. One thread, a mixer's distance in features forward and backward to
the pictures; three ways alternate: those convolutions in bf16 as autocast would have them, in fp32 as
trainface.style.lite0 has them, and everything in fp32. The last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from trainface.mixer.losses import perceptual
from trainface.mixer.objective import SEEN
from trainface.style.lite0 import Block, Lite0Features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    features = Lite0Features().eval().requires_grad_(False).to(memory_format=torch.channels_last)
    shape = (2, arguments.batch, 3, arguments.size, arguments.size)
    pictures, others = (each.to(memory_format=torch.channels_last) for each in torch.rand(shape) * 2 - 1)
    pictures.requires_grad_(True)

    def look(*, bf16: bool, strided: bool) -> Callable[[], None]:
        def run() -> None:
            for block in features.blocks:
                assert isinstance(block, Block)
                block.strided = strided and max(block.depthwise.stride) > 1
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                maps = features(pictures)
                with torch.no_grad():
                    targets = features(others)
            distance = perceptual([maps[name] for name in SEEN], [targets[name] for name in SEEN])
            torch.autograd.backward(distance)

        return run

    ways = {
        "bf16": look(bf16=True, strided=False),
        "strided_fp32": look(bf16=True, strided=True),
        "fp32": look(bf16=False, strided=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    each = {name: statistics.median(taken) * 1000 / arguments.batch for name, taken in seconds.items()}
    figures = {
        "size": arguments.size,
        "batch": arguments.batch,
        "ms_per_picture": {name: round(ms, 2) for name, ms in each.items()},
        "bf16_over_strided_fp32": round(each["bf16"] / each["strided_fp32"], 2),
        "fp32_over_strided_fp32": round(each["fp32"] / each["strided_fp32"], 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

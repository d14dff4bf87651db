"""How large and how fast each picture format and level is, on drawn faces.

    python benchmarks/bench_encode.py --model gen.onnx [--n 2000] [--rounds 3]

Draws faces once, then encodes them by genface's own code, marks included, on one core. The formats take turns, medians
are compared, and time is the thread's CPU time: what a busy machine does beside it counts less than by the clock. What
is left of that shows in all formats alike, so the ratios to PNG's default are what to trust.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import __version__ as pillow_version

from genface import Generator
from genface.encode import PNG, PictureFormat, decode, encode
from genface.errors import UserError
from genface.provenance import origin

FORMATS = {
    "png (default)": PNG,
    **{f"png {level}": PictureFormat(level=level) for level in (0, 1, 3, 6, 9)},
    **{f"webp {level}": PictureFormat(name="webp", level=level) for level in range(7)},
    **{f"jpeg {quality}": PictureFormat(name="jpeg", quality=quality) for quality in (75, 90, 95, 100)},
}
BASE = "png (default)"


def main() -> None:
    options = parse_options()
    generator = Generator(options.model)
    pictures = generator.draw(seed=0, indices=range(options.n))
    marks = origin(model_sha256=generator.info.sha256, seed=0, index=0, truncation=None)
    seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
    sizes: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, picture_format in FORMATS.items():
            taken, sizes[name] = encode_all(pictures, marks, picture_format)
            seconds[name].append(taken)

    rates = {name: options.n / statistics.median(times) for name, times in seconds.items()}
    print(f"{'':16}{'bytes':>8}{'ratio':>7}{'images/s':>10}{'ratio':>7}{'mean error':>12}", file=sys.stderr)
    rows = {}
    for name, rate in rates.items():
        rows[name] = {
            "bytes": round(sizes[name]),
            "bytes_ratio": round(sizes[name] / sizes[BASE], 3),
            "images_per_cpu_second": round(rate),
            "speed_ratio": round(
                statistics.median(a / b for a, b in zip(seconds[BASE], seconds[name], strict=True)), 3
            ),
            "mean_error_levels": round(mean_error(pictures[:200], FORMATS[name]), 2),
        }
        size, size_ratio, speed, ratio, error = rows[name].values()
        print(f"{name:16}{size:8,}{size_ratio:7.3f}{speed:10,}{ratio:7.2f}{error:12.2f}", file=sys.stderr)
    result = {
        "benchmark": "encode",
        "formats": rows,
        "n": options.n,
        "rounds": options.rounds,
        "model_sha256": generator.info.sha256,
        "width": generator.info.width,
        "height": generator.info.height,
        "pillow": pillow_version,
        "machine": platform.machine(),
    }
    print(json.dumps(result))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the generator that draws the faces")
    parser.add_argument("--n", type=int, default=2000, help="faces per format and round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each format takes (default: %(default)s)")
    return parser.parse_args()


def encode_all(
    pictures: NDArray[np.uint8], marks: dict[str, str], picture_format: PictureFormat
) -> tuple[float, float]:
    """CPU seconds for all pictures, and the mean size of a file in bytes."""
    start = time.thread_time()
    size = sum(len(encode(pixels, marks, picture_format)) for pixels in pictures)
    return time.thread_time() - start, size / len(pictures)


def mean_error(pictures: NDArray[np.uint8], picture_format: PictureFormat) -> float:
    """Mean absolute difference of a level after coding; 0 for lossless formats."""
    errors = [np.abs(decode(encode(pixels, None, picture_format)) - pixels.astype(np.int16)) for pixels in pictures]
    return float(np.mean(errors))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"{Path(__file__).name}: error: {error}")

"""How fast genface draws an archive, against what one would write without it: torch, and torchvision's save_image.

    python benchmarks/bench_genface.py --model gen.onnx --torchscript gen.ts

Both sides draw the same number of pictures by the same weights (checked first, to one level) and write them as PNG:
genface by its command's code into a .zip; the other side in float32 in batches of 64, one `save_image` per picture,
into a folder. They take turns, and medians are compared. Without --torchscript only genface is measured.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from genface import Generator
from genface.cores import usable_cores
from genface.draw import DrawConfig, draw_archive
from genface.encode import encode_png
from genface.errors import UserError
from genface.latents import latents

TORCH_BATCH = 64


def main() -> None:
    options = parse_options()
    generator = Generator(options.model, provider=options.provider)
    n = options.n
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        sides: dict[str, Callable[[], None]] = {"genface": lambda: draw_with_genface(generator, n, Path(scratch))}
        if options.torchscript:
            network = load_torchscript(options.torchscript, generator)
            sides["torch"] = lambda: draw_with_torch(network, generator.info.z_dim, n, Path(scratch))
        pictures = generator.draw(seed=0, indices=range(min(n, 1024)))
        sides["model alone"] = lambda: draw_only(generator, n)
        sides["encoding alone"] = lambda: encode_only(pictures, n)
        seconds = measure(sides, options.rounds)

    rates = {name: n / statistics.median(times) for name, times in seconds.items()}
    print(f"{'':16}{'images/s':>10}{'slowest':>10}{'fastest':>10}", file=sys.stderr)
    for name, times in seconds.items():
        print(f"{name:16}{rates[name]:10,.0f}{n / max(times):10,.0f}{n / min(times):10,.0f}", file=sys.stderr)
    ratio = rates["genface"] / rates["torch"] if "torch" in rates else None
    if ratio is not None:
        print(f"genface draws {ratio:.2f} times as fast as torch and save_image", file=sys.stderr)
    info = generator.info
    result = {
        "benchmark": "genface",
        "images_per_second": {name.replace(" ", "_"): round(rate, 1) for name, rate in rates.items()},
        "seconds": {name.replace(" ", "_"): [round(t, 4) for t in times] for name, times in seconds.items()},
        "ratio_to_torch": None if ratio is None else round(ratio, 3),
        "n": n,
        "rounds": options.rounds,
        "model_sha256": info.sha256,
        "width": info.width,
        "height": info.height,
        "provider": info.provider.name,
        "precision": info.provider.precision,
        "cores": usable_cores(),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the generator, an ONNX file")
    parser.add_argument("--torchscript", type=Path, help="the same generator as TorchScript; without it, no comparison")
    parser.add_argument("--n", type=int, default=2000, help="pictures per side and round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes (default: %(default)s)")
    parser.add_argument("--provider", default="cpu", help="genface's provider (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="folder to write into (default: the system's temporary one)")
    return parser.parse_args()


def measure(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round; the sides take turns, so that a busy machine is busy for all of them."""
    for side in sides.values():
        side()  # warm up
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def draw_with_genface(generator: Generator, n: int, scratch: Path) -> None:
    draw_archive(generator, DrawConfig(n=n), scratch / "faces.zip", force=True)


def draw_only(generator: Generator, n: int) -> None:
    """Latents and graph, side by side as in an archive, without encoding and writing."""
    size = generator.block
    jobs = [range(start, min(start + size, n)) for start in range(0, n, size)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(lambda indices: generator.draw(seed=0, indices=indices), jobs):
            pass


def encode_only(pictures: np.ndarray, n: int) -> None:
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(lambda index: encode_png(pictures[index % len(pictures)], None), range(n)):
            pass


def load_torchscript(path: Path, generator: Generator) -> Any:
    """Load the other side's network, and make sure that it is the same generator."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--torchscript needs torch and torchvision ({error}); leave it out to measure genface"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would like us to use torch.export
        network = torch.jit.load(str(path)).eval()
    z = latents(0, range(TORCH_BATCH), generator.info.z_dim)
    with torch.inference_mode():
        theirs = as_unit_floats(network(torch.from_numpy(z))).permute(0, 2, 3, 1).mul(255).round().numpy()
    difference = np.abs(generator.from_latents(z) - theirs).max()
    if difference > 1:
        raise UserError(f"{path} and {generator.info.path} draw different pictures (by {difference:.0f} levels)")
    return network


def draw_with_torch(network: Any, z_dim: int, n: int, scratch: Path) -> None:
    """What one writes without genface."""
    import torch
    from torchvision.utils import save_image

    folder = scratch / "torch"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    with torch.inference_mode():
        for start in range(0, n, TORCH_BATCH):
            images = as_unit_floats(network(torch.randn(min(TORCH_BATCH, n - start), z_dim)))
            for index, image in enumerate(images, start):
                save_image(image, folder / f"{index:06d}.png")


def as_unit_floats(images: Any) -> Any:
    """uint8 [N, H, W, 3], or float [N, 3, H, W] in [-1, 1], to float [N, 3, H, W] in [0, 1], as save_image takes it."""
    if images.is_floating_point():
        return images.add(1).div(2).clamp(0, 1)
    return images.permute(0, 3, 1, 2).float().div(255)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"{os.path.basename(__file__)}: error: {error}")

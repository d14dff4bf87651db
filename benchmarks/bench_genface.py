"""How fast genface draws an archive, against what one would write without it: torch, and torchvision's save_image.

    python benchmarks/bench_genface.py [--checkpoint runs/faces/checkpoint.pt] [--n 2000] [--rounds 5]

Both sides draw the same number of pictures by the same weights and write them as PNG: genface by its command's code
into a .zip; the other side in PyTorch, eager, float32, in batches of 64, one `save_image` per picture, into a folder.
They take turns, and medians are compared. The checkpoint is exported first, with the parity check of exportface;
without one, an s64 generator with fresh weights stands in, which costs the same to run. Its noise costs more to encode.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.utils import save_image

from exportface.export import export
from exportface.source import read_source
from genface import Generator
from genface.cores import usable_cores
from genface.draw import DrawConfig, draw_archive
from genface.encode import encode_png
from genface.errors import UserError
from genface.photos import Preparation
from trainface.checkpoint import save as save_checkpoint
from trainface.data.dataset import FaceSet
from trainface.presets import preset
from trainface.trainer import Trainer

TORCH_BATCH = 64


def main() -> None:
    options = parse_options()
    n = options.n
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        scratch = Path(folder)
        checkpoint = options.checkpoint or fresh_checkpoint(scratch / "checkpoint.pt")
        export(checkpoint, scratch / "gen.onnx", licence="none: a benchmark's")
        generator = Generator(scratch / "gen.onnx", provider=options.provider)
        network = read_source(checkpoint).generator
        pictures = generator.draw(seed=0, indices=range(min(n, 1024)))
        sides: dict[str, Callable[[], None]] = {
            "genface": lambda: draw_with_genface(generator, n, scratch),
            "torch": lambda: draw_with_torch(network, generator.info.z_dim, n, scratch),
            "model alone": lambda: draw_only(generator, n),
            "encoding alone": lambda: encode_only(pictures, n),
        }
        seconds = measure(sides, options.rounds)

    rates = {name: n / statistics.median(times) for name, times in seconds.items()}
    print(f"{'':16}{'images/s':>10}{'slowest':>10}{'fastest':>10}", file=sys.stderr)
    for name, times in seconds.items():
        print(f"{name:16}{rates[name]:10,.0f}{n / max(times):10,.0f}{n / min(times):10,.0f}", file=sys.stderr)
    ratio = statistics.median(b / a for a, b in zip(seconds["genface"], seconds["torch"], strict=True))
    print(f"genface draws {ratio:.2f} times as fast as torch and save_image", file=sys.stderr)
    info = generator.info
    result = {
        "benchmark": "genface",
        "images_per_second": {name.replace(" ", "_"): round(rate, 1) for name, rate in rates.items()},
        "seconds": {name.replace(" ", "_"): [round(t, 4) for t in times] for name, times in seconds.items()},
        "ratio_to_torch": round(ratio, 2),
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
    parser.add_argument("--checkpoint", type=Path, help="a run's checkpoint.pt (default: fresh s64 weights)")
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


def fresh_checkpoint(path: Path) -> Path:
    """A checkpoint of an untrained s64; its pictures are noise of a trained one's spread."""
    images = np.zeros((64, 64, 64, 3), np.uint8)
    names = [f"{index:064x}" for index in range(64)]
    faces = FaceSet(
        name="none", images=images, names=names, digests=names, preparation=Preparation(size=64), key="", notes=[]
    )
    trainer = Trainer(preset("s64").with_settings({"holdout": "0"}), faces, torch.device("cpu"))
    save_checkpoint(trainer.state(), path)
    return path


def draw_with_torch(network: nn.Module, z_dim: int, n: int, scratch: Path) -> None:
    """What one writes without genface."""
    folder = scratch / "torch"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    with torch.no_grad():
        for start in range(0, n, TORCH_BATCH):
            images = network(torch.randn(min(TORCH_BATCH, n - start), z_dim))
            for index, image in enumerate(images, start):
                save_image(image, folder / f"{index:06d}.png", normalize=True, value_range=(-1, 1))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"{Path(__file__).name}: error: {error}")

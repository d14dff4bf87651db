"""How fast genface draws an archive, against what one would write without it: torch, and torchvision's save_image.

    python benchmarks/bench_genface.py [--checkpoint runs/faces/checkpoint.pt] [--n 10000] [--rounds 5]

Both sides draw the same number of pictures by the same weights and write them as PNG: genface by its command's code
into a .zip, on every provider and precision that this machine has, in lossless WebP too, and from the int8 file; the
other side in PyTorch, eager, float32, in batches of 64, one `save_image` per picture, into a folder. They take turns,
and medians are compared. The limit that genface is held against is the CPU time of the model alone and of encoding
alone, spread over the cores. The checkpoint is exported first, with the parity check of exportface; without one, an s64
generator with fresh weights stands in, which costs the same to run. Its noise costs more to encode.

Then commands are run as a user runs them, for their peak memory by number of pictures and container, and for how long
`--help` and a first picture take.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
from genface.encode import PNG, PictureFormat, encode
from genface.errors import UserError
from genface.photos import Preparation
from genface.provenance import origin
from genface.providers import usable_providers
from trainface.checkpoint import save as save_checkpoint
from trainface.data.dataset import FaceSet
from trainface.presets import preset
from trainface.trainer import Trainer

TORCH_BATCH = 64
WEBP = PictureFormat(name="webp")
GENFACE, TORCH, MODEL, ENCODING = "genface", "torch", "model alone", "encoding alone"


def main() -> None:
    options = parse_options()
    n = options.n
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        scratch = Path(folder)
        checkpoint = options.checkpoint or fresh_checkpoint(scratch / "checkpoint.pt")
        model = scratch / "gen.onnx"
        export(checkpoint, model, licence="none: a benchmark's")
        generator = Generator(model)
        network = read_source(checkpoint).generator
        pictures = generator.draw(seed=0, indices=range(min(n, 1024)))
        sides: dict[str, Callable[[], None]] = {
            GENFACE: lambda: draw_with_genface(generator, n, scratch),
            TORCH: lambda: draw_with_torch(network, generator.info.z_dim, n, scratch),
            MODEL: lambda: draw_only(generator, n),
            ENCODING: lambda: encode_only(pictures, n, generator.info.sha256),
            "genface, webp": lambda: draw_with_genface(generator, n, scratch, WEBP),
        }
        for name, other in others(model, checkpoint, scratch):
            sides[f"genface, {name}"] = lambda other=other: draw_with_genface(other, n, scratch)
        seconds, cpu_seconds = measure(sides, options.rounds)
        memory = peak_memory(model, n, scratch)
        start = starting_times(model, scratch, options.rounds)

    rates = {name: n / statistics.median(times) for name, times in seconds.items()}
    print(f"{'':24}{'images/s':>10}{'slowest':>10}{'fastest':>10}{'to torch':>10}", file=sys.stderr)
    to_torch = {name: ratio(seconds[TORCH], times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(
            f"{name:24}{rates[name]:10,.0f}{n / max(times):10,.0f}{n / min(times):10,.0f}{to_torch[name]:10.2f}",
            file=sys.stderr,
        )
    limit = [
        (drawing + encoding) / usable_cores()
        for drawing, encoding in zip(cpu_seconds[MODEL], cpu_seconds[ENCODING], strict=True)
    ]
    to_limit = ratio(seconds[GENFACE], limit)
    print(f"genface takes {to_limit:.2f} times the limit: (CPU of model + CPU of encoding) / cores", file=sys.stderr)
    for name, value in {**memory, **start}.items():
        print(f"{name:40}{value:10,.1f}", file=sys.stderr)
    info = generator.info
    result = {
        "benchmark": "genface",
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio_to_torch": {name: round(value, 2) for name, value in to_torch.items()},
        "ratio_to_limit": round(to_limit, 3),
        "seconds": {name: [round(t, 4) for t in times] for name, times in seconds.items()},
        "cpu_seconds": {name: [round(t, 4) for t in times] for name, times in cpu_seconds.items()},
        "peak_memory_mib": memory,
        "start_seconds": start,
        "n": n,
        "rounds": options.rounds,
        "model_sha256": info.sha256,
        "width": info.width,
        "height": info.height,
        "cores": usable_cores(),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a run's checkpoint.pt (default: fresh s64 weights)")
    parser.add_argument("--n", type=int, default=10_000, help="pictures per side and round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="folder to write into (default: the system's temporary one)")
    return parser.parse_args()


def others(model: Path, checkpoint: Path, scratch: Path) -> list[tuple[str, Generator]]:
    """The generator on every other provider and precision of this machine, and its int8 form on the default one."""
    export(checkpoint, scratch / "gen8.onnx", licence="none: a benchmark's", precision="int8")
    found = [("int8", Generator(scratch / "gen8.onnx"))]
    for provider in usable_providers():
        if (provider.name, provider.precision) != ("cpu", "fp32"):
            generator = Generator(model, provider=provider.name, precision=provider.precision)  # type: ignore[arg-type]
            found.append((f"{provider.name} {generator.info.provider.precision}", generator))
    return found


def measure(sides: dict[str, Callable[[], None]], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds and CPU seconds of each side in each round; they take turns, so a busy machine is busy for all."""
    for side in sides.values():
        side()  # warm up
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            side()
            seconds[name].append(time.perf_counter() - start)
            cpu_seconds[name].append(time.process_time() - cpu_start)
    return seconds, cpu_seconds


def ratio(above: list[float], below: list[float]) -> float:
    """Median over the rounds of what one side took over what the other took."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def draw_with_genface(generator: Generator, n: int, scratch: Path, picture_format: PictureFormat = PNG) -> None:
    draw_archive(generator, DrawConfig(n=n, picture_format=picture_format), scratch / "faces.zip", force=True)


def draw_only(generator: Generator, n: int) -> None:
    """Latents and graph, side by side as in an archive, without encoding and writing."""
    size = generator.block
    jobs = [range(start, min(start + size, n)) for start in range(0, n, size)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(lambda indices: generator.draw(seed=0, indices=indices), jobs):
            pass


def encode_only(pictures: np.ndarray, n: int, model_sha256: str) -> None:
    """Marked PNGs, without drawing and writing."""

    def encode_job(indices: range) -> None:
        for index in indices:
            marks = origin(model_sha256=model_sha256, seed=0, index=index, truncation=None)
            encode(pictures[index % len(pictures)], marks)

    jobs = [range(start, min(start + 16, n)) for start in range(0, n, 16)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(encode_job, jobs):
            pass


def peak_memory(model: Path, n: int, scratch: Path) -> dict[str, float]:
    """MiB at most, of the command, by container and number of pictures."""
    peaks = {}
    for name in ("faces.zip", "faces.tar", "folder of faces"):
        for count in (n // 5, n):
            arguments = ["--model", str(model), "--n", str(count), "--out", str(scratch / name), "--force"]
            # A child's peak begins with what its parent holds, so it is measured from a parent that holds little.
            measured = run_command(arguments, [sys.executable, "-c", _MEASURED])
            peaks[f"{count} to {name}"] = round(int(measured) / 1024, 1)
    return peaks


_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def starting_times(model: Path, scratch: Path, rounds: int) -> dict[str, float]:
    """Median seconds from the command to its end, for the help and for one picture."""
    one = ["--model", str(model), "--index", "0", "--out", str(scratch / "0.png"), "--force"]
    commands = {"genface --help": ["--help"], "genface --index 0": one}
    return {
        name: round(statistics.median(seconds_of(arguments) for _ in range(rounds)), 3)
        for name, arguments in commands.items()
    }


def seconds_of(arguments: list[str]) -> float:
    start = time.perf_counter()
    run_command(arguments)
    return time.perf_counter() - start


def run_command(arguments: list[str], before: Sequence[str] = ()) -> str:
    """Run genface as a user does; gives what was printed."""
    command = [*before, sys.executable, "-m", "genface", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode:
        raise UserError(f"genface {' '.join(arguments)} ended with exit code {done.returncode}")
    return done.stdout


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

"""How fast the exported forms of a generator draw, and what the smaller ones cost in pictures.

    python benchmarks/bench_export.py [--checkpoint runs/faces/checkpoint.pt] [--presets s64,dcgan64,l64] [--n 2000]

For each generator: fp32 as exported, fp32 with its transposed convolutions rewritten, fp16 weights and int8, all in the
one-thread sessions and the blocks of genface's default provider. The forms take turns, and the median ratio of turns
to fp32's is given, in processor time. With a checkpoint, whose pictures mean something, the Frechet distance
(EfficientNet-Lite0) between each form's pictures and fp32's is measured too, on `--n` latents, beside what chance alone
makes. Presets get fresh weights, which cost the same to run.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from exportface.deployable import Deployable
from exportface.quality import cost
from exportface.rewrites import with_plain_convolutions
from exportface.source import read_source
from exportface.to_fp16 import to_fp16
from exportface.to_int8 import to_int8
from exportface.to_onnx import to_onnx
from genface.errors import UserError
from genface.latents import latents
from genface.providers import find_provider, onnx_runtime, open_session
from trainface.networks import build_generator
from trainface.presets import preset


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = {}
    if options.checkpoint:
        source = read_source(options.checkpoint)
        name = f"trained {source.config.preset}"
        results[name] = measure(name, source.generator, source.config.z_dim, options.rounds, compared=options.n)
    for name in filter(None, options.presets.split(",")):
        config = preset(name)
        results[name] = measure(name, build_generator(config).eval(), config.z_dim, options.rounds, compared=0)
    print(
        json.dumps(
            {
                "benchmark": "export",
                "generators": results,
                "rounds": options.rounds,
                "provider": "cpu",
                "block": find_provider("cpu").block,
                "onnxruntime": onnx_runtime().__version__,
                "machine": platform.machine(),
            }
        )
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a run's checkpoint.pt (default: presets only)")
    parser.add_argument("--presets", default="s64,dcgan64,l64", help="with fresh weights (default: %(default)s)")
    parser.add_argument("--n", type=int, default=2000, help="latents of the Frechet distance (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="turns that each form takes (default: %(default)s)")
    return parser.parse_args()


def measure(name: str, generator: nn.Module, z_dim: int, rounds: int, compared: int) -> dict[str, Any]:
    """Figures of every form of one generator; pictures of `compared` latents are compared, if any."""
    fp32 = to_onnx(Deployable(generator), z_dim)
    int8 = to_int8(fp32, z_dim, lambda line: print(f"{name}: {line}", file=sys.stderr))
    forms = {"fp32": fp32, "fp32 rewritten": with_plain_convolutions(fp32), "fp16": to_fp16(fp32), "int8": int8.model}
    weights = 4 * sum(parameter.numel() for parameter in generator.parameters())
    seconds = take_turns(forms, z_dim, rounds)
    figures: dict[str, Any] = {"fp32_bytes_to_weights": round(fp32.ByteSize() / weights, 5), "forms": {}}
    print(f"{name:16}{'MB':>8}{'ms a block':>12}{'times fp32':>12}", file=sys.stderr)
    for form, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["fp32"], times, strict=True))
        milliseconds, size = 1e3 * statistics.median(times), forms[form].ByteSize()
        print(f"{form:16}{size / 1e6:8.2f}{milliseconds:12.2f}{ratio:12.2f}", file=sys.stderr)
        figures["forms"][form] = {"bytes": size, "milliseconds": round(milliseconds, 2), "speed": round(ratio, 3)}
    figures["forms"]["int8"] |= {"mean_error": int8.mean_error, "in_float": int8.in_float, "alone": dict(int8.alone)}
    for form in ("fp16", "int8") if compared else ():
        found = asdict(cost(forms[form], fp32, z_dim, n=compared))
        print(f"{form}: {found}", file=sys.stderr)
        figures["forms"][form]["cost"] = found
    return figures


def take_turns(forms: Mapping[str, onnx.ModelProto], z_dim: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time that each form takes for one block, in each round."""
    provider = find_provider("cpu")
    z: np.ndarray = latents(0, range(provider.block), z_dim)
    sessions = {name: open_session(model.SerializeToString(), provider) for name, model in forms.items()}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for round_number in range(rounds + 2):
        for name, session in sessions.items():
            start = time.process_time()
            session.run(None, {"z": z})
            if round_number >= 2:  # the first two warm up
                seconds[name].append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"{Path(__file__).name}: error: {error}")

"""Training speed against the loop that people copy from the PyTorch DCGAN tutorial, both sides alternating.

    python benchmarks/bench_train.py [--steps 8] [--rounds 5] [--batch 64]

Arms: `tutorial` (the tutorial's networks and loop: fp32, NCHW, BCE), `dcgan64` (the same networks in trainface, in the
precision that it picks) and `s64` (the default preset, whose networks are smaller and whose penalty costs extra); on a
GPU these two uncompiled as well, and no step may wait for the device. Data come from memory on all sides. The limit is
the machine's GEMM rate, measured in the same run. Then where a step's time goes, part by part, each part awaited. The
last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from genface.cores import usable_cores
from genface.photos import Preparation
from trainface.data.dataset import FaceSet
from trainface.networks import dcgan
from trainface.presets import preset
from trainface.trainer import Trainer


def tutorial_loop(faces: FaceSet, batch: int) -> Callable[[], None]:
    """One step of pytorch.org's DCGAN tutorial; D ends in a sigmoid there, here in the loss."""
    torch.manual_seed(0)
    G, D = dcgan.Generator(z_dim=100, size=64), dcgan.Discriminator(size=64)
    g_opt = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_opt = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    images = torch.from_numpy(faces.images).permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1)
    real_label, fake_label = torch.ones(batch, 1), torch.zeros(batch, 1)

    def step() -> None:
        reals = images[torch.randint(len(images), (batch,))]
        d_opt.zero_grad()
        d_real = criterion(D(reals), real_label)
        d_real.backward()
        fakes = G(torch.randn(batch, 100))
        d_fake = criterion(D(fakes.detach()), fake_label)
        d_fake.backward()
        d_opt.step()
        g_opt.zero_grad()
        g_loss = criterion(D(fakes), real_label)
        g_loss.backward()
        g_opt.step()
        # The tutorial reads its losses every step.
        (d_real + d_fake).item(), g_loss.item()

    return step


def house_loop(faces: FaceSet, preset_name: str, batch: int, device: torch.device, compile: str = "auto") -> Trainer:
    config = preset(preset_name).with_settings({"batch": str(batch), "holdout": "0", "compile": compile})
    return Trainer(config, faces, device)


def breakdown(trainer: Trainer, steps: int) -> dict[str, float]:
    """Share of a step's time by part; `penalty` is what D's steps with a penalty take longer, averaged over all."""
    seconds: dict[str, list[float]] = {}

    def timed(holder: Any, name: str, part: str) -> None:
        plain = getattr(holder, name)

        def stopwatch(*args: Any) -> Any:
            started = _now(trainer.device)
            result = plain(*args)
            # The fifth argument of D's phase is the penalty's weight.
            kind = part + " with penalty" if part == "D" and args[4] is not None else part
            seconds.setdefault(kind, []).append(_now(trainer.device) - started)
            return result

        setattr(holder, name, stopwatch)

    phases = trainer._phases
    for holder, name, part in (
        (trainer.batches, "batch", "data"),
        (phases, "generate", "G forward"),
        (phases, "discriminator_phase", "D"),
        (phases, "generator_phase", "G through D"),
        (trainer.bank, "update", "EMA"),
    ):
        timed(holder, name, part)
    started = _now(trainer.device)
    for _ in range(steps):
        trainer.step()
    total = (_now(trainer.device) - started) / steps
    parts = {name: statistics.median(values) for name, values in seconds.items()}
    if "D with penalty" in parts:
        with_penalty = parts.pop("D with penalty")
        parts["penalty"] = (with_penalty - parts.setdefault("D", 0.0)) / trainer.config.penalty_every
    shares = {name: round(value / total, 3) for name, value in parts.items()}
    return shares | {"Adam and the rest": round(1 - sum(shares.values()), 3)}


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def gemm_rate(dtype: torch.dtype, device: torch.device, size: int = 2048) -> float:
    """FLOP/s of a square matrix product, the median of several."""
    a = torch.randn(size, size, device=device, dtype=dtype)
    rates = []
    for _ in range(7):
        started = time.perf_counter()
        product = a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(2 * size**3 / (time.perf_counter() - started))
    assert product.shape == (size, size)
    return statistics.median(rates[2:])


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Make every wait for a GPU an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def random_faces(num: int) -> FaceSet:
    images = np.random.default_rng(0).integers(0, 256, (num, 64, 64, 3), dtype=np.uint8)
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    names = [f"{index}.png" for index in range(num)]
    return FaceSet(
        name="noise", images=images, names=names, digests=digests, preparation=Preparation(size=64), key="", notes=[]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=8, help="steps a measurement; a multiple of the penalty's period 4"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm, alternating")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    faces = random_faces(1024)
    house = {name: house_loop(faces, name, options.batch, device) for name in ("dcgan64", "s64")}
    if device.type == "cuda":
        house |= {f"{name} eager": house_loop(faces, name, options.batch, device, "off") for name in tuple(house)}
    arms: dict[str, Callable[[], object]] = {"tutorial": tutorial_loop(faces, options.batch)}
    arms |= {name: trainer.step for name, trainer in house.items()}

    flops = {}
    for name, step in arms.items():
        for _ in range(2):  # oneDNN and Adam set themselves up
            step()
        counted = []
        for _ in range(4):
            with FlopCounterMode(display=False) as counter:
                step()
            counted.append(counter.get_total_flops())
        flops[name] = statistics.mean(counted)

    rates: dict[str, list[float]] = {name: [] for name in arms}
    for round_index in range(options.rounds):
        for name, step in arms.items():
            started = _now(device)
            with no_waiting(device if name != "tutorial" else torch.device("cpu")):
                for _ in range(options.steps):
                    step()
            rates[name].append(options.batch * options.steps / (_now(device) - started))
        print(f"round {round_index + 1}: { ({n: round(r[-1], 1) for n, r in rates.items()}) }", file=sys.stderr)

    bf16 = house["s64"].bf16
    peak = gemm_rate(torch.bfloat16 if bf16 else torch.float32, device)
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(rates[name], rates["tutorial"], strict=True)) for name in house
    }
    document = {
        "benchmark": "train",
        "machine": {"processor": platform.machine(), "cores": usable_cores(), "device": device.type, "bf16": bf16},
        "torch": torch.__version__,
        "batch": options.batch,
        "images_per_second": {name: round(value, 1) for name, value in median.items()},
        "ratio_to_tutorial": {name: round(value, 2) for name, value in ratios.items()},
        "gflop_per_image": {name: round(value / options.batch / 1e9, 2) for name, value in flops.items()},
        "gemm_gflops": round(peak / 1e9),
        "share_of_gemm_rate": {name: round(flops[name] / options.batch * median[name] / peak, 3) for name in house},
    }
    document["breakdown"] = {name: breakdown(trainer, 3 * options.steps) for name, trainer in house.items()}
    for name in arms:
        print(f"{name:10s} {median[name]:8.1f} images/s", file=sys.stderr)
    print(json.dumps(document))


if __name__ == "__main__":
    main()

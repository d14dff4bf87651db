"""Feed genface damaged generators, each in a child process of its own, and judge what comes of it.

    python tests/inference/fuzz_models.py [--n 1000] [--seed 0] [--keep FOLDER]

Every child runs the command on a mutant of tiny.onnx. Right is a whole archive (some damage changes no more than a
weight) or one line on stderr with exit code 2 and nothing under the archive's name. A crash inside ONNX Runtime is no
fault of this program; it is counted and told in one line, and even then no archive may be there. The last line on
stdout is one JSON document. Children are forked (Linux, macOS), so that ONNX Runtime is loaded once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import onnx
import onnxruntime  # noqa: F401  # loaded once, in the parent
from PIL import Image

import genface.draw  # noqa: F401

N = 3
TIMEOUT_S = 20
MEMORY_BYTES = 4 << 30
_NUMBERS = (0, 1, -1, 2, 3, 7, 64, 255, 2**16, 2**31 - 1, 2**31, 2**62, -(2**63))

Mutation = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one child did."""

    kind: str
    """drawn, refused, crashed, or wrong: followed by what is wrong."""
    detail: str


def flip_bits(graph: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(graph)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def overwrite(graph: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(graph))
    length = rng.choice((1, 2, 4, 16, 256))
    return (graph[:start] + rng.randbytes(length) + graph[start + length :])[: len(graph)]


def cut(graph: bytes, rng: random.Random) -> bytes:
    start, stop = sorted(rng.randrange(len(graph) + 1) for _ in range(2))
    return graph[:start] if rng.random() < 0.3 else graph[:start] + graph[stop:]


def repeat(graph: bytes, rng: random.Random) -> bytes:
    start, stop = sorted(rng.randrange(len(graph) + 1) for _ in range(2))
    return graph[:stop] + graph[start:stop] * rng.choice((1, 2, 5)) + graph[stop:]


def change_graph(graph: bytes, rng: random.Random) -> bytes:
    """A valid protobuf that says something else: other shapes, attributes, names, operators, types, metadata."""
    model = onnx.ModelProto.FromString(graph)
    nodes, ports = model.graph.node, [*model.graph.input, *model.graph.output]
    node = rng.choice(nodes)
    port = rng.choice(ports)
    prop = rng.choice(model.metadata_props)
    tensor = rng.choice(model.graph.initializer)
    number = rng.choice(_NUMBERS)
    match rng.randrange(12):
        case 0:
            port.type.tensor_type.shape.dim[rng.randrange(len(port.type.tensor_type.shape.dim))].dim_value = number
        case 1:
            port.type.tensor_type.elem_type = rng.randrange(24)
        case 2:
            node.op_type = rng.choice(("Identity", "Loop", "If", "Scan", "Sqrt", "Softmax", "NoSuchOperator", "Resize"))
        case 3:
            node.input[rng.randrange(len(node.input))] = rng.choice(["", "z", "images", "nowhere", *node.output])
        case 4:
            node.output[0] = rng.choice(["", "z", "images", "elsewhere"])
        case 5 if node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = number
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = number
        case 6:
            tensor.dims[rng.randrange(len(tensor.dims))] = number
        case 7:
            tensor.data_type = rng.randrange(24)
        case 8:
            prop.value = rng.choice(("", "nan", "-1", "1e999", "{", "[]", "null", "\x00", "9" * 400, prop.value[::-1]))
        case 9:
            prop.key = rng.choice(("genface.format_version", "genface.z_dim", "", "genface."))
        case 10:
            del nodes[rng.randrange(len(nodes))]
        case _:
            model.opset_import[0].version = rng.choice((0, 1, 6, 12, 99, 2**31))
    return bytes(model.SerializeToString())


MUTATIONS: tuple[Mutation, ...] = (flip_bits, overwrite, cut, repeat, change_graph, change_graph, change_graph)


def mutant(graph: bytes, number: int, seed: int) -> bytes:
    """Mutant `number` of `seed`; the same on every run."""
    rng = random.Random(f"{seed}:{number}")
    for _ in range(20):
        try:
            return rng.choice(MUTATIONS)(graph, rng)
        except (ValueError, IndexError, TypeError):
            continue  # a number or text that protobuf refuses to hold
    return flip_bits(graph, rng)


def try_model(graph: bytes, folder: Path) -> Outcome:
    """Run `genface` on `graph` in a child; `folder` is empty and stays so but for what the child writes."""
    (folder / "gen.onnx").write_bytes(graph)
    child = os.fork()
    if child == 0:
        _draw(folder)
    deadline = time.monotonic() + TIMEOUT_S
    while (status := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Outcome(kind="wrong: hangs", detail=f"over {TIMEOUT_S} s")
        time.sleep(0.002)
    return _judge(folder, status[1])


def _draw(folder: Path) -> NoReturn:
    """In the child: the command, with its streams in files."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    from genface.cli import app
    from genface.commands import run_app

    code = 70
    try:
        run_app(
            app,
            "genface",
            ["--model", str(folder / "gen.onnx"), "--n", str(N), "--out", str(folder / "faces")],
        )
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 0
    except BaseException as error:
        print(f"escaped: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _judge(folder: Path, status: int) -> Outcome:
    stderr = (folder / "stderr").read_text(errors="replace") if (folder / "stderr").exists() else ""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else ""
    archive = folder / "faces"
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Outcome(kind="wrong: archive after a crash" if archive.exists() else "crashed", detail=f"by {name}")
    code = os.WEXITSTATUS(status)
    if code == 0:
        if not _whole(archive):
            return Outcome(kind="wrong: exit code 0, but the archive is not whole", detail=last)
        return Outcome(kind="drawn", detail=last)
    if archive.exists():
        return Outcome(kind="wrong: refused, but there is an archive", detail=last)
    if code != 2 or stderr.count("\n") != 1 or not last.startswith("genface: error: "):
        return Outcome(kind=f"wrong: exit code {code}, not one line of error", detail=stderr[-2000:])
    return Outcome(kind="refused", detail=last)


def _whole(archive: Path) -> bool:
    if sorted(entry.name for entry in archive.iterdir()) != [*(f"{i:06d}.png" for i in range(N)), "manifest.json"]:
        return False
    for picture in archive.glob("*.png"):
        with Image.open(picture) as image:
            image.load()
    return bool(json.loads((archive / "manifest.json").read_text())["n"] == N)


def fuzz(graph: bytes, n: int, seed: int, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Try `n` mutants; gives how many ended how, and a line for each that crashed or went wrong."""
    counts: Counter[str] = Counter()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(n):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            damaged = mutant(graph, number, seed)
            outcome = try_model(damaged, folder)
            counts[outcome.kind.split(":")[0]] += 1
            if outcome.kind == "crashed" or outcome.kind.startswith("wrong"):
                lines.append(f"mutant {number} of seed {seed}: {outcome.kind} {outcome.detail}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}.onnx").write_bytes(damaged)
            shutil.rmtree(folder)
    return counts, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for mutants that crashed or went wrong")
    options = parser.parse_args()
    counts, lines = fuzz(Path(__file__).with_name("tiny.onnx").read_bytes(), options.n, options.seed, options.keep)
    for line in lines:
        print(line, file=sys.stderr)
    print(json.dumps({"fuzz": "models", "n": options.n, "seed": options.seed, **counts}))
    sys.exit(1 if counts["wrong"] else 0)


if __name__ == "__main__":
    main()

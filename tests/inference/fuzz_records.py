"""Feed genface random options and damaged records, in this process, and judge what comes of it.

    python tests/inference/fuzz_records.py [--n 10000] [--seed 0]

A third each: command lines, manifests of archives (read by verify, merge, --resume and as a source of pictures), and
metadata of generators. Right is a right result, or a UserError of one line, which the command turns into exit code 2.
The last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genface.cli import app
from genface.commands import run_app
from genface.draw import DrawConfig, draw_archive
from genface.errors import UserError
from genface.merge import merge_archives
from genface.metadata import ModelCard
from genface.model import Generator
from genface.record import read_record
from genface.sources import MANIFEST, open_source
from genface.verify import verify_archive

TINY = Path(__file__).with_name("tiny.onnx")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63, 2**64, 10**400, 0.5, -0.5, 1e308, "", "0", "1", "nan", "../x",
    "png", "webp", "cpu", "fp32", "\x00", "é" * 300, "\ud800", [], [1], [1, 2], [2, 1], [0, 0], [1, 1], {}, {"a": 1},
    {"level": 99}, [[[]]], {"a": {"b": {"c": []}}},
)  # fmt: skip
NUMBERS = ("0", "1", "2", "3", "5", "-1", "1e9", "nan", "inf", "0x10", "９", "", " ", "99999999999999999999", "0.5")
# Every option of the main command, with what may follow it; None for a flag.
OPTIONS: dict[str, tuple[str, ...] | None] = {
    "--n": ("1", "2", "3", *NUMBERS[:6], *NUMBERS[7:11], str(2**63), str(2**64)),
    "--seed": NUMBERS,
    "--truncation": NUMBERS,
    "--index": NUMBERS,
    "--shard": ("1/1", "1/2", "2/2", "3/2", "0/0", "1/", "/", "a/b", "-1/2", "1/1/1", "9999999999/9999999999",
                "1/" + "9" * 5000),
    "--format": ("png", "webp", "jpeg", "gif", "", "PNG"),
    "--level": NUMBERS,
    "--quality": NUMBERS,
    "--batch": ("1", "3", "64", "0", "-1", "nan"),
    "--threads": ("1", "2", "0", "-1", "nan"),
    "--provider": ("auto", "cpu", "CPU", "CPUExecutionProvider", "cuda", "tensorrt", "openvino", "azure", "", "\x00"),
    "--precision": ("fp32", "bf16", "fp16", ""),
    "--input": ("a=1", "a", "=1", "a=", "z=0", "a=nan", "a=1e999"),
    "--latent": ("z", "x", ""),
    "--z-dim": NUMBERS,
    "--output": ("images", "x", ""),
    "--range": ("-1:1", "0:1", "0:255", "", ":", "1:0"),
    "--latents": ("missing.npy", ".", "noise.npy"),
    "--out": ("a.zip", "a.tar", "faces", "a.tar.gz", "a/b", ".", "..", "/", "", "noise.npy", "\udcff", "x" * 300),
    "--resume": None,
    "--force": None,
    "--no-mark": None,
    "--no-such-option": None,
}  # fmt: skip
COMMANDS = ("draw", "info", "grid", "walk", "latents", "merge", "verify", "", "stray")


def fuzz(n: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Try about `n` mutations; gives how many ended how, and a line for each that went wrong."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        scratch = Path(name)
        generator = Generator(TINY)
        tries: dict[str, Callable[[], str]] = {
            "options": lambda: try_options(rng, scratch),
            "manifests": _manifest_trial(rng, scratch, generator),
            "metadata": lambda: try_metadata(rng, generator),
        }
        for number in range(n):
            kind = list(tries)[number % len(tries)]
            state = rng.getstate()
            try:
                counts[f"{kind} {tries[kind]()}"] += 1
            except UserError as error:
                counts[f"{kind} refused"] += 1
                if "\n" in str(error):
                    wrong.append(f"{kind} {number}: an error of several lines: {error}")
            except Exception as error:
                wrong.append(f"{kind} {number}: {type(error).__name__}: {error} (state {hash(state)})")
    return counts, wrong


def try_options(rng: random.Random, scratch: Path) -> str:
    """Run one random command line; raises AssertionError when it ends in another way than it should."""
    folder = scratch / "options"
    folder.mkdir()
    try:
        with contextlib.chdir(folder):
            (folder / "noise.npy").write_bytes(rng.randbytes(100))
            arguments = _arguments(rng)
            code, stdout, stderr = _run(arguments)
            shown = f"{arguments}: code {code}, stderr {stderr[-400:]!r}"
            assert code in (0, 1, 2), shown
            if code == 0:
                return "run"
            if code == 2:
                assert stdout == "", shown
                assert stderr.splitlines()[-1].startswith("genface: error: "), shown
                assert "Traceback" not in stderr, shown
                left = {entry.name for entry in folder.iterdir()}
                assert left <= {"noise.npy"}, f"{shown}, left {left}"
            return "refused"
    finally:
        shutil.rmtree(folder)


def _arguments(rng: random.Random) -> list[str]:
    arguments = [word for word in [rng.choice(COMMANDS)] if word] if rng.random() < 0.3 else []
    if rng.random() < 0.97:
        arguments += ["--model", str(TINY)]
    options = {"--n": "2", "--out": "faces"} if rng.random() < 0.9 else {}
    for name in rng.sample(sorted(OPTIONS), rng.choice((0, 1, 1, 2, 3))):
        values = OPTIONS[name]
        options[name] = "" if values is None else rng.choice(values)
    for name, value in options.items():
        arguments += [name] if OPTIONS[name] is None else [name, value]
    # What a default would make large is kept small: ten thousand images take a second each time.
    if not {"--n", "--index"} & set(arguments):
        arguments += ["--n", "2"]
    return [word for word in arguments if "\x00" not in word]


def _run(arguments: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_app(app, "genface", arguments)
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
    return code, out.getvalue(), err.getvalue()


def _manifest_trial(rng: random.Random, scratch: Path, generator: Generator) -> Callable[[], str]:
    archive = scratch / "shard"
    draw_archive(generator, DrawConfig(n=4, shard=(1, 2)), archive, workers=1)
    rest = scratch / "rest"
    draw_archive(generator, DrawConfig(n=4, shard=(2, 2)), rest, workers=1)
    good = json.loads((archive / MANIFEST).read_text())

    def trial() -> str:
        text = mutated_json(rng, good)
        (archive / MANIFEST).write_bytes(text)
        match rng.randrange(4):
            case 0:
                with open_source(archive) as source:
                    read_record(source.manifest, archive)
            case 1:
                result = verify_archive(archive, generator, sample=2, seed=0)
                assert result.checked == 2
            case 2:
                merge_archives([archive, rest], scratch / "merged.zip", force=True)
            case _:
                draw_archive(generator, DrawConfig(n=4, shard=(1, 2)), archive, resume=True, workers=1)
        return "read"

    return trial


def try_metadata(rng: random.Random, generator: Generator) -> str:
    """Read damaged metadata of a generator."""
    props = dict(generator.info.metadata)
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(sorted(props))
        match rng.randrange(5):
            case 0:
                del props[key]
            case 1:
                props[key] = str(rng.choice(VALUES))
            case 2:
                props[key] = json.dumps(rng.choice(VALUES))
            case 3:
                props[key] = _damaged(rng, props[key].encode("utf-8", "surrogatepass")).decode(errors="replace")
            case _:
                props["genface." + str(rng.choice(VALUES))] = str(rng.choice(VALUES))
        if not props:
            break
    card = ModelCard.from_props(props)
    if card is not None:
        assert ModelCard.from_props(card.to_props()) == card
    return "read"


def mutated_json(rng: random.Random, record: dict[str, Any]) -> bytes:
    """A record with values, keys or bytes changed."""
    changed = copy.deepcopy(record)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = changed
        key = rng.choice(sorted(place))
        if isinstance(place[key], dict) and place[key] and rng.random() < 0.5:
            place = place[key]
            key = rng.choice(sorted(place))
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = copy.deepcopy(rng.choice(VALUES))
        if not changed:
            break
    text = json.dumps(changed).encode()
    return _damaged(rng, text) if rng.random() < 0.15 else text


def _damaged(rng: random.Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        if damaged:
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged[: rng.randrange(len(damaged) + 1)] if rng.random() < 0.3 else damaged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000, help="mutations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: %(default)s)")
    options = parser.parse_args()
    counts, wrong = fuzz(options.n, options.seed)
    for line in wrong:
        print(line, file=sys.stderr)
    print(json.dumps({"fuzz": "records", "n": options.n, "seed": options.seed, "wrong": len(wrong), **counts}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

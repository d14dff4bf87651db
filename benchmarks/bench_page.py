"""How long a visitor of the page waits for faces, and whether its animation keeps its pace; against Python's runtime.

    python benchmarks/bench_page.py --model models/cats64.onnx [--rounds 5] [--seconds 4]

Needs Node.js, Chromium and what `make web` fetches. Each round opens the page once in a fresh browser with an empty
cache, without a graphics processor, with two threads (served with the headers that they need) and with one (served
without), and times the first face, the whole wall of 24, and an animation through three faces. What one would use
without the page is timed in turn: a Python process that opens the same file and draws one face, and 24. Medians.

The table for people goes to stderr; the last line on stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from genface.cores import usable_cores
from genface.model import Generator
from genface.page import write_page
from genface.page_server import PageServer
from genface.web_runtime import find_runtime

PACKAGES = Path(__file__).parents[1] / "tests" / "web" / "package.json"
WALL = 24
DRAWING = (
    "import sys; from genface import Generator; Generator(sys.argv[1]).draw(seed=0, indices=range(int(sys.argv[2])))"
)


class PlainHandler(SimpleHTTPRequestHandler):
    """Any static host: no headers that would let the page use threads."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for the figures."""


def main() -> None:
    options = parse_options()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or shutil.which("node") is None:
        sys.exit("needs Chromium and Node.js")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        write_page(
            Generator(options.model).info, site, runtime=find_runtime(PACKAGES.parent / "node_modules/onnxruntime-web")
        )
        rounds: dict[str, list[dict[str, Any]]] = {"two threads": [], "one thread": [], "python": []}
        with served(PageServer(site)) as isolated, served(plain_server(site)) as plain:
            for turn in range(options.rounds):
                for name, url in (("two threads", isolated), ("one thread", plain)):
                    rounds[name].append(visit(chromium, url, options.seconds))
                rounds["python"].append({"first_face_s": drawn_by_python(options.model, 1)})
                rounds["python"][-1]["wall_s"] = drawn_by_python(options.model, WALL)
                print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
    figures = {name: medians(seen) for name, seen in rounds.items()}
    for name, row in figures.items():
        print(f"{name:12}", "  ".join(f"{key} {value:.3g}" for key, value in row.items()), file=sys.stderr)
    print(
        json.dumps(
            {
                "benchmark": "page",
                "machine": {"processor": platform.machine(), "cores": usable_cores()},
                "model": options.model.name,
                "rounds": options.rounds,
                **figures,
                "first_face_of_python": figures["two threads"]["first_face_s"] / figures["python"]["first_face_s"],
            }
        )
    )


def visit(chromium: str, url: str, seconds: float) -> dict[str, Any]:
    """One visit's figures; the browser's processor alone draws."""
    script = Path(__file__).with_name("page_speed.mjs")
    command = ["node", str(script), str(PACKAGES), chromium, f"{url}?provider=wasm", str(seconds)]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert told.pop("isolated") == ("localhost" not in url), "threads are there exactly where the headers are"
    return told


def drawn_by_python(model: Path, count: int) -> float:
    """Seconds from the start of a Python process until it has drawn `count` faces."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", DRAWING, str(model), str(count)], check=True)
    return time.perf_counter() - start


def plain_server(site: Path) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("localhost", 0), partial(PlainHandler, directory=str(site)))


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """Give the address of a server that runs meanwhile."""
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.url if isinstance(server, PageServer) else f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    return {key: round(statistics.median(seen[key] for seen in rounds), 3) for key in rounds[0]}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""The local server of a page: its files alone, with the headers that give threads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from genface.model import Generator
from genface.page import SOURCES, write_page
from genface.page_server import HEADERS, PageServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(generator: Generator, tmp_path: Path) -> Iterator[Callable[..., HTTPResponse]]:
    """Ask a server of a page for a path, as it is written."""
    write_page(generator.info, tmp_path / "site", runtime={"ort.wasm": b"\0asm"})
    with PageServer(tmp_path / "site") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connections = []

        def get(path: str, method: str = "GET", **headers: str) -> HTTPResponse:
            connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connections.append(connection)
            connection.request(method, path, headers=headers)
            return connection.getresponse()

        yield get
        for connection in connections:
            connection.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.mjs", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/site.json", "application/json"),
        ("/tiny.onnx", "application/octet-stream"),
        ("/runtime/ort.wasm", "application/wasm"),
        ("/runtime/LICENSE", "application/octet-stream"),
    ],
)
def test_what_is_served(ask: Callable[..., HTTPResponse], tmp_path: Path, path: str, kind: str) -> None:
    answer = ask(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer.read() == (tmp_path / "site" / (path[1:] or "index.html")).read_bytes()


def test_hosts_that_read_a_file_of_headers_give_threads_too() -> None:
    first, *lines = (SOURCES / "_headers").read_text().splitlines()
    assert first == "/*"
    headers = dict(line.strip().split(": ") for line in lines)
    assert headers.items() <= HEADERS.items()
    assert len(headers) == 2


@pytest.mark.parametrize("path", ["/runtime/", "/none.mjs", "/../secret", "/..%2fsecret", "/%2e%2e/secret"])
def test_what_is_not_served(ask: Callable[..., HTTPResponse], tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("beside the folder")
    answer = ask(path)
    assert answer.status == 404
    assert b"ort.wasm" not in answer.read()


def test_what_has_not_changed_is_not_sent_again(ask: Callable[..., HTTPResponse]) -> None:
    first = ask("/app.mjs", "HEAD")
    assert (first.status, first.read()) == (200, b"")
    again = ask("/app.mjs", **{"If-Modified-Since": first.headers["Last-Modified"]})
    assert again.status == 304


def test_a_port_that_is_taken(run: Run, tiny: Path, tmp_path: Path) -> None:
    with PageServer(tmp_path) as server:
        code, _, stderr = run(
            "page", "--model", tiny, "--out", tmp_path / "site", "--serve", "--port", server.server_port
        )
    assert code == 2
    assert f"port {server.server_port} cannot be had" in stderr
    assert not (tmp_path / "site").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a process")
def test_serving_until_ctrl_c(tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "genface", "page", "--model", str(tiny), "--out", str(tmp_path / "site")]
    command += ["--runtime", str(package_folder), "--serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _, url = process.stdout.readline(), process.stdout.readline().strip()
        host = url.removeprefix("http://").rstrip("/")
        connection = HTTPConnection(host, timeout=10)
        connection.request("GET", "/site.json")
        assert json.loads(connection.getresponse().read())["kind"] == "genface-page"
        connection.close()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "Ctrl-C ends it\n")

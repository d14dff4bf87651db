"""A web server for one folder on this machine: what a page with threads needs, and nothing more."""

from __future__ import annotations

import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from genface.errors import UserError

HOST = "127.0.0.1"

HEADERS = {
    # The two that make a page cross-origin isolated, without which browsers give WebAssembly no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # The next page under this address may be another: ask every time, which costs a 304.
    "Cache-Control": "no-cache",
}

MIME_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


class PageHandler(SimpleHTTPRequestHandler):
    """Files of one folder, with their MIME types whatever the system's table says; no listings of folders."""

    protocol_version = "HTTP/1.1"
    server_version = "genface"

    def guess_type(self, path: Any) -> str:
        return MIME_TYPES.get(Path(path).suffix, "application/octet-stream")

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND, "No listings here")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """What succeeds is not worth a line; errors are logged by `send_error`."""


class PageServer(ThreadingHTTPServer):
    """The server of one folder; as a context manager it closes its socket."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Take a port of the loopback interface, 0 for any that is free; the folder may be written later.

        Raises UserError when the port cannot be had.
        """
        try:
            super().__init__((HOST, port), partial(PageHandler, directory=str(folder)))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be had ({error.strerror}); choose another --port, 0 for any"
            ) from error

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away while it is being answered is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

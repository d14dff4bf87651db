"""The command `genface page`: a folder with a web page that draws from the model in the visitor's browser."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from genface.options import Model

_PORT = 8000


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("page")(page)


def page(
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="The folder to write, for any static web host.")] = Path("site"),
    serve: Annotated[bool, typer.Option("--serve", help="Then serve it to browsers on this machine.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of --serve; 0 for any free one.")] = _PORT,
    report: Annotated[
        Path | None, typer.Option("--report", help="evalface's report.json on pictures of this very model, to quote.")
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            "--runtime", help="onnxruntime-web, unpacked or as npm pack makes it; else from the cache or from npm."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier page.")] = False,
) -> None:
    """Write a web page that draws faces live, in the visitor's own browser."""
    from genface.model import Generator
    from genface.page import check_drawable, check_page_folder, write_page
    from genface.page_scores import quoted_scores
    from genface.page_server import PageServer
    from genface.web_runtime import find_runtime

    # The port is taken before the work, so that a page is not written first and refused afterwards.
    with PageServer(out, port) if serve else nullcontext() as server:
        check_page_folder(out, force=force)
        info = Generator(model).info
        check_drawable(info)
        scores = quoted_scores(report, info.sha256) if report is not None else []
        written = write_page(info, out, runtime=find_runtime(runtime), scores=scores, force=force)
        print(
            f"{out}: {written.num_files} files, {written.num_bytes / 1e6:.1f} MB, of which the model"
            f" {info.size_bytes / 1e6:.1f} MB"
        )
        if server is not None:
            print(server.url, flush=True)
            print("Ctrl-C ends it", file=sys.stderr)
            with suppress(KeyboardInterrupt):
                server.serve_forever()

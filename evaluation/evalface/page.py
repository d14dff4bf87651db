"""One self-contained HTML page: scores, plain reading, t-SNE picture, samples of both sides."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from evalface.readings import read_one_nn, rows
from evalface.report import Report

_SHEET_PX = 768


def contact_sheet(faces: Sequence[NDArray[np.uint8]]) -> bytes:
    """Square faces uint8 [H, H, 3] of one size in a nearly square grid, as PNG no wider than about 768 px."""
    columns = math.ceil(math.sqrt(len(faces)))
    size = len(faces[0])
    sheet = Image.new("RGB", (columns * size, math.ceil(len(faces) / columns) * size), "white")
    for i, face in enumerate(faces):
        sheet.paste(Image.fromarray(face), (i % columns * size, i // columns * size))
    sheet.thumbnail((_SHEET_PX, _SHEET_PX), Image.Resampling.LANCZOS)
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return png.getvalue()


def render(report: Report, tsne: bytes | None) -> str:
    """The page as HTML; every picture is inside, nothing is fetched."""
    environment = Environment(
        loader=PackageLoader("evalface"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context: dict[str, Any] = {
        "report": report,
        "rows": rows(report),
        "readings": [
            ("In features", read_one_nn(report.scores.leave_one_out)),
            ("In raw pixels", read_one_nn(report.scores.leave_one_out_pixels)),
        ],
        "real_sheet": _inline(report.real_sheet),
        "fake_sheet": _inline(report.fake_sheet),
        "tsne": _inline(tsne) if tsne else None,
        "document": json.dumps(report.document(), indent=2, ensure_ascii=False),
    }
    return environment.get_template("report.html.j2").render(context)


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()

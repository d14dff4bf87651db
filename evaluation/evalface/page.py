"""One self-contained HTML page: warnings, scores with their meaning, readings and pictures."""

from __future__ import annotations

import base64
import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from evalface.report import Report
from evalface.rows import rows


def render(report: Report, tsne: bytes | None) -> str:
    """The page as HTML; every picture is inside, nothing is fetched, and no script runs."""
    context: dict[str, Any] = {
        "report": report,
        "rows": rows(report),
        "readings": report.readings,
        "remarks": [note for note in report.notes if note not in report.warnings],
        "panels": report.pictures.panels if report.pictures else (),
        "tsne": tsne,
        "count": lambda n: "an unknown number of" if n is None else f"{n:,}",
        "document": json.dumps(report.document(), indent=2, ensure_ascii=False),
    }
    return environment().get_template("report.html.j2").render(context)


def environment() -> Environment:
    """What renders a page; its filter `inline` puts the bytes of a PNG into an address."""
    made = Environment(
        loader=PackageLoader("evalface"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["inline"] = _inline
    return made


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()

"""evalface's report.json, as what quotes its scores reads it: a page, a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genface.errors import UserError
from genface.strict_json import parse_json

KIND = "evalface-report"
SCHEMA_VERSION = 2


def read_score_report(path: Path) -> dict[str, Any]:
    """Read a report. Raises UserError when it is missing, damaged, something else, or of another version."""
    try:
        document = parse_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); give evalface's report.json") from error
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); give the report.json that evalface wrote") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise UserError(f"{path}: is no report of evalface; give the report.json that it wrote")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{path}: is a report of another version of evalface; score the archive again")
    return document

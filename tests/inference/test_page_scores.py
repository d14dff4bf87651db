"""Scores of a report that a page quotes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genface.errors import UserError

Run = Callable[..., tuple[int, str, str]]


def _report(model: Path, **changes: Any) -> dict[str, Any]:
    """The parts of evalface's report that a page reads."""
    manifest = {"model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "truncation": None}
    return {
        "kind": "evalface-report",
        "schema_version": 2,
        "fake": {"n": 10_000, "manifest": manifest},
        "real": {"n": 5_153},
        "scores": {
            "frechet": {"name": "Frechet distance (EfficientNet-Lite0)", "value": 52.8712},
            "kid": {"value": 0.034567},
            "precision_recall": {"precision": 0.7149, "recall": 0.251},
            "density_coverage": None,
            "leave_one_out": {"accuracy": 0.9},
        },
    } | changes


def test_scores_are_quoted(run: Run, tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.json", tmp_path / "site"
    report.write_text(json.dumps(_report(tiny)))
    code, _, stderr = run("page", "--model", tiny, "--out", out, "--runtime", package_folder, "--report", report)
    assert (code, stderr) == (0, "")
    assert [(row["score"], row["value"]) for row in json.loads((out / "site.json").read_text())["scores"]] == [
        ("Frechet distance (EfficientNet-Lite0)", "52.9"),
        ("KID x 1000", "34.6"),
        ("precision", "0.71"),
        ("recall", "0.25"),
        ("LOO-1NN, features (0.5 is best)", "0.90"),
        ("scored on", "10,000 drawn, 5,153 real"),
    ]


def test_truncation_is_told_with_the_scores(tiny: Path, tmp_path: Path) -> None:
    from genface.page_scores import quoted_scores

    document = _report(tiny)
    document["fake"]["manifest"]["truncation"] = 0.7
    (tmp_path / "report.json").write_text(json.dumps(document))
    scores = quoted_scores(tmp_path / "report.json", document["fake"]["manifest"]["model_sha256"])
    assert scores[-1].value == "10,000 drawn (truncated at 0.7), 5,153 real"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fake": {"n": 1, "manifest": {"model_sha256": "ab" * 32}}}, "pictures of another model .SHA-256 abab"),
        ({"fake": {"n": 1, "manifest": None}}, "pictures of another model .SHA-256 unknown"),
        ({"schema_version": 3}, "another version of evalface"),
        ({"kind": "else"}, "is no report of evalface"),
        ({"scores": {}}, "is damaged, it lacks or garbles 'frechet'"),
    ],
)
def test_scores_that_are_not_the_models(tiny: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    from genface.page_scores import quoted_scores

    document = _report(tiny)
    (tmp_path / "report.json").write_text(json.dumps(document | changes))
    with pytest.raises(UserError, match=said):
        quoted_scores(tmp_path / "report.json", document["fake"]["manifest"]["model_sha256"])


def test_reports_that_cannot_be_read(tmp_path: Path) -> None:
    from genface.page_scores import quoted_scores

    with pytest.raises(UserError, match="cannot be read"):
        quoted_scores(tmp_path / "none.json", "")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        quoted_scores(tmp_path / "broken.json", "")

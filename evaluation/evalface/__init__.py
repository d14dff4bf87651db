"""Score generated faces against real ones.

import evalface
report = evalface.score("faces/", "faces.zip")
report.write("report")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalface.report import Report
    from evalface.scoring import score

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "score"]


def __getattr__(name: str) -> Any:
    # torch and scikit-learn load when a score is asked for, not when the package is named (`evalface --help`).
    if name == "score":
        from evalface.scoring import score

        return score
    if name == "Report":
        from evalface.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

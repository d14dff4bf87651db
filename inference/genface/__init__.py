"""Draw faces from one ONNX file, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genface.model import Generator

__all__ = ["Generator", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `Generator` when it is first asked for, so that `import genface` stays light."""
    if name == "Generator":
        from genface.model import Generator

        return Generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

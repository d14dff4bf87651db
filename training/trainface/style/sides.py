"""How small and how large pictures may be."""

from __future__ import annotations

MIN_SIDE = 16
"""Shortest side, in pixels, that the deepest feature maps can be made of."""
MAX_SIDE = 4096
"""Longest side that a picture is scaled to."""

"""`builtin:cartoons`: procedural cartoon portraits with known attributes, so that everything runs with no download.

Face i of a seed depends on nothing but the seed and i: `genface.latents`' Philox4x32-10 gives its attributes and
jitter, NumPy paints it by signed distances at any size.
"""

from trainface.cartoons.attributes import PROBABILITIES, Attributes, attributes
from trainface.cartoons.portrait import MAX_SIZE, MIN_SIZE, render, render_many

__all__ = ["MAX_SIZE", "MIN_SIZE", "PROBABILITIES", "Attributes", "attributes", "render", "render_many"]

"""Turn a checkpoint into files that run without the training code."""

__version__ = "0.1.0"

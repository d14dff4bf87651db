"""Train a GAN on a folder of faces."""

__version__ = "0.1.0"

"""Reproduction package for "random neural networks that train best start out biased" (arXiv 2505.12096)."""

__version__ = "0.1.0"

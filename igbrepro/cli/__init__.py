"""The `igbrepro` command."""

from igbrepro.cli.main import main

__all__ = [
    "main",
]

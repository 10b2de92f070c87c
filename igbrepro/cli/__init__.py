"""The `igbrepro` command, one file a subcommand."""

from igbrepro.cli.command import main

__all__ = [
    "main",
]

"""`python -m igbrepro` is the `igbrepro` command."""

from igbrepro.cli import main

main()

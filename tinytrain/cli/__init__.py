"""The command line; `python -m tinytrain.cli` is the same as `tinytrain`."""

from tinytrain.cli.main import main

__all__ = ["main"]

"""Runs the command line as `python -m tinytrain.cli`."""

import sys

from tinytrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`tinytrain package`: an archive of compiled models that an ecosystem takes."""

from __future__ import annotations

import argparse

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table
from tinytrain.cli.tables import facts_table
from tinytrain.packages.package import package
from tinytrain.packages.parameters import PACKAGE as PARAMETERS
from tinytrain.packages.ways import way_named

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Writes the archive, and says what to do with it."""
    written = package(**arguments_of(options, PARAMETERS))
    if options.json:
        print_json(
            {
                "path": str(written.path),
                "as": written.way,
                "models": list(written.models),
                "files": written.files,
                "bytes": written.nbytes,
                "unpacked_bytes": written.unpacked,
            }
        )
        return
    facts = {
        "models": ", ".join(written.models),
        "files": f"{written.files:,}, {written.unpacked:,} bytes",
        "archive": f"{written.nbytes:,} bytes",
        "use": way_named(written.way).use,
    }
    print_table(facts_table(facts))
    # Below the table, where the narrowest terminal shows it whole.
    print(f"package: {written.path}")

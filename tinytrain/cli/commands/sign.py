"""`tinytrain sign`: saved files that a device can tell from anybody else's."""

from __future__ import annotations

import argparse

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table
from tinytrain.cli.tables import facts_table
from tinytrain.signing import PARAMETERS, sign

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Signs or verifies, and shows what a device needs to know of it."""
    found = sign(**arguments_of(options, PARAMETERS))
    facts: dict[str, object] = {
        "file": str(found.path), "counter": found.counter, "bytes": found.nbytes,
    }  # fmt: skip
    key = found.public_key.hex()
    if options.json:
        print_json({**facts, "left_out": found.left_out, "public_key": key})
        return
    if found.left_out:
        facts["left out"] = f"{found.left_out:,} bytes of samples"
    print_table(facts_table({**facts, "signature": "is right" if options.check else "was made"}))
    # Below the table, where the narrowest terminal shows it whole.
    print(f"public key: {key}")

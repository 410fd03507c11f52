"""`tinytrain watch`: what is normal is learned, and the rest is flagged."""

from __future__ import annotations

import argparse
import json

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import ProgressDisplay, print_table
from tinytrain.cli.figures import figure
from tinytrain.cli.tables import facts_table
from tinytrain.simulation.parameters import WATCH as PARAMETERS
from tinytrain.simulation.watch import watch

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Runs the session, and shows its figures."""
    with ProgressDisplay() as display:
        result = watch(
            **arguments_of(options, PARAMETERS), progress=display.update, warn=display.warn
        )
    if options.json:
        print(result.to_json())
        return
    figures = json.loads(result.to_json())
    digest = figures.pop("weights_sha256")
    warm_up, warms_up = figures.pop("warm_up"), figures.pop("warming_up")
    shown = {
        name.replace("_", " "): figure(name, held)
        for name, held in figures.items()
        if held is not None
    }
    print_table(facts_table(shown))
    print(f"weights sha256 {digest}")
    if warms_up:
        print(
            f"the warm-up is not over: {warm_up:,} samples are taken as normal before there is a "
            "threshold; give more, or go on from a file of --save with --load"
        )

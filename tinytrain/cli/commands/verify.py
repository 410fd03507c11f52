"""`tinytrain verify`: where a model loses accuracy on its way to C."""

from __future__ import annotations

import argparse

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table
from tinytrain.cli.tables import facts_table
from tinytrain.compiler.parameters import VERIFY as PARAMETERS
from tinytrain.compiler.verify import Verification, verify

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Shows each layer's error, the worst ones marked, and what was compared."""
    found = verify(**arguments_of(options, PARAMETERS))
    if options.json:
        print_json(found.to_json())
        return
    if found.layers:
        print_table(layers_table(found))
    print_table(facts_table(_facts(found)))


def layers_table(found: Verification) -> Table:
    """A line for each layer of the s8 form; those that add most to the error are bold."""
    table = Table()
    for column in ("layer", "operation", "correlation", "error", "added", "clipped"):
        left = column in ("layer", "operation")
        table.add_column(column, justify="left" if left else "right")
    for layer in found.layers:
        table.add_row(
            layer.layer,
            layer.op,
            f"{layer.correlation:.4f}",
            f"{layer.error:.2%}",
            f"{layer.added:.2%}" if layer.added else "",
            f"{layer.clipped:.2%}" if layer.clipped else "",
            style="bold" if layer in found.worst else None,
        )
    return table


def _facts(found: Verification) -> dict[str, object]:
    facts: dict[str, object] = {"file": found.file, "import": found.proof.sentence()}
    if not found.layers:
        facts["s8 layers"] = "not compared: add --calibration, from which their ranges are chosen"
    else:
        facts["s8 layers"] = f"compared on {found.samples} inputs ({found.measured_on})"
        worst = ", ".join(f"{layer.layer} (+{layer.added:.2%})" for layer in found.worst)
        facts["most is lost in"] = worst or "no layer"
    cost = found.quantization
    if cost is not None:
        facts["same prediction as float"] = f"{cost.agreement:.1%} of {cost.samples} samples"
    if found.device is not None:
        outputs, samples = found.device.outputs, found.device.samples
        facts["C"] = f"{outputs:,} outputs of {samples} inputs equal the reference to the bit"
    return facts

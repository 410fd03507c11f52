"""`tinytrain inspect`: what a model consists of, and what a scheme would train of it."""

from __future__ import annotations

import argparse

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table, print_warnings
from tinytrain.cli.tables import facts_table
from tinytrain.compiler.inspect import ModelReport, Training, inspect
from tinytrain.compiler.parameters import INSPECT as PARAMETERS

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Shows the layers, and what is trained of them if that is asked for."""
    report = inspect(**arguments_of(options, PARAMETERS))
    training = report.training
    if training is not None:
        print_warnings(training.warnings)
    if options.json:
        print_json(report.to_json())
        return
    print_table(layer_table(report))
    if training is not None:
        print_table(trained_table(training))
    print_table(facts_table(report.facts()))


def layer_table(report: ModelReport) -> Table:
    """A line for each layer."""
    table = Table()
    for column in ("layer", "operation", "output", "MACs", "weights", "trainable"):
        table.add_column(column, justify="right" if column in ("MACs", "weights") else "left")
    for layer in report.layers:
        table.add_row(
            layer.name,
            layer.op,
            "x".join(map(str, layer.output)),
            f"{layer.macs:,}" if layer.macs else "",
            f"{layer.weights:,}" if layer.weights else "",
            "yes" if layer.trainable else "no" if layer.weights else "",
        )
    return table


def trained_table(training: Training) -> Table:
    """A line for each layer that trains."""
    table = Table()
    for column in ("trained layer", "weights", "bias", "share of K"):
        table.add_column(column, justify="right" if column == "share of K" else "left")
    for layer, record in training.trained.items():
        channels = record["channels"]
        if isinstance(channels, list):
            channels = f"{len(channels)} input channels"
        table.add_row(
            layer, channels or "", "yes" if record["bias"] else "no", f"{record['share']:.1%}"
        )
    return table

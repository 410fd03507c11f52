"""The tables of `tinytrain inspect`."""

from __future__ import annotations

from rich.table import Table

from tinytrain.compiler.inspect import ModelReport, Training


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

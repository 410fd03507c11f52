"""What a model consists of: layers, MACs, what can be trained, what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from tinytrain.autodiff.rules import RULES
from tinytrain.errors import TinytrainError
from tinytrain.ir.graph import Graph, Node
from tinytrain.passes.base import Runner
from tinytrain.pipeline import Options, is_quantized, to_integers
from tinytrain.quantize.names import name_layers


@dataclass(frozen=True)
class Layer:
    """One node of the forward graph.

    Attributes:
        name: as update schemes call it.
        op: operation.
        output: shape, NHWC.
        macs: multiplications with weights in one inference.
        weights, biases: how many of each.
        trainable: has weights, and everything behind it has a derivative.
    """

    name: str
    op: str
    output: tuple[int, ...]
    macs: int
    weights: int
    biases: int
    trainable: bool


@dataclass(frozen=True)
class ModelReport:
    """A model as `inspect` shows it.

    Attributes:
        layers: in execution order.
        quantized: whether the model brings its own quantization.
        missing: what keeps it from being compiled as it is; None if nothing does.
    """

    file: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    quantized: bool
    missing: str | None

    def to_json(self) -> Mapping[str, Any]:
        """Everything by name."""
        return {
            **asdict(self),
            **{key: value for key, value in self.facts().items() if isinstance(value, int)},
        }

    def facts(self) -> dict[str, object]:
        """The totals."""
        return {
            "file": self.file,
            "input": "x".join(map(str, self.input_shape)),
            "quantized": "yes" if self.quantized else "no: compile needs --calibration",
            "macs": sum(layer.macs for layer in self.layers),
            "weights": sum(layer.weights for layer in self.layers),
            "head": next((layer.name for layer in reversed(self.layers) if layer.weights), "none"),
            "missing": self.missing or "nothing",
        }


def inspect_model(path: str) -> ModelReport:
    """Imports a model and looks at it.

    Raises:
        ModelError: it cannot be imported.
    """
    from tinytrain.frontend import load_model

    source = load_model(path)
    quantized = is_quantized(source)
    graph, missing = name_layers(source), None
    if quantized:
        try:
            graph = to_integers(source, None, Options(), Runner())
        except TinytrainError as error:
            missing = str(error)
    return ModelReport(
        str(source.info.get("file", path)),
        tuple(source.info["source_shape"]),
        _layers(graph),
        quantized,
        missing,
    )


def _layers(graph: Graph) -> tuple[Layer, ...]:
    differentiable = set(graph.outputs)
    found: list[Layer] = []
    for node in reversed(graph.nodes):
        if node.op in ("quantize", "dequantize", "reshape"):
            if node.output in differentiable:
                differentiable.add(node.inputs[0])
            continue
        through = node.outputs[0] in differentiable
        if through and (node.op in RULES or node.op in ("dense", "max_pool2d")):
            differentiable.update(node.inputs)
        found.append(_layer(node, through))
    return tuple(reversed(found))


def _layer(node: Node, through: bool) -> Layer:
    weights = biases = macs = 0
    if node.op in ("conv2d", "dense"):
        w = node.inputs[1].type
        weights, biases = w.size, w.shape[0]
        macs = node.output.type.size * math.prod(w.shape[1:])
    return Layer(
        node.layer, node.op, node.output.type.shape, macs, weights, biases, through and weights > 0
    )


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

"""The passes that turn an imported model into an s8 graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import traits_of
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.headroom import Headroom, with_headroom
from tinytrain.quantize.integerize import integerize, keeps_scale
from tinytrain.scheme.scheme import AUTO, load_scheme


@dataclass(frozen=True, eq=False)
class Quantize:
    """Quantizes a float model; one that brings its own quantization stays as it is.

    Attributes:
        samples: f32 [N,H,W,C] in the model's units, N >= 1; None leaves a float model as it is.
        ranges: how the range of an activation is chosen, one of `quantize.ranges.METHODS`.
    """

    samples: np.ndarray | None
    ranges: str
    name: ClassVar[str] = "quantize"
    summary: ClassVar[str] = (
        "puts quantize nodes around each layer of a float model, their ranges from samples"
    )

    def __call__(self, graph: Graph) -> Graph:
        if self.samples is None or is_quantized(graph):
            return graph
        return quantize_float(graph, self.samples, self.ranges)


@dataclass(frozen=True)
class WidenScales:
    """Gives what a scheme trains room to grow.

    Attributes:
        headroom: by what factors; the graph stays as it is where all are 1.
        scheme: preset or scheme file.
    """

    headroom: Headroom
    scheme: str
    name: ClassVar[str] = "headroom"
    summary: ClassVar[str] = "makes scales coarser for what training will enlarge, if asked to"

    def __call__(self, graph: Graph) -> Graph:
        if not self.headroom.asked:
            return graph
        layers = weighted_layers(integerize(graph))
        # Which layers will train is not known yet: it may be any of them.
        scheme = load_scheme("full" if self.scheme == AUTO else self.scheme, layers)
        return with_headroom(
            graph,
            self.headroom,
            layers=layers,
            weights={*scheme.weights, layers[-1]},
            biases={*scheme.biases, layers[-1]},
        )


@dataclass(frozen=True)
class Integerize:
    """Leaves s8 operations only; see `integerize`."""

    name: ClassVar[str] = "integerize"
    summary: ClassVar[str] = (
        "makes one s8 operation with a fused clamp of each dequantize, f32 operation and quantize; "
        "names the layers"
    )

    def __call__(self, graph: Graph) -> Graph:
        return integerize(graph)


def is_quantized(model: Graph) -> bool:
    """Whether every layer with weights reads what the model itself quantized."""
    producers = model.producers()

    def quantized(value: Value) -> bool:
        node = producers.get(value)
        if node is None:
            return False
        if keeps_scale(node):
            return quantized(node.inputs[0])
        return node.op == "dequantize"

    layers = [node for node in model.nodes if traits_of(node).has_weights]
    return bool(layers) and all(quantized(node.inputs[0]) for node in layers)

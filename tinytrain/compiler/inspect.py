"""What a model consists of: layers, MACs, what can be trained, what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.compiler.guidance import Guidance, guidance_for, initial_rate, option_warnings
from tinytrain.compiler.integers import integer_model
from tinytrain.compiler.manifest import trained_records
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import select_trainable, to_integers
from tinytrain.data import Preprocess
from tinytrain.errors import TinytrainError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import traits_of
from tinytrain.manifest import to_json
from tinytrain.passes.base import Runner
from tinytrain.quantize.names import name_layers
from tinytrain.quantize.passes import is_quantized


@dataclass(frozen=True)
class ModelLayer:
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
class Training:
    """What some model options train, and how that is expected to go.

    Attributes:
        trained: for each layer that trains: whether its bias does, which channels of its weights,
            and its `share` of the kernel K that bounds the learning rate.
        rate: the learning rate that was chosen, or else the suggested one.
        guidance: where it comes from.
        warnings: sentences on what is known to fail.
    """

    trained: Mapping[str, Mapping[str, Any]]
    rate: float
    guidance: Guidance
    warnings: tuple[str, ...]

    def to_json(self) -> Mapping[str, Any]:
        """Everything by name."""
        return {
            "trained": self.trained,
            "learning_rate": self.rate,
            **to_json(self.guidance.record()),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class ModelReport:
    """A model as `inspect` shows it.

    Attributes:
        layers: in execution order.
        quantized: whether the model brings its own quantization.
        missing: what keeps it from being compiled as it is; None if nothing does.
        training: what the options train, if there were any.
    """

    file: str
    input_shape: tuple[int, ...]
    layers: tuple[ModelLayer, ...]
    quantized: bool
    missing: str | None
    training: Training | None = None

    def to_json(self) -> Mapping[str, Any]:
        """Everything by name."""
        return {
            **asdict(replace(self, training=None)),
            **{key: value for key, value in self.facts().items() if isinstance(value, int)},
            "training": None if self.training is None else self.training.to_json(),
        }

    def facts(self) -> dict[str, object]:
        """The totals."""
        rate: dict[str, object] = {}
        if self.training is not None:
            rate = {"learning rate": self.training.guidance.rate_text(self.training.rate)}
        return {
            "file": self.file,
            "input": "x".join(map(str, self.input_shape)),
            "quantized": "yes" if self.quantized else "no: compile needs --calibration",
            "macs": sum(layer.macs for layer in self.layers),
            "weights": sum(layer.weights for layer in self.layers),
            "head": next((layer.name for layer in reversed(self.layers) if layer.weights), "none"),
            "missing": self.missing or "nothing",
            **rate,
        }


def inspect_model(
    path: str,
    *,
    options: Options | None = None,
    calibration: str | Path | np.ndarray | None = None,
    preprocess: Preprocess | None = None,
) -> ModelReport:
    """Imports a model and looks at it.

    Args:
        path: of the model file.
        options: model options to look at too; what is missing is shown without them.
        calibration: samples as `compile_model` takes them.
        preprocess: for uint8 images among them.

    Raises:
        ModelError: it cannot be imported.
        TinytrainError: the options or the samples do not fit the model.
    """
    from tinytrain.frontend import load_model

    model = load_model(path)
    quantized = is_quantized(model)
    graph, missing = name_layers(model), None
    if quantized:
        try:
            graph = to_integers(model, None, Options(), Runner())
        except TinytrainError as error:
            missing = str(error)
    return ModelReport(
        model.source.file or path,
        model.source.shape,
        _layers(graph),
        quantized,
        missing,
        None if options is None or missing else _training(model, options, calibration, preprocess),
    )


def _training(
    source: Graph,
    options: Options,
    calibration: str | Path | np.ndarray | None,
    preprocess: Preprocess | None,
) -> Training:
    runner = Runner()
    given = integer_model(source, calibration, preprocess, options, runner)
    graph, scheme = select_trainable(given.forward, options, runner)
    guidance = guidance_for(graph, scheme, options, given.quantized_samples())
    share = guidance.tangent.shares()
    trained = {
        layer: {**to_json(record), "share": round(share[layer], 4)}
        for layer, record in trained_records(graph).items()
    }
    rate = initial_rate(options, guidance)
    return Training(trained, rate, guidance, option_warnings(options, guidance))


def _layers(graph: Graph) -> tuple[ModelLayer, ...]:
    differentiable = set(graph.outputs)
    found: list[ModelLayer] = []
    for node in reversed(graph.nodes):
        if node.op in ("quantize", "dequantize", "reshape"):
            if node.output in differentiable:
                differentiable.add(node.inputs[0])
            continue
        through = node.outputs[0] in differentiable
        if through and (traits_of(node).trained_as or node.op) in DERIVATIVES:
            differentiable.update(node.inputs)
        found.append(_layer(node, through))
    return tuple(reversed(found))


def _layer(node: Node, through: bool) -> ModelLayer:
    weights = biases = macs = 0
    if traits_of(node).has_weights:
        w = node.inputs[1].type
        weights, biases = w.size, w.shape[0]
        macs = node.output.type.size * math.prod(w.shape[1:])
    return ModelLayer(
        node.layer, node.op, node.output.type.shape, macs, weights, biases, through and weights > 0
    )

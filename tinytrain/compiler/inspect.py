"""What a model consists of: layers, MACs, what can be trained, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.compiler.chosen_rate import initial_rate, option_warnings
from tinytrain.compiler.chosen_scheme import chosen_scheme
from tinytrain.compiler.guidance import Guidance, guidance_for
from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import CalibrationSamples, IntegerModel, integer_model
from tinytrain.compiler.manifest import trained_records
from tinytrain.compiler.model_end import with_loss
from tinytrain.compiler.options import Options, make_options
from tinytrain.compiler.parameters import INSPECT
from tinytrain.compiler.pipeline import select_trainable, to_integers
from tinytrain.data.preprocess import Numbers, Preprocess
from tinytrain.errors import TinytrainError
from tinytrain.frontend.proof import prove
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import macs_of, traits_of
from tinytrain.manifest import to_json
from tinytrain.naming import advice, as_written
from tinytrain.option import check_options
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
    """What a scheme trains, and how that is expected to go.

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
            "warnings": list(map(as_written, self.warnings)),
        }


@dataclass(frozen=True)
class ModelReport:
    """A model as `inspect` shows it.

    Attributes:
        layers: in execution order.
        quantized: whether the model brings its own quantization.
        missing: what keeps it from being compiled as it is; None if nothing does.
        proof: whether it was read right, in a sentence.
        training: what a scheme trains, if that was asked for.
        inputs: name and shape of each, where there are several; `input_shape` is then that of all.
    """

    file: str
    input_shape: tuple[int, ...]
    layers: tuple[ModelLayer, ...]
    quantized: bool
    missing: str | None
    proof: str
    training: Training | None = None
    inputs: tuple[str, ...] = ()

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
            "input": ", ".join(self.inputs) or "x".join(map(str, self.input_shape)),
            "quantized": "yes" if self.quantized else "no: compile needs --calibration",
            "macs": sum(layer.macs for layer in self.layers),
            "weights": sum(layer.weights for layer in self.layers),
            "head": next((layer.name for layer in reversed(self.layers) if layer.weights), "none"),
            "missing": self.missing or "nothing",
            "import": self.proof,
            **rate,
        }


def inspect(
    model: Any,
    example: Any = None,
    *,
    scheme: str | None = None,
    calibration: CalibrationSamples | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    model_output: str | None = None,
    **options: Any,
) -> ModelReport:
    """Imports a model and looks at it: its layers, and what is trained of them if asked for.

    Args:
        model, example, calibration, mean, std, model_output: as `compile_model` takes them.
        scheme: what is trained. Without it, without calibration and without options nothing is
            asked about training.
        options: fields of `options.Options`; what is missing is shown without them.

    Raises:
        ModelError: it cannot be imported.
        TinytrainError: the options or the samples do not fit the model.
    """
    from tinytrain.frontend import import_model

    check_options(INSPECT, mean=mean, std=std)
    chosen = make_options({**options, "scheme": scheme or "full"})
    is_asked = scheme is not None or calibration is not None or chosen != Options()
    imported, preprocess = image_preprocess(
        import_model(model, example=example, model_output=model_output), mean, std
    )
    source = imported.graph
    quantized = is_quantized(source)
    graph, missing = name_layers(source), None
    if quantized:
        try:
            head = Options(loss=chosen.loss, classes=chosen.classes)
            graph = to_integers(source, None, head, Runner())
        except TinytrainError as error:
            missing = str(error)
    runner = Runner()
    given = None
    if is_asked and not missing:
        given = integer_model(imported, calibration, preprocess, chosen, runner)
    proof = prove(imported) if given is None else given.proof
    return ModelReport(
        source.source.file or "a PyTorch module",
        source.source.shape,
        _layers(graph),
        quantized,
        missing,
        proof.sentence(),
        None if given is None else _training(given, chosen, preprocess, runner),
        tuple(f"{one.name} {'x'.join(map(str, one.shape))}" for one in source.source.inputs),
    )


def _training(
    given: IntegerModel, options: Options, preprocess: Preprocess | None, runner: Runner
) -> Training:
    scheme = chosen_scheme(given, options, preprocess)
    graph, _ = select_trainable(given.forward, options, runner, scheme)
    options = with_loss(options, graph)
    guidance = guidance_for(graph, scheme, options, given.quantized_samples())
    share = guidance.tangent.shares()
    trained = {
        layer: {**to_json(record), "share": round(share[layer], 4)}
        for layer, record in trained_records(graph).items()
    }
    rate = initial_rate(options, guidance)
    return Training(trained, rate, guidance, advice(option_warnings(options, guidance)))


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
    weights = biases = 0
    if traits_of(node).has_weights:
        w = node.inputs[1].type
        weights, biases = w.size, w.shape[0]
    return ModelLayer(
        node.layer,
        node.op,
        node.output.type.shape,
        macs_of(node),
        weights,
        biases,
        through and weights > 0,
    )

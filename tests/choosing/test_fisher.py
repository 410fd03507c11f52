"""What layers, channels and biases are worth, against autograd in double precision."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from tests.support.graphs import GRAPHS, shared_weights
from tests.support.imported import shared_model
from tests.support.mirror import Mirror
from tests.support.real_models import FILES
from tinytrain.autodiff.differentiate import Differentiate, Loss
from tinytrain.choosing.fisher import Worth, measure_worth, tinytrain_scores
from tinytrain.errors import DataError
from tinytrain.frontend import import_model
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import macs_of, traits_of
from tinytrain.ir.types import DType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.select_trainable import SelectTrainable, weighted_layers
from tinytrain.quantize.passes import Integerize
from tinytrain.reference.interpret import Machine, run_forward
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.packed import packed_size, step_inputs
from tinytrain.scheme.channels import by_channel
from tinytrain.scheme.scheme import load_scheme
from tinytrain.scheme.ways import WAYS

CROSS_ENTROPY = Loss("cross_entropy")


class KeepingMirror(Mirror):
    """Autograd that also keeps the gradient of what each layer computes, before its clamp."""

    def gradients(self) -> dict:
        self.computed: dict[str, torch.Tensor] = {}
        return super().gradients()

    def _conv(self, node: Node) -> torch.Tensor:
        result = super()._conv(node)
        result.retain_grad()
        self.computed[node.layer] = result
        return result


class Double:
    """The definitions, sample by sample, from autograd's gradients at the device's activations."""

    def __init__(
        self,
        forward: Graph,
        samples: np.ndarray,
        targets: np.ndarray,
        loss: Loss,
        classes: int | None = None,
        seed: int = 0,
    ) -> None:
        graph = ReplaceHead(classes, seed)(DenseToConv()(forward))
        scheme = load_scheme("full", weighted_layers(graph))
        selected = SelectTrainable(scheme, 0, seed)(graph)
        training = Differentiate(loss, DType.F32)(selected)
        machine = Machine(training)
        self.outputs: dict[str, list[np.ndarray]] = {}
        self.squares: dict[str, list[np.ndarray]] = {}
        self.bias: dict[str, list[np.ndarray]] = {}
        self.products: dict[str, list[np.ndarray]] = {}
        self.gradients: dict[str, list[np.ndarray]] = {}
        layers = [node for node in training.nodes if traits_of(node).has_weights]
        for sample, wanted in zip(samples, targets, strict=True):
            mirror = KeepingMirror(training, machine.run(step_inputs(training, sample, wanted)))
            found = mirror.gradients()
            for node in layers:
                w = node.inputs[1]
                channels = node.output.type.shape[-1]
                g = mirror.computed[node.layer].grad
                a = mirror.real[node.output].detach()
                assert g is not None
                flat = (a.reshape(-1, channels), g.reshape(-1, channels))
                self._add("outputs", node, (flat[0] * flat[1]).sum(0).numpy())
                self._add("squares", node, (flat[0] ** 2).mean(0).numpy())
                self._add("bias", node, flat[1].sum(0).numpy())
                real = mirror.leaves[w].detach().numpy()
                self._add("products", node, real * found[w])
                self._add("gradients", node, found[w])
        self.multiples = {
            node.layer: node.inputs[1].type.shape[0] // node.inputs[0].type.shape[3]
            if node.inputs[1].type.shape[3] == 1 and node.attrs["groups"] > 1
            else None
            for node in layers
        }
        self.real = {node.layer: mirror.leaves[node.inputs[1]].detach().numpy() for node in layers}

    def _add(self, what: str, node: Node, value: np.ndarray) -> None:
        getattr(self, what).setdefault(node.layer, []).append(value)

    def layer(self, name: str) -> float:
        return 0.5 * float(np.mean(np.square(self.outputs[name]), axis=0).sum())

    def of_bias(self, name: str) -> float:
        square = np.mean(self.squares[name], axis=0)
        return 0.5 * float((square * np.mean(np.square(self.bias[name]), axis=0)).sum())

    def channels(self, name: str, way: str) -> np.ndarray:
        sums = np.array([by_channel(one, self.multiples[name]) for one in self.products[name]])
        if way == "snip":
            mean = np.mean(self.gradients[name], axis=0)
            return by_channel(np.abs(self.real[name] * mean), self.multiples[name])
        return 0.5 * (sums**2).mean(0) if way == "fisher" else np.abs(sums).mean(0)

    def descent(self, name: str) -> tuple[float, float]:
        return (
            float(np.square(np.mean(self.gradients[name], axis=0)).sum()),
            float(np.square(np.mean(self.bias[name], axis=0)).sum()),
        )


def integers(name: str) -> Graph:
    return Integerize()(import_model(shared_model(FILES[name])).graph)


def data(graph: Graph, classes: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random inputs, and labels in turn."""
    rng = np.random.default_rng(7)
    size = packed_size(graph.sample)
    samples = rng.integers(-100, 101, (count, size)).astype(np.int8)
    return samples.reshape(count, *graph.sample[0].type.shape[1:]), (
        np.arange(count, dtype=np.int32) % classes
    )


CASES = {
    "convolutions": (GRAPHS["convolutions"], CROSS_ENTROPY, None, 6),
    "signal": (GRAPHS["signal"], CROSS_ENTROPY, None, 6),
    "mixture": (GRAPHS["mixture"], CROSS_ENTROPY, None, 4),
    "shared weights": (shared_weights, CROSS_ENTROPY, None, 4),
    "regression": (GRAPHS["signal"], Loss("mean_squared_error"), None, 6),
    "resnet8": (partial(integers, "resnet8"), CROSS_ENTROPY, None, 4),
    "kws": (partial(integers, "kws"), CROSS_ENTROPY, 3, 2),
}


def both(case: str, gradient: DType) -> tuple[Worth, Double]:
    build, loss, classes, count = CASES[case]
    graph = build()
    samples, targets = data(graph, classes or 3, count)
    if loss.kind == "mean_squared_error":
        size = graph.outputs[0].type.size
        targets = np.random.default_rng(3).normal(0, 1, (count, size)).astype(np.float32)
    found = measure_worth(graph, samples, targets, loss=loss, gradient=gradient, classes=classes)
    return found, Double(graph, samples, targets, loss, classes)


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    """Error by the root mean square of what is wanted."""
    size = np.sqrt(np.mean(np.square(wanted)))
    return float(np.sqrt(np.mean(np.square(found - wanted))) / size) if size > 0 else 0.0


F32_ERROR, S16_ERROR, S8_ERROR = 1e-3, 0.1, 0.2
"""Of s16 gradients a few saturate, which is what most of the error is of."""


@pytest.mark.parametrize(
    ("gradient", "most"),
    [(DType.F32, F32_ERROR), (DType.S16, S16_ERROR), (DType.S8, S8_ERROR)],
)
@pytest.mark.parametrize("case", CASES)
def test_the_definitions_in_double_precision(case: str, gradient: DType, most: float) -> None:
    found, wanted = both(case, gradient)
    assert list(found.layers) == list(wanted.outputs), "every layer, the head too, in order"
    for layer in found.layers:
        assert found.layers[layer] == pytest.approx(wanted.layer(layer), rel=most), layer
        assert found.bias[layer] == pytest.approx(wanted.of_bias(layer), rel=most), layer
        assert off(np.array(found.descent[layer]), np.array(wanted.descent(layer))) < most, layer
        for word, way in WAYS.items():
            score = way.score(found.facts[layer])
            # A single channel is a sum in which nearly everything cancels out.
            if way.measured and score.size > 1:
                assert off(score, wanted.channels(layer, word)) < most, (layer, word)


def test_the_same_samples_give_the_same_bytes() -> None:
    first, _ = both("convolutions", DType.S8)
    second, _ = both("convolutions", DType.S8)
    assert (first.layers, first.bias, first.descent) == (
        second.layers,
        second.bias,
        second.descent,
    )
    for layer, scores in first.channels.items():
        assert scores.tobytes() == second.channels[layer].tobytes()


def test_a_part_of_a_layer_is_worth_its_share() -> None:
    found, _ = both("resnet8", DType.S8)
    for layer, p in found.layers.items():
        score = np.sort(found.channels[layer])
        parts = [found.part(layer, count) for count in range(1, score.size + 1)]
        assert parts == sorted(parts) and parts[-1] == pytest.approx(p)
        assert parts[0] == pytest.approx(p * score[-1] / score.sum())


def test_the_layer_score_of_tinytrain() -> None:
    graph = GRAPHS["signal"]()
    found, _ = both("signal", DType.S8)
    layers = {node.layer: node for node in graph.nodes if traits_of(node).has_weights}
    weights = {layer: node.inputs[1].type.size for layer, node in layers.items()}
    macs = {layer: macs_of(node) for layer, node in layers.items()}
    scores = tinytrain_scores(found, weights, macs)
    for layer, score in scores.items():
        share = weights[layer] / max(weights.values()) * macs[layer] / max(macs.values())
        assert score * share == pytest.approx(found.layers[layer])


def test_nothing_is_worth_anything_where_no_gradient_is() -> None:
    """A target that the output meets to the bit."""
    graph = GRAPHS["signal"]()
    samples, _ = data(graph, 3, 2)
    loss = Loss("mean_squared_error")
    outputs = [
        run_forward(DenseToConv()(graph), {"x": one[None]})[graph.outputs[0]] for one in samples
    ]
    y = graph.outputs[0]
    real = [(one.astype(np.float32) - zero_of(y)) * np.float32(scale_of(y)) for one in outputs]
    found = measure_worth(graph, samples, np.array(real).reshape(2, -1), loss=loss)
    assert set(found.layers.values()) == {0.0}
    assert found.part(next(iter(found.layers)), 1) == 0.0


def test_a_loss_that_is_not_finite_is_refused() -> None:
    graph = GRAPHS["signal"]()
    samples, _ = data(graph, 3, 2)
    far = np.full((2, graph.outputs[0].type.size), 3e38, np.float32)
    with pytest.raises(DataError, match="the loss of sample 0 is not finite"):
        measure_worth(graph, samples, far, loss=Loss("mean_squared_error"))

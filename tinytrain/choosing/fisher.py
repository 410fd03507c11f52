"""What each layer, channel and bias contributes to the loss, from labelled samples.

The Fisher information of output channel o of a layer (Theis et al., Faster gaze prediction with
dense networks and Fisher pruning, 2018) over N samples is

    D_o = 1/(2N) · Σ_n (Σ_positions activation · gradient)²

with the activation as it leaves the layer and the gradient of the sample's loss that reaches its
weights. TinyTrain (Kwon et al., ICML 2024) values a layer at P = Σ_o D_o. Here the gradients are
the integers that ship, at learning rate 0; the same pass gives what other ways to choose need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tinytrain.autodiff.differentiate import Differentiate, Loss
from tinytrain.choosing.learned_head import learn_head
from tinytrain.choosing.pairs import Pairs
from tinytrain.choosing.real_gradients import gradient_of, ordered_sum, unit_of
from tinytrain.errors import DataError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.select_trainable import SelectTrainable, channel_multiple, weighted_layers
from tinytrain.passes.trainable import trainable_layers
from tinytrain.reference.class_weights import BALANCED
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import quantization, zero_of
from tinytrain.reference.packed import step_inputs
from tinytrain.reference.warm_up import warm_up
from tinytrain.scheme.channels import by_channel, channel_count, random_order
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.scheme.ways import WAYS, ChannelFacts

SAMPLES = 64
"""Enough: the paper takes 25 to 100."""


@dataclass(frozen=True, eq=False)
class Worth:
    """Measured on N labelled samples.

    Attributes:
        layers: P of each layer that could train, in execution order, the head included.
        bias: P of its bias alone: 1/(2N) · Σ_o Σ_n (a_o · dB_o)², with the root mean square a_o of
            the channel's activation in the place of the activation at each position.
        facts: of the input channels of each layer, by which a way of `WAYS` chooses among them.
        descent: of each layer the squared mean gradient of weights and of bias, by how much a step
            of rate 1 on all samples lowers the mean loss, to first order.
        samples: N.
        spread: of each layer the mean over samples of the squared gradient of weights and of bias:
            what a step on one sample has of `descent`, and of noise.
        sizes: of each layer how many weights and how many biases there are.
        fallen: by how much a fresh head that learned these samples before lowered their mean loss,
            in nats; 0 where none did.
        interference: `Pairs.products` of `layers`, where a fresh head learned the samples.
    """

    layers: Mapping[str, float]
    bias: Mapping[str, float]
    facts: Mapping[str, ChannelFacts]
    descent: Mapping[str, tuple[float, float]]
    samples: int
    spread: Mapping[str, tuple[float, float]]
    sizes: Mapping[str, tuple[int, int]]
    fallen: float = 0.0
    interference: np.ndarray | None = None

    @property
    def channels(self) -> Mapping[str, np.ndarray]:
        """The score of each input channel of each layer by Fisher, f64 [C]."""
        return {layer: WAYS["fisher"].score(facts) for layer, facts in self.facts.items()}

    def part(self, layer: str, count: int) -> float:
        """P of a layer of which the best `count` input channels train: their share of all."""
        score = np.sort(WAYS["fisher"].score(self.facts[layer]))[::-1]
        total = float(np.cumsum(score)[-1])
        best = float(np.cumsum(score)[count - 1])
        return self.layers[layer] * (best / total if total > 0.0 else count / len(score))

    def share(self, layer: str, ratio: float) -> float:
        """What the best channels have of a layer by Fisher, of which so many train."""
        whole, facts = self.layers.get(layer, 0.0), self.facts.get(layer)
        if facts is None or whole <= 0.0:
            return ratio
        return self.part(layer, channel_count(Share(ratio), facts.size.size)) / whole


def tinytrain_scores(
    worth: Worth, weights: Mapping[str, int], macs: Mapping[str, int]
) -> dict[str, float]:
    """The layer score of TinyTrain: P over the layer's share of weights and of MACs.

    Args:
        weights, macs: of each layer of `worth`; a share is of the largest layer's.
    """
    most_weights, most_macs = max(weights.values()), max(macs.values())
    return {
        layer: p / (weights[layer] / most_weights * (macs[layer] / most_macs))
        for layer, p in worth.layers.items()
    }


def measure_worth(
    forward: Graph,
    samples: np.ndarray,
    targets: np.ndarray,
    *,
    loss: Loss,
    gradient: DType = DType.S8,
    classes: int | None = None,
    seed: int = 0,
    learned: bool = False,
) -> Worth:
    """Runs each sample forward and back once, at learning rate 0.

    Args:
        forward: s8 forward graph.
        samples: s8 [N,...] inputs as the device takes them.
        targets: of each sample, as the device takes them: s32 [N], u8 [N,pixels] or f32
            [N,outputs].
        loss: what training minimizes.
        gradient: dtype of gradients.
        classes: of a fresh head in the place of the model's own; None keeps that.
        seed: of a fresh head and of random orders.
        learned: whether a fresh head learns the samples first.

    Raises:
        ModelError: the loss cannot train what the graph ends in.
    """
    graph = ReplaceHead(classes, seed)(DenseToConv()(forward))
    if loss.class_weights == BALANCED:  # nothing has been counted yet
        loss = replace(loss, class_weights=None)
    fallen = 0.0
    if learned and classes is not None:
        graph, fallen = learn_head(graph, samples, targets, loss, gradient, seed)
    head = weighted_layers(graph)[-1]
    body = [layer for layer in trainable_layers(graph) if layer != head]
    scheme = Scheme("everything", tuple(body), dict.fromkeys(body, Share()))
    training = Differentiate(loss, gradient)(SelectTrainable(scheme, 0, seed)(graph))
    machine = Machine(training)
    for name, scale in warm_up(training, samples, seed).items():
        machine.scales[name] = replace(scale)
    measured = _Measured(training, Pairs() if fallen and len(samples) > 1 else None)
    for number, (sample, wanted) in enumerate(zip(samples, targets, strict=True)):
        exponents = {name: scale.exponent for name, scale in machine.scales.items()}
        known = machine.run(step_inputs(training, sample, wanted))
        if not np.isfinite(known[training.outputs[0]]).all():
            raise DataError(
                f"the loss of sample {number} is not finite",
                help="give targets that the model's outputs can come near",
            )
        measured.add(known, exponents, machine.step.normaliser)
    return replace(measured.worth(seed), fallen=fallen)


@dataclass(eq=False)
class _Layer:
    """What is summed of the outputs of a layer.

    Attributes:
        node: the forward node.
        back: the sum dB; it reads the gradient that reaches the layer's weights.
        outputs: of each sample, activation times gradient, summed over positions, f64 [O].
        squares: of each sample the mean square of the activation, f64 [O].
        bias: of each sample dB, f64 [O].
    """

    node: Node
    back: Node
    outputs: list[np.ndarray] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)
    bias: list[np.ndarray] = field(default_factory=list)

    def add(self, known: Mapping[Value, np.ndarray], unit: float) -> None:
        """Adds one sample; unit: of the gradient."""
        y = self.node.output
        channels = y.type.shape[-1]
        g = known[self.back.inputs[0]].reshape(-1, channels)
        a = known[y].reshape(-1, channels).astype(np.int64) - zero_of(y)
        scale = quantization(y).scales(channels)
        # Integer gradients are summed as integers: any order gives the same bits.
        exact = np.float64 if g.dtype == np.float32 else np.int64
        self.outputs.append((a * g.astype(exact)).sum(axis=0) * scale * unit)
        self.squares.append((a.astype(np.float64) ** 2).mean(axis=0) * scale**2)
        self.bias.append(known[self.back.output].astype(np.float64) * unit)

    def fisher(self) -> float:
        """P of the layer."""
        return 0.5 * ordered_sum(np.square(self.outputs)) / len(self.outputs)

    def bias_fisher(self) -> float:
        """P of its bias alone."""
        count = len(self.bias)
        square = np.cumsum(self.squares, axis=0)[-1] / count
        return 0.5 * ordered_sum(square * np.square(self.bias)) / count


class _Weights:
    """What is summed of weights, over all layers that share them.

    Args:
        back: the sum dW of each of those layers.
        real: the weights, f64 [O,KH,KW,I].
        multiple: of `channel_multiple`.
    """

    def __init__(self, back: Sequence[Node], real: np.ndarray, multiple: int | None) -> None:
        self.back, self.real, self.multiple = back, real, multiple
        self.total = np.zeros(real.shape)
        self.contributions: list[np.ndarray] = []
        self.squares: list[float] = []

    def add(self, known: Mapping[Value, np.ndarray], units: Sequence[float]) -> np.ndarray:
        """Adds one sample, whose gradient it gives; units: that each sum was made of."""
        gradient = np.zeros(self.real.shape)
        for node, unit in zip(self.back, units, strict=True):
            gradient += gradient_of(node, known, unit)
        self.total += gradient
        self.squares.append(ordered_sum(gradient**2))
        self.contributions.append(by_channel(self.real * gradient, self.multiple))
        return gradient


class _Measured:
    """Sums over samples of what the reference computes in a step.

    Args:
        graph: with sums of gradients, from `Differentiate`.
        pairs: gathers what samples do to each other; None where that is not asked for.
    """

    def __init__(self, graph: Graph, pairs: Pairs | None = None) -> None:
        self.graph, self._pairs = graph, pairs
        nodes = {node.layer: node for node in graph.nodes if traits_of(node).has_weights}
        producers = graph.producers()
        self.layers: dict[str, _Layer] = {}
        self.weights: dict[Value, _Weights] = {}
        back = {w: [producers[one] for one in sums] for w, sums in graph.gradients.items()}
        for w, sums in back.items():
            for node in sums:
                if node.op == "bias_grad":
                    self.layers[node.layer] = _Layer(nodes[node.layer], node)
            if sums[0].op != "bias_grad":
                scale = quantization(w).scales(w.type.shape[0])[:, None, None, None]
                multiple = channel_multiple(nodes[sums[0].layer])
                self.weights[w] = _Weights(sums, graph.parameters[w] * scale, multiple)
        self.layers = {layer: self.layers[layer] for layer in nodes if layer in self.layers}

    def add(
        self, known: Mapping[Value, np.ndarray], exponents: Mapping[str, int], normaliser: int
    ) -> None:
        """Adds one sample.

        Args:
            known: every value of its step.
            exponents: E of each scale in that step.
            normaliser: n of that step.
        """
        for name, layer in self.layers.items():
            layer.add(known, unit_of(layer.back.inputs[0], exponents, normaliser))
            if self._pairs is not None:
                self._pairs.add(name, 1, layer.bias[-1])
        for weights in self.weights.values():
            units = [unit_of(node.inputs[-1], exponents, normaliser) for node in weights.back]
            gradient = weights.add(known, units)
            if self._pairs is not None:
                for name in {node.layer for node in weights.back}:
                    self._pairs.add(name, 0, gradient)

    def worth(self, seed: int) -> Worth:
        """What the samples so far say."""
        of_weights = {node.layer: held for held in self.weights.values() for node in held.back}
        count = len(next(iter(self.layers.values())).outputs)
        facts, descent, spread, sizes = {}, {}, {}, {}
        for name, layer in self.layers.items():
            held = of_weights[name]
            mean = held.total / count
            size = by_channel(np.abs(held.real), held.multiple)
            facts[name] = ChannelFacts(
                size,
                random_order(name, size.size, seed),
                np.array(held.contributions),
                by_channel(np.abs(held.real * mean), held.multiple),
            )
            bias = np.cumsum(layer.bias, axis=0)[-1] / count
            descent[name] = (ordered_sum(mean**2), ordered_sum(bias**2))
            sizes[name] = held.real.size, bias.size
            noisy = ordered_sum(np.square(layer.bias)) / count
            spread[name] = (ordered_sum(np.array(held.squares)) / count, noisy)
        layers = {name: layer.fisher() for name, layer in self.layers.items()}
        biases = {name: layer.bias_fisher() for name, layer in self.layers.items()}
        pairs = None if self._pairs is None else self._pairs.products(tuple(layers))
        return Worth(layers, biases, facts, descent, count, spread, sizes, interference=pairs)

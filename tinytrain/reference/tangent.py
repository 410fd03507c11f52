"""How far a step moves the network's own output: what a learning rate is judged by.

A step of rate r on a sample with the gradient e of the loss by the outputs moves the outputs along
e by r·K·|e|, where K = |dL/dθ|² / |e|² over all trained weights and biases θ in the real domain. K
is the sample's tangent kernel along its own error. Measured with f32 gradients on the s8 forward
pass, at the weights as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import head_input, loss_index, traits_of
from tinytrain.ir.types import DType
from tinytrain.reference.certainty import certainty
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import quantization, scale_of
from tinytrain.reference.significant import rounded
from tinytrain.reference.warm_up import evenly_spread, training_sample

SAMPLES = 7
"""Enough for a median: between samples K varies by a factor of two or three."""

_FAR = 1e3
"""A target beyond what the network gives; K does not depend on how far."""

BINS_PER_OCTAVE = 4
_LOWEST = -128  # octave of the first bin
_BINS = 256 * BINS_PER_OCTAVE


@dataclass(frozen=True, eq=False)
class Tangent:
    """Measured on a few samples.

    Attributes:
        kernels: for each trained layer in execution order its part of K, f64 [samples]; K is the
            sum over layers.
        energy: the squared gradient of trained weights, summed by how far a step of rate 1 would
            move the weight, in units of its s8: bin i holds moves of
            2^(i/BINS_PER_OCTAVE - 128) and more.
        moves: how far a step of rate 1 moves a parameter, by its name, in units of its integer: of
            all samples and output channels the largest root mean square.
        contrast: share of the root mean square of what the head reads that differs between samples;
            1 where all samples are the same, which says nothing.
        samples: how many had a gradient; the others count nowhere.
        doubt, margin: of `certainty`, the mean and the median over the samples.
        parts: of each trained tensor, by its name, its part of K, f64 [samples, C]: of weights for
            each channel that a scheme can choose, of a bias for all together.
    """

    kernels: Mapping[str, np.ndarray]
    energy: np.ndarray
    contrast: float
    samples: int
    moves: Mapping[str, float] = field(default_factory=dict)
    doubt: float = 0.0
    margin: float = 0.0
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def kernel(self, without: str | None = None) -> float:
        """Median of K over the samples, 0 if none had a gradient.

        Args:
            without: a layer that is left out.
        """
        parts = [part for layer, part in self.kernels.items() if layer != without]
        return float(np.median(np.sum(parts, axis=0))) if parts and self.samples else 0.0

    def shares(self) -> dict[str, float]:
        """The share of each layer in the sum of K over the samples, 0 where none had a gradient."""
        parts = {layer: float(part.sum()) for layer, part in self.kernels.items()}
        total = sum(parts.values())
        return {layer: part / total if total else 0.0 for layer, part in parts.items()}

    def lost(self, rate: float, fraction_bits: int) -> float:
        """Share of the weights' squared gradient in updates below half a unit, 0 to 1.

        Args:
            rate: learning rate.
            fraction_bits: of the tensor that is updated.
        """
        total = float(self.energy.sum())
        if total == 0.0 or rate == 0.0:
            return float(total > 0.0)
        limit = np.log2(0.5 / (rate * 2.0**fraction_bits))
        bins = int(np.clip((limit - _LOWEST) * BINS_PER_OCTAVE, 0, len(self.energy)))
        return float(self.energy[:bins].sum()) / total


def measure_tangent(
    graph: Graph,
    factors: Mapping[Value, np.ndarray],
    samples: np.ndarray | None,
    seed: int,
) -> Tangent:
    """Runs `SAMPLES` samples through a training graph.

    Args:
        graph: with f32 gradients, from `Differentiate`.
        factors: on the learning rate, for each output channel of each parameter.
        samples: s8 [N,...] inputs, of which evenly spread ones are taken; uniform noise where there
            are none. Labels take turns: K hardly depends on them.
        seed: of noise.
    """
    machine = Machine(graph)
    generator = np.random.default_rng([seed, 0x7A96E])
    if samples is not None:
        samples = samples[evenly_spread(len(samples), SAMPLES)]
    loss = graph.nodes[loss_index(graph)]
    slope = loss.outputs[1]
    producers, read = graph.producers(), head_input(graph)
    trained_layers = {producers[sums[0]].layer for sums in graph.gradients.values()}
    layers = {
        node.layer: [0.0] * SAMPLES
        for node in graph.nodes
        if traits_of(node).has_weights and node.layer in trained_layers
    }
    energy = np.zeros(_BINS)
    moves = {trained.name: 0.0 for trained in graph.gradients}
    parts: dict[str, list[np.ndarray]] = {trained.name: [] for trained in graph.gradients}
    active, features, logits = [], [], []
    for step in range(SAMPLES):
        given = training_sample(graph, samples, step, generator)
        given |= _alike(graph, step)
        known = machine.run(given)
        error = _squares(known[slope])
        logits.append(known[loss.inputs[0]])
        features.append(known[read].astype(np.float64).ravel() - quantization(read).zero_point)
        if error == 0.0:
            continue
        active.append(step)
        for trained, sums in graph.gradients.items():
            node = producers[sums[0]]
            gradient = _gradient(node, known[sums[0]])
            for total in sums[1:]:
                gradient += _gradient(producers[total], known[total])
            factor = factors[trained].reshape(-1, *(1,) * (gradient.ndim - 1))
            scale = quantization(trained).scales(trained.type.shape[0]).reshape(factor.shape)
            moves[trained.name] = max(moves[trained.name], _largest_rms(gradient / scale))
            if trained.type.dtype is not DType.S32:
                energy += _energy(gradient, np.abs(gradient) * factor / scale)
            moved = gradient * np.sqrt(factor)
            layers[node.layer][step] += _squares(moved) / error
            parts[trained.name].append(_by_channel(moved) / error)
    kernels = {layer: np.array(parts)[active] for layer, parts in layers.items()}
    contrast = _contrast(np.array(features), samples)
    certain = certainty(loss.op, logits, loss.inputs[1].type.size)
    by_name = {name: np.array(found) for name, found in parts.items()}
    return Tangent(kernels, energy, contrast, len(active), moves, *certain, by_name)


def _gradient(node: Node, total: np.ndarray) -> np.ndarray:
    """By the real weights or bias, from a layer's sum; of weights it counts in units of x."""
    gradient = total.astype(np.float64)
    is_bias = node.op == "bias_grad"
    return gradient if is_bias else gradient * scale_of(node.inputs[0])


def _alike(graph: Graph, step: int) -> dict[str, np.ndarray]:
    """A target that gives all outputs, or all pixels, the same error; nothing for a label.

    Weights and biases that a map shares move all of its places together, so that along such an
    error K is largest, which noise would not show.
    """
    target, op = graph.target, graph.nodes[loss_index(graph)].op
    assert target is not None, "a training graph has a target"
    if target.type.dtype is DType.S32:
        return {}
    value = (-1) ** step * _FAR
    if op == "binary_cross_entropy":
        value = float(step % 2)
    elif op == "pixel_cross_entropy":
        value = step * 7919 % (graph.outputs[1].type.size // target.type.size)
    return {target.name: np.full(target.type.shape, value, target.type.dtype.numpy)}


def _squares(values: np.ndarray) -> float:
    # In order, so that the last digit is the same on every machine.
    return float(np.cumsum(np.square(values.ravel(), dtype=np.float64))[-1])


def _by_channel(values: np.ndarray) -> np.ndarray:
    """Sums of squares for each channel of weights that a scheme can choose; one of a bias.

    Those are the input channels, and the output channels where each reads one alone.
    """
    squares = np.square(values)
    if squares.ndim < 4:
        return np.array([squares.sum()])
    found: np.ndarray = squares.sum(axis=(0, 1, 2) if squares.shape[3] > 1 else (1, 2, 3))
    return found


def _largest_rms(moves: np.ndarray) -> float:
    """Of the output channels, each by itself."""
    flat = moves.reshape(moves.shape[0], -1)
    return rounded(float(np.sqrt(np.square(flat).mean(axis=1).max())), 3)


def _energy(gradient: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The squares of a weight's gradient by bins of `Tangent.energy`, from moves in units of s8."""
    found = moves > 0
    bins = np.floor((np.log2(moves[found]) - _LOWEST) * BINS_PER_OCTAVE).astype(int)
    return np.bincount(np.clip(bins, 0, _BINS - 1), np.square(gradient[found]), _BINS)


def _contrast(features: np.ndarray, samples: np.ndarray | None) -> float:
    if samples is not None and (samples == samples[:1]).all():
        return 1.0
    total = np.sqrt(np.mean(np.square(features)))
    apart = np.sqrt(np.mean(np.square(features - features.mean(axis=0))))
    return float(apart / total) if total > 0 else 0.0

"""Where quantization loses accuracy: each layer in s8 beside the real numbers it stands for.

Both run whole, so that the error of a layer holds what came in with its inputs; `added` is what
there is more of it than in the worst of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.quantize.accuracy import logits_of
from tinytrain.quantize.integerize import integerize_traced
from tinytrain.quantize.passes import is_quantized
from tinytrain.reference import packed
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import quantization

INPUT = "input"
"""What stands for a layer's name where the model's input is quantized."""


@dataclass(frozen=True)
class LayerError:
    """One layer of the s8 form beside the real numbers that it stands for, over all samples.

    Attributes:
        layer: as update schemes call it.
        op: its operation.
        correlation: of its results with the real ones, -1 to 1; 1 where both are constant.
        error: root mean square of the difference, relative to that of the real ones.
        added: how much more error it has than the worst of its inputs.
        clipped: share of its results whose real number lies outside the range of its integers.
    """

    layer: str
    op: str
    correlation: float
    error: float
    added: float
    clipped: float


def layer_errors(model: Graph, quantized: Graph, samples: np.ndarray) -> tuple[LayerError, ...]:
    """Runs both forms on every sample.

    Args:
        model: as it was imported.
        quantized: the same with quantize nodes around every layer; `model` where it has them.
        samples: f32 [N,H,W,C] in the model's units; several inputs packed.

    Returns:
        the input, and the layers in the order of the network; what only moves elements is left out.
    """
    integers, origins = integerize_traced(quantized)
    origins = {**origins, integers.outputs[0]: logits_of(model, integers)}
    sums = {value: _Sums() for value in (*integers.inputs, *_results(integers)) if value in origins}
    machine, own_ranges = Machine(DenseToConv()(integers)), is_quantized(model)
    for sample in samples:
        given = packed.unpacked(model.inputs, sample[None])
        reals = run_float(model, given, dtype=np.float64, rounded=False)
        q = packed.quantized(integers.inputs, sample[None])
        found = machine.run(packed.unpacked(integers.inputs, q))
        for value, total in sums.items():
            total.add(value, found[value], reals[origins[value]], own_ranges)
    return _table(integers, sums)


def _results(integers: Graph) -> list[Value]:
    return [node.output for node in integers.nodes if not traits_of(node).moves]


def _table(integers: Graph, sums: Mapping[Value, _Sums]) -> tuple[LayerError, ...]:
    errors = {value: total.error for value, total in sums.items()}
    inputs = [value for value in integers.inputs if value in sums]
    rows = []
    for place, value in enumerate(inputs):
        t = sums[value]
        name = INPUT if len(inputs) == 1 else f"{INPUT}_{place}"
        rows.append(LayerError(name, "quantize", t.correlation, t.error, t.error, t.clipped_share))
    for node in integers.nodes:
        before = max((errors.get(value, 0.0) for value in node.inputs), default=0.0)
        total = sums.get(node.output)
        if total is None:
            # A move, or a step between that stands for nothing of the model's own.
            errors[node.output] = before
            continue
        rows.append(_row(node, total, max(0.0, total.error - before)))
    return tuple(rows)


def _row(node: Node, total: _Sums, added: float) -> LayerError:
    return LayerError(
        node.layer, node.op, total.correlation, total.error, added, total.clipped_share
    )


@dataclass
class _Sums:
    """Of the results of one layer: s8 as reals (a) and the real ones (b)."""

    count: int = 0
    clipped: int = 0
    moments: np.ndarray = field(default_factory=lambda: np.zeros(6))

    def add(self, value: Value, q: np.ndarray, real: np.ndarray, own_ranges: bool) -> None:
        """One sample.

        Args:
            own_ranges: the model brought its quantization, whose ranges are bounds of its own.
        """
        meaning = quantization(value)
        scales = meaning.scales(value.type.shape[-1])
        a, b = (q.astype(np.float64) - meaning.zero_point) * scales, real.reshape(q.shape)
        low, high = (scales * (end - meaning.zero_point) for end in value.type.dtype.limits)
        # A range that ends in zero stands for a relu, which loses nothing.
        below = (b < low - scales / 2) & ~((low == 0.0) & own_ranges)
        self.clipped += int(np.count_nonzero(below | (b > high + scales / 2)))
        if own_ranges:
            b = np.clip(b, low, high)
        self.count += b.size
        self.moments += [
            a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum(), ((a - b) ** 2).sum(),
        ]  # fmt: skip

    @property
    def error(self) -> float:
        """Relative to the root mean square of the real ones."""
        largest = max(self.moments[3], 1e-30)
        return float(np.sqrt(self.moments[5] / largest)) if self.moments[5] else 0.0

    @property
    def correlation(self) -> float:
        """Of a and b."""
        a, b, aa, bb, ab, _ = self.moments / max(self.count, 1)
        spread = (aa - a * a) * (bb - b * b)
        if spread <= 1e-24 * max(aa * bb, 1e-300):
            return 1.0 if self.error < 1e-3 else 0.0
        return float((ab - a * b) / np.sqrt(spread))

    @property
    def clipped_share(self) -> float:
        """Of all results."""
        return self.clipped / max(self.count, 1)

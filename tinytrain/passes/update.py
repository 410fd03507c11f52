"""Adds the updates: SGD with quantization-aware scaling folded into its constants.

QAS multiplies the gradient with respect to an integer weight by s_w^-2; with gradients in the real
domain that is a step of rate·dW·s_x/s_w on the integer (docs/arithmetic.md section 6), so it costs
nothing on the device. Neither does a rate of a single layer, nor leaving QAS out.

Momentum, accumulation and clipping put a velocity between gradient and weight: the same kernels
update it instead of the weight, and `apply_*` nodes at the end of the graph apply it. With Adam the
velocity holds gradients at a scale of their own, and `adam_*` nodes apply it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.ops_update import VELOCITY_BITS, VELOCITY_RESOLUTION
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType, TensorType

FRACTION_BITS = (0, 2, 4, 8)


@dataclass(frozen=True)
class UpdateRule:
    """What becomes of a gradient.

    Attributes:
        rounding: of what is cut off an update.
        fraction_bits: kept below each trained s8 weight, one of `FRACTION_BITS`.
        momentum: share of a velocity that is left behind a step that applies it, 0 to 0.999.
        accumulate: steps whose mean gradient is applied together, at least 1.
        clip_norm: largest norm of what is applied, over the rate; None does not clip.
        weight_decay: share of a weight that a step of rate 1 takes off it, 0 to 1.
        qas: False leaves quantization-aware scaling out.
        adam: True divides by the root of a second moment.
    """

    rounding: Rounding = Rounding.STOCHASTIC
    fraction_bits: int = 4
    momentum: float = 0.0
    accumulate: int = 1
    clip_norm: float | None = None
    weight_decay: float = 0.0
    qas: bool = True
    adam: bool = False

    @property
    def has_velocity(self) -> bool:
        """Whether gradients wait in a velocity before they are applied."""
        return self.adam or self.momentum > 0 or self.accumulate > 1 or self.clip_norm is not None


@dataclass(frozen=True)
class Update:
    """Every gradient of the graph becomes an update of its parameter.

    Attributes:
        rule: what becomes of a gradient.
        rates: factors on the learning rate by layer; 1 for those that it leaves out.
        moves: for Adam, by the name of a parameter, how far a step of rate 1 moves it, in units of
            its integer; 1 for those that it leaves out.
    """

    rule: UpdateRule
    rates: Mapping[str, float] = field(default_factory=dict)
    moves: Mapping[str, float] = field(default_factory=dict)
    name: ClassVar[str] = "update"
    summary: ClassVar[str] = (
        "adds SGD with quantization-aware scaling in its constants; with momentum, accumulation, "
        "clipping or Adam, a velocity and the nodes that apply it"
    )

    def __call__(self, graph: Graph) -> Graph:
        builder = GraphBuilder(graph)
        parameter_of = {
            total: parameter for parameter, sums in graph.gradients.items() for total in sums
        }
        builder.outputs = [value for value in graph.outputs if value not in parameter_of]
        builder.nodes = []
        builder.accumulate = self.rule.accumulate
        builder.gradients = {}
        input_scale = self._input_scales(graph)
        changed: dict[Value, _Changed] = {}
        for node in graph.nodes:
            builder.nodes.append(node)
            parameter = parameter_of.get(node.outputs[0])
            if parameter is not None:
                scale = input_scale[node.layer]
                known = changed.get(parameter)
                changed[parameter] = self._update(builder, node, parameter, scale, known)
        self._apply(builder, list(changed.values()))
        return builder.build()

    def _update(
        self,
        builder: GraphBuilder,
        node: Node,
        parameter: Value,
        scale: float,
        known: _Changed | None,
    ) -> _Changed:
        """One gradient of a parameter, applied behind those that are `known` already."""
        total = node.output
        is_bias = parameter.type.dtype is DType.S32
        bits = 0 if is_bias else self.rule.fraction_bits
        trained = (parameter, *([builder.fractions[parameter]] if bits else []))
        target, resolution = trained, bits
        velocity: tuple[Value, ...] = ()
        if self.rule.has_velocity:
            target = velocity = known.velocity if known else _velocity(builder, parameter)
            bits, resolution = 0 if is_bias else VELOCITY_BITS, VELOCITY_RESOLUTION
        optional: dict[str, Any] = {} if self.rule.qas else {"unscaled": True}
        if self.rule.adam:
            # The size of a gradient cancels out: what counts is that the velocity can hold it.
            optional |= {"unit_rate": True, "layer_rate": self._fitting(parameter)}
        elif self.rates.get(node.layer, 1.0) != 1.0:
            optional["layer_rate"] = self.rates[node.layer]
        outputs = builder.node(
            "sgd_bias" if is_bias else "sgd_weight",
            [total, *(known.now if known else target)],
            [value.type for value in target],
            name=f"{target[0].name}_new",
            layer=node.layer,
            where=node.where,
            fraction_bits=bits,
            resolution=resolution,
            rule=self.rule.rounding.value,
            exponent=total.type.exponent or "",
            input_scale=scale,
            **optional,
        )
        if not self.rule.has_velocity:
            builder.updates.update(zip(trained, outputs, strict=True))
            return _Changed(node, trained, outputs, (), ())
        return _Changed(known.gradient if known else node, trained, trained, velocity, outputs)

    def _fitting(self, parameter: Value) -> float:
        """The factor on a gradient, a power of two, with which it fits a velocity.

        Of the samples that were measured the largest root mean square of a channel is then between
        a half and a whole unit of the trained integer, of which a velocity holds 8. A bias has
        more bits below, so that its largest may be 2^12 units.
        """
        most = 2.0**12 if parameter.type.dtype is DType.S32 else 1.0
        move = self.moves.get(parameter.name, 0.0) * self.rule.accumulate
        return 2.0 ** math.floor(math.log2(most / move)) if move > 0 else 1.0

    def _apply(self, builder: GraphBuilder, changed: Sequence[_Changed]) -> None:
        rule = self.rule
        if rule.adam:
            for tensor in changed:
                self._adam(builder, tensor)
            return
        factor: tuple[Value, ...] = ()
        if rule.clip_norm is not None:
            velocities = [value for tensor in changed for value in tensor.velocity_now]
            (last,) = changed[-1:]
            factor = builder.node(
                "clip_factor",
                velocities,
                [TensorType((1,), DType.S32)],
                name="clip_factor",
                layer=last.gradient.layer,
                limit=rule.clip_norm,
            )
        for tensor in changed:
            is_bias = tensor.trained[0].type.dtype is DType.S32
            if not tensor.velocity and (is_bias or rule.weight_decay == 0):
                continue
            attrs: dict[str, object] = {} if is_bias else {"fraction_bits": rule.fraction_bits}
            old = (*tensor.trained, *tensor.velocity)
            outputs = builder.node(
                "apply_bias" if is_bias else "apply_weight",
                [*factor, *tensor.trained_now, *tensor.velocity_now],
                [value.type for value in old],
                name=f"{tensor.trained[0].name}_applied",
                layer=tensor.gradient.layer,
                where=tensor.gradient.where,
                rule=rule.rounding.value,
                velocity=bool(tensor.velocity),
                clip=bool(factor),
                momentum=rule.momentum,
                decay=0.0 if is_bias else rule.weight_decay,
                **attrs,
            )
            builder.updates.update(zip(old, outputs, strict=True))

    def _adam(self, builder: GraphBuilder, tensor: _Changed) -> None:
        rule, parameter = self.rule, tensor.trained[0]
        is_bias = parameter.type.dtype is DType.S32
        moments = 1 if is_bias else parameter.type.shape[0]
        second = builder.parameter(
            f"{parameter.name}_second",
            TensorType((moments,), DType.F32),
            np.zeros(moments, np.float32),
        )
        attrs: dict[str, object] = {}
        if not is_bias:
            attrs = {"fraction_bits": rule.fraction_bits, "decay": rule.weight_decay}
        if self.rates.get(tensor.gradient.layer, 1.0) != 1.0:
            attrs["layer_rate"] = self.rates[tensor.gradient.layer]
        old = (*tensor.trained, *tensor.velocity, second)
        outputs = builder.node(
            "adam_bias" if is_bias else "adam_weight",
            [*tensor.trained_now, *tensor.velocity_now, second],
            [value.type for value in old],
            name=f"{parameter.name}_applied",
            layer=tensor.gradient.layer,
            where=tensor.gradient.where,
            rule=rule.rounding.value,
            momentum=rule.momentum,
            **attrs,
        )
        builder.updates.update(zip(old, outputs, strict=True))

    def _input_scales(self, graph: Graph) -> dict[str, float]:
        scales = {}
        for node in graph.nodes:
            if traits_of(node).has_weights and node.inputs[0].type.quantization is not None:
                scales[node.layer] = node.inputs[0].type.quantization.scale[0]
        return scales


@dataclass(frozen=True)
class _Changed:
    """A trained tensor and its velocity: the parameters, and their values after `sgd_*`."""

    gradient: Node
    trained: tuple[Value, ...]
    trained_now: tuple[Value, ...]
    velocity: tuple[Value, ...]
    velocity_now: tuple[Value, ...]

    @property
    def now(self) -> tuple[Value, ...]:
        """The one of both that `sgd_*` writes, as it is now."""
        return self.velocity_now or self.trained_now


def _velocity(builder: GraphBuilder, trained: Value) -> tuple[Value, ...]:
    type_, name = trained.type, f"{trained.name}_velocity"
    start = np.zeros(type_.shape, type_.dtype.numpy)
    velocity = builder.parameter(name, type_, start)
    if type_.dtype is DType.S32:
        return (velocity,)
    size = (type_.size * VELOCITY_BITS + 7) // 8
    below = TensorType((size,), DType.U8)
    return velocity, builder.parameter(f"{name}_fraction", below, np.zeros(size, np.uint8))

"""Runs a graph in NumPy, to the bit as the device does.

`Machine` holds what outlives a step: parameters, scales of the gradients, seed, step count, learning rate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import forward, gradients, loss, lowering, update
from tinytrain.reference.lowering import zero_of

Observer = Callable[[Node, Mapping[Value, np.ndarray]], None]


@dataclass
class Scale:
    """State of one gradient's scale: docs/arithmetic.md section 5."""

    exponent: int = 0
    running_max: int = 0
    peak: int = 0


def update_indices(graph: Graph) -> dict[str, int]:
    """u of docs/arithmetic.md section 6: the place of each update among the updates, in graph order."""
    written = set(graph.updates.values())
    names = [node.name for node in graph.nodes if written.intersection(node.outputs)]
    return {name: index for index, name in enumerate(names)}


def scale_names(graph: Graph) -> list[str]:
    """Exponents that adapt: those that a node rounds to, in graph order. `loss_e` is always 0."""
    names: dict[str, None] = {}
    for node in graph.nodes:
        for value in node.outputs:
            if value.type.exponent and value.type.exponent != "loss_e" and node.op in ROUNDING:
                names[value.type.exponent] = None
    return list(names)


class Machine:
    """A graph with its state.

    Args:
        graph: forward or training graph.
        rate: learning rate.
        seed: of stochastic rounding.
        observer: called after each node with everything computed so far.
    """

    def __init__(
        self, graph: Graph, *, rate: float = 0.0, seed: int = 0, observer: Observer | None = None
    ) -> None:
        self.graph = graph
        self.parameters = {value: data.copy() for value, data in graph.parameters.items()}
        self.scales = {name: Scale() for name in scale_names(graph)}
        self.step = update.Step(rate=rate, seed=seed)
        self.active = True
        self._indices = update_indices(graph)
        self._observer = observer
        self._tables: dict[str, Any] = {}

    def exponent(self, value: Value) -> int:
        """E of a gradient."""
        name = value.type.exponent
        return self.scales[name].exponent if name in self.scales else 0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
        """Runs all nodes once; parameters and scales change as on the device.

        Args:
            inputs: by name; an s8 activation, the label, the target.

        Returns:
            every value.
        """
        known: dict[Value, np.ndarray] = {value: inputs[value.name] for value in self.graph.inputs}
        known.update(self.graph.constants)
        known.update(self.parameters)
        for scale in self.scales.values():
            scale.peak = 0
        for node in self.graph.nodes:
            results = EVALUATE[node.op](self, node, [known[value] for value in node.inputs])
            known.update(zip(node.outputs, results, strict=True))
            if self._observer is not None:
                self._observer(node, known)
        for parameter, value in self.graph.updates.items():
            self.parameters[parameter] = known[value]
        if self.graph.updates or self.scales:
            self._end_of_step()
        return known

    def _end_of_step(self) -> None:
        dtype = next((v.type.dtype for v in self.graph.values() if v.type.exponent), DType.F32)
        if self.active and dtype is not DType.F32:
            limit = gradients.limit(dtype.numpy)
            for scale in self.scales.values():
                scale.exponent, scale.running_max = update.scales_end(
                    scale.exponent, scale.running_max, scale.peak, limit
                )
        self.step = replace(self.step, count=(self.step.count + 1) % 2**32)

    def weights_bytes(self) -> bytes:
        """All parameters in the order of the graph, as the device saves them."""
        return b"".join(self.parameters[value].tobytes() for value in self.graph.parameters)

    def weights_sha256(self) -> str:
        """SHA-256 of `weights_bytes`."""
        return hashlib.sha256(self.weights_bytes()).hexdigest()

    def table(self, node: Node, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each node."""
        if node.name not in self._tables:
            self._tables[node.name] = make()
        return self._tables[node.name]

    def rescale(
        self, node: Node, sums: np.ndarray, shift: int, source: int, *, wide: bool = False
    ) -> np.ndarray:
        """Rounds sums to the output's integers and remembers the peak; f32 sums stay as they are."""
        dtype = node.output.type.dtype
        if dtype is DType.F32:
            return sums.astype(np.float32)
        scale = self.scales[node.output.type.exponent or ""]
        function = gradients.rescale64 if wide else gradients.rescale
        result, peak = function(sums, shift, source, scale.exponent, dtype.numpy)
        scale.peak = peak
        return result

    def index(self, node: Node) -> int:
        """u of an update node."""
        return self._indices[node.name]


Evaluate = Callable[[Machine, Node, list[np.ndarray]], tuple[np.ndarray, ...]]
EVALUATE: dict[str, Evaluate] = {}
ROUNDING = frozenset(
    {
        "conv2d_grad_input",
        "avg_pool2d_grad",
        "max_pool2d_grad",
        "activation_grad",
        "multiply_grad",
        "multiply_grad_broadcast",
        "grad_add",
    }
)


def evaluates(op: str) -> Callable[[Evaluate], Evaluate]:
    """Decorator: enters the evaluation of an operation into the table."""

    def enter(function: Evaluate) -> Evaluate:
        EVALUATE[op] = function
        return function

    return enter


def _geometry(node: Node) -> dict[str, Any]:
    return {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}


def _pooling(node: Node) -> dict[str, Any]:
    return {key: node.attrs[key] for key in ("strides", "padding")}


# ---- forward -----------------------------------------------------------------------------------------------


@evaluates("conv2d")
def _conv2d(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, b = data
    y = node.output
    if y.type.dtype is DType.S32:
        return (
            forward.conv2d_s32(x, w, b, zero_of(node.inputs[0]), **_geometry(node)).astype(
                np.int32
            ),
        )
    m, s = machine.table(node, lambda: lowering.conv_requant(node.inputs[0], node.inputs[1], y))
    zero = zero_of(node.inputs[0])
    return (
        forward.conv2d(x, w, b, zero, m, s, zero_of(y), node.attrs["clamp"], **_geometry(node)),
    )


@evaluates("add")
def _add(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    a, b = node.inputs
    m, s = machine.table(node, lambda: lowering.add_requant(a, b, node.output))
    zeros = zero_of(a), zero_of(b)
    return (
        forward.add(*data, *zeros, tuple(m), tuple(s), zero_of(node.output), node.attrs["clamp"]),
    )


@evaluates("multiply")
def _multiply(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    a, b = node.inputs
    m, s = machine.table(node, lambda: lowering.multiply_requant(a, b, node.output))
    zeros = zero_of(a), zero_of(b)
    return (forward.multiply(*data, *zeros, m[0], s[0], zero_of(node.output), node.attrs["clamp"]),)


@evaluates("avg_pool2d")
def _avg_pool2d(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    m, s = machine.table(node, lambda: lowering.avg_pool_requant(node) or (None, None))
    attrs = node.attrs
    return (
        forward.avg_pool2d(
            data[0],
            zero_of(node.inputs[0]),
            attrs["window"],
            attrs["clamp"],
            **_pooling(node),
            count_include_pad=attrs["count_include_pad"],
            multiplier=m,
            shift=s,
            zero=zero_of(node.output),
        ),
    )


@evaluates("max_pool2d")
def _max_pool2d(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return forward.max_pool2d(data[0], node.attrs["window"], node.attrs["clamp"], **_pooling(node))[
        :1
    ]


@evaluates("max_pool2d_winner")
def _max_pool2d_winner(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    return forward.max_pool2d(data[0], node.attrs["window"], node.attrs["clamp"], **_pooling(node))


@evaluates("activation")
def _activation(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (forward.lookup(machine.table(node, lambda: lowering.activation_table(node)), data[0]),)


@evaluates("concatenate")
def _concatenate(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (np.concatenate(data, axis=node.attrs["axis"]),)


@evaluates("reshape")
def _reshape(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (data[0].reshape(node.output.type.shape),)


@evaluates("transpose")
def _transpose(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (forward.transpose(data[0], node.attrs["axes"]),)


@evaluates("dequantize")
def _dequantize(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    q = lowering.quantization(node.inputs[0])
    return (forward.dequantize(data[0], q.zero_point, np.asarray(q.scale, np.float32)),)


@evaluates("clamp_mask")
def _clamp_mask(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (forward.clamp_mask(data[0], node.attrs["clamp"]),)


@evaluates("gather_channels")
def _gather_channels(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    return (forward.gather_channels(data[0], node.attrs["channels"]),)


@evaluates("slice")
def _slice(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    start = node.attrs["start"]
    indices = range(start, start + node.attrs["size"])
    return (np.take(data[0], indices, axis=node.attrs["axis"]),)


@evaluates("merge_channels")
def _merge_channels(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    axis, shape = node.attrs["axis"], node.output.type.shape
    merged = np.empty(shape, data[0].dtype)
    chosen = np.zeros(shape[axis], bool)
    chosen[list(node.attrs["channels"])] = True
    view = np.moveaxis(merged, axis, 0)
    view[chosen] = np.moveaxis(data[0], axis, 0)
    view[~chosen] = np.moveaxis(data[1], axis, 0)
    return (merged,)


# ---- loss --------------------------------------------------------------------------------------------------


@evaluates("softmax_cross_entropy")
def _cross_entropy(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    value, slope = loss.softmax_cross_entropy(data[0], int(data[1].ravel()[0]))
    return np.array([value], np.float32), slope


@evaluates("mean_squared_error")
def _mean_squared_error(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    value, slope = loss.mean_squared_error(*data)
    return np.array([value], np.float32), slope


@evaluates("quantize_gradient")
def _quantize_gradient(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    g, n, machine.active = gradients.quantize_gradient(data[0], node.output.type.dtype.numpy)
    machine.step = replace(machine.step, normaliser=n)
    return (g,)


# ---- gradients ---------------------------------------------------------------------------------------------


@evaluates("grad_clamp")
def _grad_clamp(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    if node.inputs[1].type.dtype is DType.BIT:
        return (gradients.grad_clamp_mask(*data),)
    return (gradients.grad_clamp(*data, node.attrs["clamp"]),)


@evaluates("grad_add")
def _grad_add(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    a, b = node.inputs
    sums, exponent = gradients.grad_add(*data, machine.exponent(a), machine.exponent(b))
    return (machine.rescale(node, sums, 8, exponent),)


def _factors(
    machine: Machine, node: Node, make: Callable[[], lowering.Factors]
) -> tuple[np.ndarray, int]:
    found = machine.table(node, make)
    is_real = node.inputs[0].type.dtype is DType.F32
    return (found.real if is_real else found.integer), found.shift


@evaluates("conv2d_grad_input")
def _conv2d_grad_input(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    g, w = node.inputs
    m, c = _factors(
        machine, node, lambda: lowering.conv_factors(w, node.attrs["groups"], g.type.dtype)
    )
    sums = gradients.conv2d_grad_input(*data, m, node.attrs["input_shape"], **_geometry(node))
    return (machine.rescale(node, sums, c, machine.exponent(g)),)


@evaluates("avg_pool2d_grad")
def _avg_pool2d_grad(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    m, c = _factors(machine, node, lambda: lowering.avg_pool_factors(node))
    attrs = node.attrs
    sums = gradients.avg_pool2d_grad(
        data[0],
        m,
        attrs["input_shape"],
        attrs["window"],
        **_pooling(node),
        count_include_pad=attrs["count_include_pad"],
    )
    return (machine.rescale(node, sums, c, machine.exponent(node.inputs[0])),)


@evaluates("max_pool2d_grad")
def _max_pool2d_grad(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    attrs = node.attrs
    sums = gradients.max_pool2d_grad(*data, attrs["input_shape"], attrs["window"], **_pooling(node))
    return (machine.rescale(node, sums, 0, machine.exponent(node.inputs[0])),)


@evaluates("activation_grad")
def _activation_grad(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    table = machine.table(node, lambda: lowering.activation_grad_table(node))
    return (
        machine.rescale(
            node, gradients.lookup_grad(*data, table), 6, machine.exponent(node.inputs[0])
        ),
    )


@evaluates("multiply_grad")
def _multiply_grad(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    g, other = node.inputs
    mu, k = lowering.multiply_mu(other)
    sums = gradients.multiply_grad(*data, zero_of(other), mu, lowering.scale_of(other))
    return (machine.rescale(node, sums, k, machine.exponent(g), wide=True),)


@evaluates("multiply_grad_broadcast")
def _multiply_grad_broadcast(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    g, other = node.inputs
    mu, k = lowering.multiply_mu(other)
    shape = node.output.type.shape
    per_channel = node.output.type.size == g.type.shape[-1]
    scale = lowering.scale_of(other)
    sums = gradients.multiply_grad_broadcast(
        *data, zero_of(other), mu, scale, per_channel=per_channel
    )
    return (machine.rescale(node, sums.reshape(shape), k, machine.exponent(g), wide=True),)


@evaluates("conv2d_grad_weight")
def _conv2d_grad_weight(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    zero = zero_of(node.inputs[0])
    return (gradients.conv2d_grad_weight(*data[:2], zero, node.attrs["kernel"], **_geometry(node)),)


@evaluates("bias_grad")
def _bias_grad(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return (gradients.bias_grad(data[0]),)


# ---- updates -----------------------------------------------------------------------------------------------


def _delta(
    machine: Machine, node: Node, sums: np.ndarray, trained: Value, positions: int, g: DType
) -> np.ndarray:
    rates = machine.table(node, lambda: lowering.update_rates(node.attrs, trained, positions, g))
    r = update.rounding(
        machine.step, machine.index(node), sums.shape, stochastic=node.attrs["rule"] == "stochastic"
    )
    if g is DType.F32:
        return update.deltas_f32(sums, rates.real, machine.step, r)
    name = node.attrs["exponent"]
    exponent = machine.scales[name].exponent if name in machine.scales else 0
    return update.deltas(
        sums, rates.multiplier, rates.shift, machine.step, exponent, rates.sum_shift, r
    )


@evaluates("conv2d_grad_weight_sgd")
def _conv2d_grad_weight_sgd(
    machine: Machine, node: Node, data: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    (sums,) = _conv2d_grad_weight(machine, node, data)
    g = node.inputs[1]
    positions = g.type.shape[1] * g.type.shape[2]
    d = _delta(machine, node, sums, node.inputs[2], positions, g.type.dtype)
    fraction = data[3] if len(data) > 3 else None
    w, fraction = update.apply_weights(data[2], fraction, node.attrs["fraction_bits"], d)
    return (w,) if fraction is None else (w, fraction)


@evaluates("bias_grad_sgd")
def _bias_grad_sgd(machine: Machine, node: Node, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    sums = gradients.bias_grad(data[0])
    g = node.inputs[0]
    positions = g.type.size // g.type.shape[-1]
    return (
        update.apply_bias(
            data[1], _delta(machine, node, sums, node.inputs[1], positions, g.type.dtype)
        ),
    )


def run_forward(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
    """All values of a forward graph.

    Raises:
        InternalError: a node has no evaluation, for example as it is f32.
    """
    missing = [node.name for node in graph.nodes if node.op not in EVALUATE]
    if missing:
        raise InternalError(f"no exact evaluation of {', '.join(missing)}")
    return Machine(graph).run(inputs)

"""The s8 nodes and constants that a float graph becomes, gathered one by one."""

from __future__ import annotations

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.limits import LARGEST_SCALE, LEAST_SCALE

_CALIBRATE = (
    "give calibration samples (--calibration) so that the rest is quantized too, or export the "
    "model with quantize and dequantize around every layer"
)


def missing(node: Node, what: str) -> ModelError:
    """The error about a layer that has no quantize or dequantize where it needs one."""
    return ModelError(
        f"'{node.op}' {what}, so the model is only partly quantized",
        where=node.where,
        help=_CALIBRATE,
    )


class IntegerNodes:
    """Nodes in any order, each for a node of a float graph.

    Attributes:
        constants: s8 and s32 data of the new nodes.
    """

    def __init__(self, graph: Graph) -> None:
        self.constants: dict[Value, np.ndarray] = {}
        self._graph = graph
        self._users = graph.users()
        self._place = {node: place for place, node in enumerate(graph.nodes)}
        self._emitted: list[tuple[int, Node]] = []

    def emit(
        self, float_node: Node, op: str, inputs: list[Value], type_: TensorType, **attrs: object
    ) -> Value:
        """A node that stands where `float_node` stood."""
        name = f"{op}_{len(self._emitted) + 1}_"
        output = Value(name, type_)
        node = Node(op, tuple(inputs), (output,), attrs, name, name, float_node.where)
        self._emitted.append((self._place[float_node], node))
        return output

    def like(self, node: Node, source: Value, meaning: Quantization | None) -> Value:
        """A float node of one input, on integers."""
        type_ = TensorType(node.output.type.shape, DType.S8, meaning)
        attrs = dict(node.attrs)
        if "fill" in attrs and meaning is not None:
            # The real zero that a float graph fills with is exactly the zero point.
            attrs["fill"] = meaning.zero_point
        return self.emit(node, node.op, [source], type_, **attrs)

    def rescaled(self, source: Value, meaning: Quantization, reader: Node) -> Value:
        """The same numbers with another quantization, for `reader`."""
        type_ = TensorType(source.type.shape, DType.S8, meaning)
        return self.emit(
            reader, "activation", [source], type_, function="identity", alpha=0.0, beta=0.0
        )

    def constant(self, value: Value) -> Value:
        """A constant operand of add or multiply as s8."""
        data = self._graph.constants[value]
        if value.type.dtype is DType.S8:
            self.constants[value] = data
            return value
        largest = float(np.abs(data).max()) or 1.0
        scale = float(np.float32(largest / 127))
        if not LEAST_SCALE <= scale <= LARGEST_SCALE:
            raise ModelError(
                f"a constant of the model is as large as {largest:.6g}, beyond what can be "
                "computed with",
                where=self._users[value][0].where,
                help="rescale the model so that its numbers are of ordinary size",
            )
        meaning = Quantization((scale,))
        held = Value(f"{value.name}_s8", TensorType(value.type.shape, DType.S8, meaning))
        rounded = np.rint(data.astype(np.float64) / scale)
        self.constants[held] = np.clip(rounded, -127, 127).astype(np.int8)
        return held

    def in_order(self) -> tuple[Node, ...]:
        """All nodes in the order of the float graph."""
        # The sort is stable: nodes that stand for one float node stay in the order of emission.
        return tuple(node for _, node in sorted(self._emitted, key=lambda item: item[0]))

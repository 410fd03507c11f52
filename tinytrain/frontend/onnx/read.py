"""Reads the nodes of an ONNX graph, in order, as calls of the vocabulary.

What depends on constants alone (the arithmetic of shapes that exporters write) is worked out by
ONNX's own reference evaluator, but for integers with a scale, which stay integers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.importing import quiet
from tinytrain.frontend.onnx.operands import OnnxOperands
from tinytrain.frontend.onnx.operations import OPERATIONS
from tinytrain.frontend.program import MAX_ELEMENTS, Call, Const, Program
from tinytrain.frontend.reader import Output, Reasons, choose_output
from tinytrain.frontend.refusals import Reason, unsupported

_OWN_INTEGERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_BRANCHES = frozenset({"If", "Loop", "Scan"})
_GROWING = frozenset({"ConstantOfShape", "Expand", "Tile", "Range"})
"""A few bytes of these could ask for all memory."""

_LOST = re.compile(r"/[^/]+:\d+$")
"""Names that TensorFlow gives to tensors inside a graph, which are no inputs of a model."""

_INPUTS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    10: "float32",
    11: "float32",
}
"""Dtypes of inputs by number of `onnx.TensorProto.DataType`; floats of any width are float32."""


def is_own(node: Any) -> bool:
    """Whether a node is of ONNX's main domain."""
    return node.domain in ("", "ai.onnx")


def operation_of(node: Any) -> str:
    """The name of a node's operation in `OPERATIONS`."""
    return str(node.op_type) if is_own(node) else f"{node.domain}.{node.op_type}"


def unread_operations(model: Any) -> list[Reason]:
    """What surely stands in the way, before any shape is known.

    What is made of constants and of shapes alone may be worked out once shapes are fixed.
    """
    fixed = {tensor.name for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        branches = node.op_type in _BRANCHES
        known = node.op_type in ("Shape", "Size") or fixed.issuperset(filter(None, node.input))
        if known and not branches:
            fixed.update(node.output)
        elif operation_of(node) not in OPERATIONS:
            found.append(unsupported(operation_of(node), node.name))
    return found


class _OnnxReader:
    def __init__(self, model: Any, file: str, notes: Sequence[str]) -> None:
        self.model = model
        self.graph = model.graph
        self.builder = ProgramBuilder(file)
        self.builder.notes.extend(notes)
        self.reasons = Reasons(self.builder)
        self.known: dict[str, Tensor] = {}
        self.readers = {name: node for node in self.graph.node for name in node.input}

    def run(self, output: str | None) -> Program:
        import onnx

        builder, graph = self.builder, self.graph
        for tensor in graph.initializer:
            data = onnx.numpy_helper.to_array(tensor)
            if data.dtype in (np.float16, np.float64):
                data = data.astype(np.float32)
            self.known[tensor.name] = Const(data, source=tensor.name)
        wanted = self._output(output)
        for given in graph.input:
            if given.name not in self.known:
                if _LOST.search(given.name):
                    self._lost(given)
                    continue
                shape = tuple(d.dim_value for d in given.type.tensor_type.shape.dim)
                dtype = _INPUTS.get(given.type.tensor_type.elem_type, "int64")
                self.known[given.name] = builder.input(given.name, shape, dtype)
        self.reasons.check_inputs()
        for node in self._needed(wanted):
            with builder.reading(node.name):
                self._read(node)
        self.reasons.check()
        return builder.finish(self.known[wanted])

    def _lost(self, given: Any) -> None:
        """A constant that an exporter made an input: a reason, if anything reads it."""
        shape = tuple(max(d.dim_value, 1) for d in given.type.tensor_type.shape.dim)
        self.known[given.name] = self.reasons.stand_in(shape)
        if given.name in self.readers:
            self.reasons.found.append(
                Reason(
                    f"the exporter lost the constant '{given.name}': it is an input of the graph, "
                    "and its numbers are not in the file",
                    self.readers[given.name].name,
                    "convert the Keras model to TFLite, or normalise with Rescaling or "
                    "BatchNormalization in place of Normalization",
                )
            )

    def _output(self, output: str | None) -> str:
        made = {name: node for node in self.graph.node for name in node.output}

        def operation(name: str) -> str:
            node = made.get(name)
            passed = ("DequantizeLinear", "Identity", "Cast", "ZipMap", "Normalizer", "Reshape")
            while node is not None and node.op_type in passed:
                node = made.get(node.input[0])
            return node.op_type if node is not None else ""

        outputs = [
            Output(
                value.name,
                tuple(d.dim_value for d in value.type.tensor_type.shape.dim),
                operation(value.name),
            )
            for value in self.graph.output
        ]
        if output is not None and output in made and output not in {o.name for o in outputs}:
            return output  # any tensor of the graph may be what is trained
        notes = self.builder.notes
        return outputs[choose_output(outputs, output, self.builder.file, notes)].name

    def _needed(self, output: str) -> list[Any]:
        wanted, needed = {output}, []
        for node in reversed(self.graph.node):
            if wanted.intersection(node.output):
                needed.append(node)
                wanted.update(node.input)
        return needed[::-1]

    def _read(self, node: Any) -> None:
        results: Sequence[Tensor] | None = self._constants(node)
        if results is None:
            if operation_of(node) not in OPERATIONS:
                self.reasons.found.append(unsupported(operation_of(node), node.name))
            else:
                results = self.reasons.attempt(
                    lambda: self._results(node), [self.known.get(name) for name in node.input]
                )
        for place, name in enumerate(node.output):
            if results is None:
                self.known[name] = self.reasons.stand_in(self._likely_shape(node))
            elif place < len(results) and name:
                self.known[name] = self.builder.named(results[place], name)

    def _likely_shape(self, node: Any) -> tuple[int, ...]:
        found = [self.known[name] for name in node.input if name in self.known]
        return next((t.shape for t in found if isinstance(t, Call)), (1, 1))

    def _results(self, node: Any) -> Sequence[Tensor]:
        row = OPERATIONS[operation_of(node)]
        attributes = self._attributes(node, row.honoured | row.harmless)
        inputs = [self.known.get(name) if name else None for name in node.input]
        outputs = {value.name for value in self.graph.output}
        read = [k for k, name in enumerate(node.output) if name in self.readers or name in outputs]
        operands = OnnxOperands(
            self.builder, operation_of(node), inputs, attributes, max(read, default=0) + 1
        )
        results = row.read(operands)
        self._check_inputs(operands)
        return results

    def _check_inputs(self, operands: OnnxOperands) -> None:
        """Raises the error about an input that was not looked at: it may change the results."""
        for number, held in enumerate(operands.inputs):
            empty = isinstance(held, Const) and held.data.size == 0
            if held is not None and not empty and number not in operands.seen:
                raise self.builder.error(
                    f"input {number} of '{operands.kind}' is not supported here",
                    "export the model without it",
                )

    def _attributes(self, node: Any, known: frozenset[str]) -> dict[str, Any]:
        """All attributes as Python values.

        Raises:
            ModelError: one that is not known and not at its default.
        """
        import onnx

        found = {}
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            found[attribute.name] = value
            if attribute.name not in known and value != _default(node, attribute.name):
                raise self.builder.error(
                    f"the attribute {attribute.name} = {value} of '{node.op_type}' is not "
                    "supported",
                    "export the model without it",
                )
        return found

    # --- constants --------------------------------------------------------------------------------

    def _constants(self, node: Any) -> list[Tensor] | None:
        """Results of a node that reads constants alone; None where it does not."""
        if node.op_type in _OWN_INTEGERS or node.op_type in _BRANCHES:
            return None
        if not is_own(node):
            return None
        found = [self.known.get(name) for name in node.input if name]
        if not all(isinstance(tensor, Const) and tensor.scale is None for tensor in found):
            return None
        if operation_of(node) in OPERATIONS and node.op_type in ("Transpose", "Reshape"):
            return None  # worked out by the builder, which keeps the source of weights
        feeds = {n: np.asarray(self.known[n].real()) for n in node.input if n}  # type: ignore[union-attr]
        return self._evaluated(node, feeds)

    def _evaluated(self, node: Any, feeds: dict[str, np.ndarray]) -> list[Tensor] | None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        if node.op_type in _GROWING and _growth(node, feeds) > MAX_ELEMENTS:
            raise self.builder.error(
                f"'{node.op_type}' makes a constant that is larger than any target",
                "export the model again; it may be damaged",
            )
        values = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(data.dtype), data.shape
            )
            for name, data in feeds.items()
        ]
        results = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
        single = onnx.helper.make_model(
            onnx.helper.make_graph([node], "constants", values, results),
            opset_imports=list(self.model.opset_import),
        )
        try:
            with quiet():
                found = ReferenceEvaluator(single).run(None, feeds)
        # The evaluator raises whatever NumPy does, and errors of its own.
        except Exception as error:
            raise self.builder.error(
                f"'{node.op_type}' fails on the constants that it is given",
                "export the model again with fixed shapes",
            ) from error
        return [Const(np.asarray(value)) for value in found]


def _growth(node: Any, feeds: dict[str, np.ndarray]) -> float:
    """How many elements a node would make, from what it is given."""
    values = list(feeds.values())
    if node.op_type == "Range":
        start, limit, delta = (float(v.reshape(())) for v in values)
        return abs((limit - start) / delta) if delta else math.inf
    wanted = math.prod(float(n) for n in values[-1].reshape(-1)) if values else 1.0
    return wanted * (values[0].size if node.op_type == "Tile" else 1)


def _default(node: Any, name: str) -> Any:
    import onnx

    try:
        schema = onnx.defs.get_schema(node.op_type, domain=node.domain)
    except onnx.defs.SchemaError:
        return None
    known = schema.attributes.get(name)
    if known is None or not known.default_value.name:
        return None
    value = onnx.helper.get_attribute_value(known.default_value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def read(model: Any, file: str, output: str | None, notes: Sequence[str] = ()) -> Program:
    """The program of a checked model.

    Args:
        output: name of the tensor that is compiled; None takes the output of a classifier.

    Raises:
        ModelError: everything that stands in the way.
    """
    return _OnnxReader(model, file, notes).run(output)

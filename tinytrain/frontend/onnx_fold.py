"""Computes, before the import, what an ONNX graph computes from shapes and small constants.

Exporters write `Reshape(x, Concat(Shape(x)[0], -1))` and paddings built from a dozen nodes. With a
fixed input shape all of that is constant. Weights stay as they are: only integers and booleans are
folded, up to `LARGEST` elements.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.importing import quiet

Shapes = dict[str, tuple[int, ...]]
LARGEST = 4096
_ROUNDS = 16
_FOLDED = frozenset(
    {
        "Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor",
        "Gather", "Identity", "Max", "Min", "Mod", "Mul", "Neg", "Range", "ReduceProd", "Reshape",
        "Shape", "Size", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
        "Where",
    }
)  # fmt: skip


def fold_shapes(model: Any, file: str) -> Any:
    """The model with its shape arithmetic replaced by initializers.

    Raises:
        ModelError: shapes that contradict each other, or a nonsensical shape computation.
    """
    for _ in range(_ROUNDS):
        shapes = _shapes(model, file)
        if not _fold_once(model, shapes, file):
            break
    return model


def _shapes(model: Any, file: str) -> Shapes:
    import onnx

    with quiet():
        try:
            inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ModelError(
                "the shapes in the model contradict each other",
                where=Where(file),
                help="export the model again",
                detail=(lines[-1] if lines else type(error).__name__)[:200],
            ) from error
    known = {}
    graph = inferred.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            continue
        extents = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
        if all(extent >= 0 for extent in extents):
            known[value.name] = tuple(extents)
    return known


def _fold_once(model: Any, shapes: Shapes, file: str) -> bool:
    import onnx

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    constants[node.output[0]] = attribute.t
    outputs = {value.name for value in graph.output}
    kept, folded = [], False
    for node in graph.node:
        values = None
        if node.op_type in _FOLDED and not outputs.intersection(node.output):
            values = _evaluate(model, node, constants, shapes, file)
        if values is None:
            kept.append(node)
            continue
        folded = True
        for name, value in zip(node.output, values, strict=True):
            tensor = onnx.numpy_helper.from_array(np.asarray(value), name)
            constants[name] = tensor
            graph.initializer.append(tensor)
    if folded:
        del graph.node[:]
        graph.node.extend(kept)
    return folded


def _evaluate(
    model: Any, node: Any, constants: dict[str, Any], shapes: Shapes, file: str
) -> list[np.ndarray] | None:
    """Results of a node that reads small integer constants, or whose result is a known shape."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
        return [np.asarray(shapes[node.input[0]], dtype=np.int64)]
    if node.op_type == "Size" and node.input[0] in shapes:
        return [np.asarray(np.prod(shapes[node.input[0]], dtype=np.int64))]
    names = [name for name in node.input if name]
    if not names or any(name not in constants for name in names):
        return None
    # The size of what comes out is known beforehand, or the node is not evaluated: a few bytes of
    # ConstantOfShape, Expand, Tile or Range could otherwise ask for all memory.
    if any(math.prod(shapes.get(name, (LARGEST + 1,))) > LARGEST for name in node.output):
        return None
    feeds = {}
    for name in names:
        if math.prod(constants[name].dims) > LARGEST:
            return None
        feeds[name] = onnx.numpy_helper.to_array(constants[name])
    if any(value.dtype.kind not in "iub" for value in feeds.values()):
        return None
    small = onnx.helper.make_graph(
        [node],
        "fold",
        [onnx.helper.make_tensor_value_info(n, constants[n].data_type, None) for n in names],
        [onnx.helper.make_empty_tensor_value_info(n) for n in node.output],
    )
    single = onnx.helper.make_model(small, opset_imports=list(model.opset_import))
    try:
        with quiet():
            results = ReferenceEvaluator(single).run(None, feeds)
    except Exception as error:
        raise ModelError(
            f"the shape computation '{node.op_type}' fails on the constants that it is given",
            where=Where(file, node.name),
            help="export the model again with fixed shapes",
            detail=str(error).splitlines()[0][:200] if str(error) else None,
        ) from error
    return [np.asarray(value) for value in results]

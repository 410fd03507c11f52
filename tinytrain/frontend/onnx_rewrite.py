"""Writes Pad, Max and Min in other words, as TVM turns them into loops that nobody can read back.

Pad becomes an average pooling with a 1x1 window that counts its padding, which is the same thing;
Max and Min with a number become Clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinytrain.errors import ModelError, Where


def rewrite_nodes(model: Any, file: str) -> Any:
    """The model with Pad, Max and Min in other words.

    Raises:
        ModelError: padding with something other than zeros, or of the batch or the channels.
    """
    import onnx

    to_array = onnx.numpy_helper.to_array
    constants = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    constants[node.output[0]] = to_array(attribute.t)
                elif attribute.name in ("value_float", "value_int"):
                    constants[node.output[0]] = onnx.helper.get_attribute_value(attribute)
    nodes = [_rewritten(node, constants, file) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _rewritten(node: Any, constants: Mapping[str, Any], file: str) -> Any:
    if node.op_type == "Pad":
        return _pad(node, constants, file)
    if node.op_type in ("Max", "Min") and len(node.input) == 2:
        return _limit(node, constants)
    return node


def _limit(node: Any, constants: Mapping[str, Any]) -> Any:
    import onnx

    numbers = [name for name in node.input if name in constants and constants[name].size == 1]
    if len(numbers) != 1:
        return node
    (x,) = (name for name in node.input if name != numbers[0])
    inputs = [x, numbers[0]] if node.op_type == "Max" else [x, "", numbers[0]]
    return onnx.helper.make_node("Clip", inputs, list(node.output), name=node.name)


def _pad(node: Any, constants: Mapping[str, Any], file: str) -> Any:
    import onnx

    def wrong(what: str) -> ModelError:
        return ModelError(
            what,
            where=Where(file, node.name),
            help="pad height and width with zeros, best inside the convolution or pooling layer",
        )

    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if attributes.get("mode", b"constant") != b"constant":
        raise wrong("padding with something other than zeros is not supported")
    names = list(node.input) + [""] * (4 - len(node.input))
    if names[1] not in constants:
        raise wrong("the width of the padding is computed while the model runs")
    widths = [int(width) for width in constants[names[1]].reshape(-1)]
    if names[2]:
        value = constants.get(names[2])
        if value is None or value.size != 1 or float(value.reshape(-1)[0]) != 0.0:
            raise wrong("padding with something other than zeros is not supported")
    if names[3]:
        raise wrong("padding of chosen axes (the input 'axes') is not supported")
    rank = len(widths) // 2
    before, after = widths[:rank], widths[rank:]
    if not any(widths):
        return onnx.helper.make_node("Identity", [names[0]], list(node.output), name=node.name)
    if min(widths) < 0 or rank not in (3, 4) or any(before[:2] + after[:2]):
        raise wrong(f"padding by {before} before and {after} after each axis is not supported")
    return onnx.helper.make_node(
        "AveragePool",
        [names[0]],
        list(node.output),
        name=node.name,
        kernel_shape=[1] * (rank - 2),
        pads=before[2:] + after[2:],
        count_include_pad=1,
    )

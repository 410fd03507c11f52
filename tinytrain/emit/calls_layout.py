"""Moves of elements as calls of kernels."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.emit.calls import calls
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node


@calls("concatenate")
def _concatenate(context: EmitContext, node: Node) -> list[str]:
    axis, shape = node.attrs["axis"], node.output.type.shape
    element = node.output.type.dtype.numpy.itemsize
    rows = math.prod(shape[:axis])
    step = math.prod(shape[axis:]) * element
    lines, start, whole = [], 0, context.place(node.output)
    for value in node.inputs:
        nbytes = math.prod(value.type.shape[axis:]) * element
        target = f"(uint8_t *){whole} + {start}" if start else whole
        lines.append(
            context.kernel_call(node, rows, nbytes, context.place(value), nbytes, target, step)
        )
        start += nbytes
    return lines


@calls("slice")
def _slice(context: EmitContext, node: Node) -> list[str]:
    x, y, axis = node.inputs[0], node.output, node.attrs["axis"]
    element = x.type.dtype.numpy.itemsize
    rows = math.prod(x.type.shape[:axis])
    inner = math.prod(x.type.shape[axis + 1 :]) * element
    step, nbytes = x.type.shape[axis] * inner, y.type.shape[axis] * inner
    start = node.attrs["start"] * inner
    source = f"(const uint8_t *){context.place(x)} + {start}" if start else context.place(x)
    return [context.kernel_call(node, rows, nbytes, source, step, context.place(y), nbytes)]


@calls("gather_channels")
def _gather_channels(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    channels = np.array(node.attrs["channels"], np.uint16)
    name = context.array(f"{node.layer}_trained_channels", channels)
    element = x.type.dtype.numpy.itemsize
    rows, total = x.type.size // x.type.shape[-1], x.type.shape[-1]
    shape = element, rows, total
    return [context.kernel_call(node, *shape, name, len(channels), *context.places(x, y))]


@calls("reshape")
@calls("merge_channels")
def _nothing(context: EmitContext, node: Node) -> list[str]:
    return []


@calls("transpose")
def _transpose(context: EmitContext, node: Node) -> list[str]:
    x, axes = node.inputs[0], node.attrs["axes"]
    missing = 4 - len(axes)
    shape = (1,) * missing + x.type.shape
    padded = tuple(range(missing)) + tuple(axis + missing for axis in axes)
    shape_name = context.array(f"{node.name}_shape", np.array(shape, np.uint16))
    axes_name = context.array(f"{node.name}_axes", np.array(padded, np.uint8))
    element = x.type.dtype.numpy.itemsize
    places = context.places(x, node.output)
    return [context.kernel_call(node, element, shape_name, axes_name, *places)]

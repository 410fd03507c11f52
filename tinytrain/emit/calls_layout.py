"""Moves of elements as calls of kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinytrain.emit.calls import calls
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.kernel.nodes import SMALL_RANK


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


@dataclass(frozen=True)
class _Blocks:
    """How a part of a tensor lies in the whole, in bytes: `outer` times `count` blocks.

    Attributes:
        block: bytes of one index along the axis.
        start: of the first block in the whole.
        step: from one block of the part to the next, in the whole.
        whole, part: bytes of all indices along the axis, in each.
    """

    outer: int
    count: int
    block: int
    start: int
    step: int
    whole: int
    part: int


def _blocks(node: Node, whole: Value, part: Value) -> _Blocks:
    axis, element = node.attrs["axis"], whole.type.dtype.numpy.itemsize
    shape, count = whole.type.shape, part.type.shape[axis]
    block = math.prod(shape[axis + 1 :]) * element
    return _Blocks(
        math.prod(shape[:axis]),
        count,
        block,
        node.attrs["start"] * block,
        node.attrs.get("step", 1) * block,
        shape[axis] * block,
        count * block,
    )


@calls("slice")
def _slice(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    part = _blocks(node, x, y)
    place = context.place(x)
    source = f"(const uint8_t *){place} + {part.start}" if part.start else place
    if part.step == part.block:
        head = part.outer, part.part, source, part.whole
        return [context.kernel_call(node, *head, context.place(y), part.part)]
    blocks = part.outer, part.count, part.block, source, part.whole, part.step
    return [context.kernel_call(node, *blocks, context.place(y), part.part, part.block)]


@calls("pad")
def _pad(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    part = _blocks(node, y, x)
    if part.step == part.block:
        part = replace(part, count=1, block=part.part)
    head = y.type.nbytes, node.attrs["fill"], part.outer, part.count, part.block
    places = context.place(x), part.start, part.whole, part.step
    return [context.kernel_call(node, *head, *places, context.place(y))]


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
    missing = max(0, SMALL_RANK - len(axes))
    shape = (1,) * missing + x.type.shape
    padded = tuple(range(missing)) + tuple(axis + missing for axis in axes)
    shape_name = context.array(f"{node.name}_shape", np.array(shape, np.uint16))
    axes_name = context.array(f"{node.name}_axes", np.array(padded, np.uint8))
    element = x.type.dtype.numpy.itemsize
    head: tuple[object, ...] = (element, shape_name, axes_name)
    if len(axes) > SMALL_RANK:
        head = element, len(axes), shape_name, axes_name
    return [context.kernel_call(node, *head, *context.places(x, node.output))]

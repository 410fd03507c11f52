"""Operations that change no element, only where it is."""

from __future__ import annotations

from tinytrain.ir.graph import Node
from tinytrain.ir.ops import (
    Integers,
    Role,
    Signature,
    Traits,
    expect,
    register,
    same_dtype,
    with_axis,
)


@register(
    "concatenate",
    "tensors joined along `axis`",
    "axis",
    Traits(contract="tt_copy_rows", kind="concat", integers=Integers.RESCALED, within_range=True),
)
def _concatenate(node: Node) -> Signature:
    axis = node.attrs["axis"]
    shapes = [value.type.shape for value in node.inputs]
    expect(0 <= axis < len(shapes[0]), f"axis {axis} of {len(shapes[0])}-D tensors")
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    expect(len(rest) == 1, f"shapes {shapes} differ outside axis {axis}")
    joined = sum(shape[axis] for shape in shapes)
    return ((with_axis(shapes[0], axis, joined), (same_dtype(node),)),)


@register(
    "reshape",
    "the same elements in the same order under another shape",
    traits=Traits(
        integers=Integers.SAME, moves=True, within_range=True, in_place=(0,), same_bytes=True
    ),
)
def _reshape(node: Node) -> Signature:
    shape = node.output.type.shape
    expect(node.output.type.size == node.inputs[0].type.size, f"cannot reshape to {shape}")
    return ((shape, (same_dtype(node),)),)


@register(
    "transpose",
    "axes permuted: output axis k is input axis axes[k]",
    "axes",
    Traits(integers=Integers.SAME, moves=True, within_range=True),
)
def _transpose(node: Node) -> Signature:
    axes, shape = node.attrs["axes"], node.inputs[0].type.shape
    expect(sorted(axes) == list(range(len(shape))), f"axes {axes} of a {len(shape)}-D tensor")
    return ((tuple(shape[axis] for axis in axes), (same_dtype(node),)),)


@register(
    "slice",
    "`size` indices from `start` on along `axis`, every `step`-th where there is one",
    "axis start size",
    Traits(integers=Integers.SAME, moves=True, within_range=True),
    optional="step",
)
def _slice(node: Node) -> Signature:
    shape, axis = node.inputs[0].type.shape, node.attrs["axis"]
    _expect_inside(node, shape[axis], node.attrs["size"])
    return ((with_axis(shape, axis, node.attrs["size"]), (node.inputs[0].type.dtype,)),)


@register(
    "pad",
    "`fill` along `axis` until it has `extent` indices, x from `start` on, in every `step`-th "
    "where there is one",
    "axis start extent fill",
    Traits(contract="tt_pad", integers=Integers.SAME, moves=True, within_range=True),
    optional="step",
)
def _pad(node: Node) -> Signature:
    shape, axis = node.inputs[0].type.shape, node.attrs["axis"]
    _expect_inside(node, node.attrs["extent"], shape[axis])
    return ((with_axis(shape, axis, node.attrs["extent"]), (node.inputs[0].type.dtype,)),)


def _expect_inside(node: Node, extent: int, count: int) -> None:
    start, step = node.attrs["start"], node.attrs.get("step", 1)
    expect(start >= 0 and step >= 1, f"start {start}, step {step}")
    expect(start + (count - 1) * step < extent, "indices beyond the end")


@register(
    "gather_channels",
    "the listed indices of the last axis",
    "channels",
    Traits(contract="tt_gather_channels", role=Role.TRAINING, moves=True, within_range=True),
)
def _gather_channels(node: Node) -> Signature:
    x, channels = node.inputs[0].type, node.attrs["channels"]
    expect(min(channels) >= 0 and max(channels) < x.shape[-1], "channel out of range")
    expect(list(channels) == sorted(set(channels)), "channels are not ascending")
    return (((*x.shape[:-1], len(channels)), (x.dtype,)),)


@register(
    "merge_channels",
    "a view: `trained` holds indices `channels` of `axis`, `frozen` the others",
    "axis channels",
    Traits(role=Role.VIEW, moves=True, within_range=True),
)
def _merge_channels(node: Node) -> Signature:
    trained, frozen = (value.type for value in node.inputs)
    axis = node.attrs["axis"]
    total = trained.shape[axis] + frozen.shape[axis]
    expect(trained.shape[axis] == len(node.attrs["channels"]), "channels and trained part differ")
    expect(max(node.attrs["channels"]) < total, "channel out of range")
    return ((with_axis(trained.shape, axis, total), (trained.dtype,)),)

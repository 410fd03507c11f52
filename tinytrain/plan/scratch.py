"""Scratch that a kernel asks for in `tt_kernels.h`."""

from __future__ import annotations

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType


def is_depthwise(node: Node) -> bool:
    """Whether a convolution, or a gradient of one, runs on the depthwise kernels: one input channel a group."""
    groups = node.attrs["groups"]
    if node.op == "conv2d":
        channels = node.inputs[0].type.shape[3]
    elif node.op == "conv2d_grad_input":
        channels = node.attrs["input_shape"][3]
    else:
        channels = node.inputs[0].type.shape[3]
    return bool(groups == channels and groups > 1)


def scratch_bytes(node: Node) -> int:
    """Bytes of scratch for a node, 0 for most."""
    if node.op == "conv2d_grad_input" and not is_depthwise(node):
        return 4 * (node.attrs["input_shape"][3] // node.attrs["groups"])
    if node.op == "conv2d_grad_weight_sgd" and not is_depthwise(node):
        wide = 8 if node.inputs[1].type.dtype is DType.S16 else 4
        return wide * (node.inputs[0].type.shape[3] // node.attrs["groups"])
    return 0

"""Scratch that a kernel asks for in `tt_kernels.h`."""

from __future__ import annotations

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType


def is_depthwise(node: Node) -> bool:
    """Whether a convolution or its gradient has one input channel a group: depthwise kernels."""
    groups, channels = node.attrs["groups"], _input_channels(node)
    return bool(groups == channels and groups > 1)


def _input_channels(node: Node) -> int:
    if node.op == "conv2d_grad_input":
        return int(node.attrs["input_shape"][3])
    return node.inputs[0].type.shape[3]


def scratch_bytes(node: Node) -> int:
    """Bytes of scratch for a node, 0 for most: a sum for each input channel of a group."""
    if node.op not in ("conv2d_grad_input", "conv2d_grad_weight_sgd") or is_depthwise(node):
        return 0
    wide = node.op == "conv2d_grad_weight_sgd" and node.inputs[1].type.dtype is DType.S16
    return (8 if wide else 4) * (_input_channels(node) // int(node.attrs["groups"]))

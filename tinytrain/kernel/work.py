"""What is asked of a kernel: a contract of `tt_kernels.h` and the geometry of the call."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinytrain.ir.graph import Node


@dataclass(frozen=True)
class Window:
    """`tt_window`, field by field; 1 or 0 where a kernel has none."""

    in_h: int = 1
    in_w: int = 1
    in_c: int = 1
    out_h: int = 1
    out_w: int = 1
    out_c: int = 1
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    groups: int = 1

    @property
    def area(self) -> int:
        """Taps."""
        return self.kernel_h * self.kernel_w

    @property
    def macs(self) -> int:
        """Multiplications, taps in the padding counted."""
        outputs = self.out_h * self.out_w * self.out_c
        return outputs * self.area * (self.in_c // self.groups)


@dataclass(frozen=True, kw_only=True)
class Work(Window):
    """One node as a kernel sees it.

    Attributes:
        contract: name of the C function without the suffix of an instruction set, `tt_add_s8`.
        windowed: whether a window slides over a map, whose geometry then stands here.
        segments: columns of each segment of the weights, for kernels that read them.
        step: columns of a row of weights where a segment is a slice of them; 0 where it is all.
        listed: whether segments come with lists of channels.
        count: output channels of the largest call of a depthwise kernel; elements of an elementwise
            one; channels of a bias.
        rows: positions of a bias gradient.
        dtype: of the gradient, where there is one.
        fraction_bits: of the trained weights.
    """

    contract: str
    windowed: bool = False
    segments: tuple[int, ...] = ()
    listed: bool = False
    step: int = 0
    count: int = 0
    rows: int = 0
    dtype: str = "s8"
    fraction_bits: int = 0


def is_depthwise(node: Node) -> bool:
    """Whether a convolution or its gradient has one input channel a group: depthwise kernels."""
    groups = node.attrs["groups"]
    if node.op == "conv2d_grad_input":
        channels = int(node.attrs["input_shape"][3])
    else:
        channels = node.inputs[0].type.shape[3]
    return bool(groups == channels and groups > 1)


def spread(count: int, size: int) -> int:
    """Groups of `size` that hold `count`."""
    return math.ceil(count / size)

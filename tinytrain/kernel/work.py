"""What a node asks of a kernel: a contract of `tt_kernels.h` and the geometry of the call."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType


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


def work_of(graph: Graph, node: Node) -> Work | None:
    """What a node asks of its kernel, or None where there is one kernel for all."""
    if node.op in ("conv2d", "conv2d_grad_input", "conv2d_grad_weight_sgd"):
        return _convolution(graph, node)
    dtype = node.inputs[0].type.dtype.value
    size = node.inputs[0].type.size
    if node.op == "grad_clamp":
        mask = "_mask" if node.inputs[1].type.dtype is DType.BIT else ""
        return Work(contract=f"tt_grad_clamp{mask}_{dtype}", count=size, dtype=dtype)
    if node.op == "bias_grad_sgd":
        channels = node.inputs[0].type.shape[-1]
        return Work(
            contract=f"tt_bias_{dtype}_grad", count=channels, rows=size // channels, dtype=dtype
        )
    simple = {
        "add": "tt_add_s8",
        "clamp_mask": "tt_clamp_mask_s8",
        "grad_add": f"tt_grad_add_{dtype}",
    }
    if node.op in simple:
        return Work(contract=simple[node.op], count=size, dtype=dtype)
    return None


def _convolution(graph: Graph, node: Node) -> Work:
    depthwise = is_depthwise(node)
    dtype = DType.S8
    stem = "tt_depthwise_conv2d" if depthwise else "tt_conv2d"
    if node.op == "conv2d":
        x, w = node.inputs[0].type.shape, node.inputs[1]
        y = node.output.type
        kernel = w.type.shape[1:3]
        contract = f"{stem}_s8_s32" if y.dtype is DType.S32 else f"{stem}_s8"
        shapes = x, y.shape
    elif node.op == "conv2d_grad_input":
        g, w = node.inputs
        dtype, kernel = g.type.dtype, w.type.shape[1:3]
        contract = f"{stem}_{dtype.value}_grad_input"
        shapes = node.output.type.shape, g.type.shape
    else:
        x, g, w = node.inputs[0].type.shape, node.inputs[1], node.inputs[2]
        dtype, kernel = g.type.dtype, node.attrs["kernel"]
        contract = f"{stem}_{dtype.value}_grad_weight"
        shapes = x, g.type.shape
    columns, listed = _columns(graph, w, depthwise)
    reads_weights = node.op != "conv2d_grad_weight_sgd"
    (_, in_h, in_w, in_c), (_, out_h, out_w, out_c) = shapes
    stride_h, stride_w = node.attrs["strides"]
    dilation_h, dilation_w = node.attrs.get("dilation", (1, 1))
    return Work(
        contract=contract,
        in_h=in_h,
        in_w=in_w,
        in_c=in_c,
        out_h=out_h,
        out_w=out_w,
        out_c=out_c,
        kernel_h=kernel[0],
        kernel_w=kernel[1],
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        pad_top=node.attrs["padding"][0],
        pad_left=node.attrs["padding"][1],
        groups=node.attrs["groups"],
        segments=columns if reads_weights and not depthwise else (),
        listed=listed,
        count=max(columns) if depthwise else 0,
        dtype=dtype.value,
        fraction_bits=node.attrs.get("fraction_bits", 0),
    )


def _columns(graph: Graph, w: Value, depthwise: bool) -> tuple[tuple[int, ...], bool]:
    """Input channels, or output channels of a depthwise layer, of each part of the weights."""
    axis = 0 if depthwise else 3
    total = w.type.shape[axis]
    producer = graph.producers().get(w)
    if producer is None or producer.op != "merge_channels":
        return (total,), False
    chosen = len(producer.attrs["channels"])
    return (chosen, total - chosen), True


def spread(count: int, size: int) -> int:
    """Groups of `size` that hold `count`."""
    return math.ceil(count / size)

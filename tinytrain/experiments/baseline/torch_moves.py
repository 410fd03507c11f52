"""Slices and padding in PyTorch, of N samples at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tinytrain.ir.graph import Node

Function = Callable[..., Tensor]


def cut(node: Node) -> Function:
    """A slice of N samples."""
    attrs = node.attrs
    start, step = attrs["start"], attrs.get("step", 1)
    places = torch.arange(start, start + attrs["size"] * step, step)
    return lambda x: x.index_select(attrs["axis"], places)


def padded_by(node: Node, fill: float) -> Function:
    """A tensor of N samples among elements that are `fill`."""
    attrs, count = node.attrs, node.inputs[0].type.shape[node.attrs["axis"]]
    start, step = attrs["start"], attrs.get("step", 1)
    places = torch.arange(start, start + count * step, step)

    def pad(x: Tensor) -> Tensor:
        shape = list(x.shape)
        shape[attrs["axis"]] = attrs["extent"]
        return x.new_full(shape, fill).index_copy(attrs["axis"], places, x)

    return pad

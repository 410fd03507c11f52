"""`prove_ranges`: as much as a kernel holds is taken, one more is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, TensorType
from tinytrain.passes.base import Runner
from tinytrain.passes.prove_ranges import ProveRanges

S8, S16, F32, S32 = DType.S8, DType.S16, DType.F32, DType.S32


def value(name: str, dtype: DType, *shape: int) -> Value:
    return Value(name, TensorType(shape, dtype))


def graph_of(op: str, *inputs: Value, output: Value | None = None, **attrs: Any) -> Graph:
    """A graph of one node; the pass reads types alone, so no data of that size is needed."""
    y = output or value("y", S8, 1, 1, 1, 1)
    return Graph("one", inputs, (Node(op, inputs, (y,), attrs, "one", "one"),), (y,))


def products(count: int) -> Graph:
    x, w, b = value("x", S8, 1, 1, 1, count), value("w", S8, 1, 1, 1, count), value("b", S32, 1)
    return graph_of("conv2d", x, w, b)


def taps(count: int) -> Graph:
    """Products along the kernel's height, width and depth."""
    x, b = value("x", S8, 1, 512, 1, 1), value("b", S32, 1)
    return graph_of("conv2d", x, value("w", S8, 1, 512, 8, count // 4096), b)


def positions(op: str, dtype: DType, height: int, width: int) -> Graph:
    g = value("g", dtype, 1, height, width, 1)
    return graph_of(op, value("x", S8, 1, 1, 1, 1), g) if "weight" in op else graph_of(op, g)


def window(height: int, width: int) -> Graph:
    return graph_of("avg_pool2d", value("x", S8, 1, 1, 1, 1), window=(height, width))


def extent(size: int, axis: int, *, written: bool = False) -> Graph:
    shape = [1, 1, 1, 1]
    shape[axis] = size
    long = value("long", S8, *shape)
    if written:
        return graph_of("add", value("x", S8, 1, 1, 1, 1), output=long)
    return graph_of("add", long)


def terms(count: int) -> Graph:
    return graph_of("multiply_grad_broadcast", value("g", S8, count))


SUM_OPS = ("conv2d_grad_weight", "conv2d_grad_weight_sgd")
BIAS_OPS = ("bias_grad", "bias_grad_sgd")
LIMITS: dict[str, tuple[Graph, Graph, str]] = {
    "products": (products(32_768), products(32_769), "32,769 products in a sum"),
    "taps": (taps(32_768), taps(36_864), "36,864 products in a sum"),
    **{
        f"{op} {dtype.value}": (
            positions(op, dtype, most // 9, 9),
            positions(op, dtype, most // 9 + 9, 9),
            "positions",
        )
        for op in SUM_OPS
        for dtype, most in ((S8, 66_311), (S16, 2**19), (F32, 2**19))
        if dtype is S8
    },
    **{
        f"{op} {dtype.value}": (
            positions(op, dtype, 4096, 4096),
            positions(op, dtype, 4096, 4097),
            "16,781,312 positions, of which a kernel holds at most 16,777,216",
        )
        for op in SUM_OPS
        for dtype in (S16, F32)
    },
    **{
        op: (
            positions(op, S8, 256, 256),
            positions(op, S8, 256, 257),
            "65,792 positions, of which a kernel holds at most 65,536",
        )
        for op in BIAS_OPS
    },
    "window": (window(256, 256), window(256, 257), "65,792 elements in a window"),
    "terms": (terms(2**24 - 1), terms(2**24), "16,777,216 terms in a sum"),
    **{
        f"axis {axis}": (
            extent(65_535, axis),
            extent(65_536, axis),
            "65,536 elements along one axis, of which a kernel holds at most 65,535",
        )
        for axis in (1, 2, 3)
    },
    "a result": (
        extent(65_535, 2, written=True),
        extent(65_536, 2, written=True),
        "65,536 elements along one axis",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_kernel_holds_this_much_and_no_more(name: str) -> None:
    fits, too_much, wanted = LIMITS[name]
    assert ProveRanges()(fits) is fits
    with pytest.raises(ModelError, match=f"layer 'one' is too large for the kernels: .*{wanted}"):
        ProveRanges()(too_much)


def test_exactly_66_311_positions_of_s8_gradients() -> None:
    """127 * 255 * 66,311 is the largest sum below 2^31."""
    assert 127 * 255 * 66_311 < 2**31 <= 127 * 255 * 66_312
    for op in SUM_OPS:
        ProveRanges()(positions(op, S8, 1, 65_535))
        ProveRanges()(positions(op, S8, 3, 22_103))
        with pytest.raises(ModelError, match="66,312 positions"):
            ProveRanges()(positions(op, S8, 3, 22_104))


def test_what_is_no_map_may_be_longer() -> None:
    long = value("x", S8, 1, 100_000)
    ProveRanges()(graph_of("reshape", long))


def test_ranges_that_kernels_rely_on_are_proved() -> None:
    net = Net((1, 2, 2, 8200), 0)
    graph = net.finish(net.dense(net.flat(net.x), 3))
    with pytest.raises(ModelError, match=r"'dense_0' is too large.*32,800 products"):
        build_step(graph, Options(), Runner())


def test_a_bias_beyond_its_range_is_refused() -> None:
    graph = GRAPHS["signal"]()
    bias = next(value for value in graph.constants if value.type.shape == (8,))
    data = np.full(8, 2**30 + 1, np.int32)
    broken = replace(graph, constants={**graph.constants, bias: data})
    with pytest.raises(ModelError, match="its bias is larger"):
        build_step(broken, Options(), Runner())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_at_the_end_of_its_range_is_taken(sign: int) -> None:
    x, w, b = value("x", S8, 1, 1, 1, 1), value("w", S8, 1, 1, 1, 1), value("b", S32, 2)
    graph = graph_of("conv2d", x, w, b)
    full = np.array([0, sign * 2**30], np.int32)
    for held in ("constants", "parameters"):
        ProveRanges()(replace(graph, **{held: {b: full}}))
        with pytest.raises(ModelError, match="its bias is larger than 1,073,741,824 units"):
            ProveRanges()(replace(graph, **{held: {b: full + np.int32(sign)}}))

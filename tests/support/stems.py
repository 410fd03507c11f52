"""Random frozen stems: every operation that can be line-buffered, in every geometry."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.support.graphs import FULL, Net
from tinytrain.ir.graph import Graph, Value


@cache
def random_stem(seed: int, most: int = 8) -> Graph:
    """A network of 3 to `most` layers of random kinds, then a dense layer.

    Windows from 1 to 5 rows, strides to 3, padding that differs on all sides, dilation, groups,
    depthwise layers, residuals around one to three layers, pools and activations.
    """
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(9, 26, 2))
    net = Net((1, height, width, int(rng.integers(1, 5))), seed, f"stem_{seed}")
    x = net.x
    for _ in range(int(rng.integers(3, most))):
        before = x
        for _ in range(int(rng.integers(1, 4))):
            x = _layer(net, rng, x)
        if rng.random() < 0.5:
            x = _residual(net, rng, before, x)
        if min(x.type.shape[1:3]) < 5:
            break
    return net.finish(net.dense(net.flat(x), 4))


def _residual(net: Net, rng: np.random.Generator, before: Value, x: Value) -> Value:
    if before.type.shape != x.type.shape or before is net.x:
        return x
    return net.add(before, x, clamp=FULL if rng.random() < 0.5 else (-70, 80))


def _layer(net: Net, rng: np.random.Generator, x: Value) -> Value:
    _, height, width, channels = x.type.shape
    kind = rng.choice(["conv", "same", "depthwise", "point", "pool", "activation"])
    clamp = rng.choice(["relu", "full"])
    clamp = FULL if clamp == "full" else "relu"
    if kind == "activation":
        return net.activation(x, str(rng.choice(["hard_swish", "tanh", "relu6"])))
    if kind == "point":
        return net.conv(x, int(rng.integers(1, 9)), (1, 1), padding=(0, 0, 0, 0), clamp=clamp)
    if kind == "same":
        return net.conv(x, channels, clamp=clamp)
    kernel = tuple(
        int(min(k, s)) for k, s in zip(rng.integers(1, 6, 2), (height, width), strict=True)
    )
    strides = tuple(int(s) for s in rng.choice([1, 1, 1, 2, 3], 2))
    if kind == "pool":
        op = str(rng.choice(["avg_pool2d", "max_pool2d"]))
        padding = tuple(int(rng.integers(0, kernel[k % 2])) for k in range(4))
        more = {"count_include_pad": bool(rng.random() < 0.5)} if op == "avg_pool2d" else {}
        return net.pool(op, x, kernel, strides, padding, scaled=op == "avg_pool2d", **more)
    dilation = (1, 1)
    if max(kernel) * 2 < min(height, width) and rng.random() < 0.3:
        dilation = (2, int(rng.integers(1, 3)))
    padding = tuple(int(rng.integers(0, kernel[k % 2])) for k in range(4))
    groups, out = 1, int(rng.integers(1, 9))
    if kind == "depthwise":
        groups, out = channels, channels * int(rng.integers(1, 3))
    return net.conv(x, out, kernel, strides, padding, dilation, groups, clamp)

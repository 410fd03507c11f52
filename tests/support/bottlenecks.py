"""Random networks of inverted bottlenecks: narrow maps with wide ones between them."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.support.graphs import FULL, Net
from tinytrain.ir.graph import Graph, Value

OPTIONS = (
    {"scheme": "full"},
    {"scheme": "full", "gradient": "s16", "fraction_bits": 2},
    {"scheme": "bias", "update": "nearest"},
    {"scheme": "full", "momentum": 0.5, "fraction_bits": 0},
    {"scheme": "last-4", "gradient": "s16", "accumulate": 2, "fraction_bits": 8},
    {"scheme": "last-5", "clip_norm": 1.0},
)
"""What they train with, one after another."""


@cache
def bottlenecks(seed: int, blocks: int = 3) -> Graph:
    """A layer, some blocks, a global pool and a dense layer.

    A block widens its map by a pointwise layer, has none to two depthwise layers of one channel
    multiple, strides at times, and other activations at times, and narrows it; residuals where
    shapes agree. One block in four widens by a 3x3 layer and narrows by another.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(5, 10))
    net = Net((1, size, size + 1, 3), seed, f"bottlenecks_{seed}")
    x = net.conv(net.x, 8, clamp="relu")
    for _ in range(blocks):
        x = _block(net, rng, x)
    x = net.pool("avg_pool2d", x, x.type.shape[1:3], (1, 1), scaled=True, count_include_pad=False)
    return net.finish(net.dense(net.flat(x), 4))


def _block(net: Net, rng: np.random.Generator, x: Value) -> Value:
    wide = int(rng.choice([16, 24, 48, 64]))
    narrow = x.type.shape[3] if rng.random() < 0.6 else int(rng.choice([4, 8, 12]))
    window = {"kernel": (1, 1), "padding": (0, 0, 0, 0)}
    if rng.random() < 0.25:
        window = {}
    y = net.conv(x, wide, clamp="relu" if rng.random() < 0.7 else FULL, **window)
    if rng.random() < 0.4:
        y = net.activation(y, "hard_swish")
    for _ in range(int(rng.integers(0, 3))):
        strides = (2, 2) if rng.random() < 0.3 and min(y.type.shape[1:3]) > 3 else (1, 1)
        y = net.conv(y, wide, strides=strides, groups=wide, clamp="relu")
    y = net.conv(y, narrow, clamp=FULL, **window)
    return net.add(x, y) if x.type.shape == y.type.shape else y

"""Random networks with branches: residuals, concatenations, gates, forks, pools, strides."""

from __future__ import annotations

import random
from functools import cache

from tests.support.graphs import FULL, Net, at_scale
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph, Value
from tinytrain.passes.base import Runner

OPTIONS = (
    {"gradient": "s8", "fraction_bits": 4},
    {"gradient": "s8", "fraction_bits": 0, "momentum": 0.5, "scheme": "last-1"},
    {"gradient": "s16", "fraction_bits": 2, "accumulate": 2},
    {"gradient": "s16", "scheme": "bias", "clip_norm": 1.0},
    {"gradient": "f32", "fraction_bits": 8, "momentum": 0.9, "clip_norm": 0.5},
    {"gradient": "f32", "update": "nearest", "loss": "mean_squared_error"},
)
"""What the networks train with, one after another."""


SEEDS = range(12)
"""Of the networks whose plans are looked at."""


@cache
def step(seed: int) -> Compiled:
    """The training step of a network, with options of its own."""
    options = Options(learning_rate=0.01, seed=seed, **OPTIONS[seed % len(OPTIONS)])  # type: ignore[arg-type]
    return build_step(network(seed), options, Runner())


@cache
def network(seed: int) -> Graph:
    """A network of up to three blocks with branches of different widths and lengths."""
    rng = random.Random(seed)
    size = rng.randint(4, 9)
    net = Net((1, size, size, rng.randint(1, 4)), seed, f"random_{seed}")
    x = net.conv(net.x, rng.randint(2, 8), clamp="relu")
    for _ in range(rng.randint(1, 3)):
        x = rng.choice((_residual, _joined, _gated, _pooled))(net, x, rng)
    return net.finish(net.dense(net.flat(x), 3))


def _pointwise(net: Net, x: Value, width: int, clamp: object = FULL) -> Value:
    return net.conv(x, width, kernel=(1, 1), padding=(0, 0, 0, 0), clamp=clamp)


def _branch(net: Net, x: Value, width: int, rng: random.Random) -> Value:
    """One to three layers to `width` channels, widened on the way at times."""
    for _ in range(rng.randint(0, 2)):
        kind = rng.choice(("wide", "depthwise", "activation"))
        if kind == "wide":
            x = _pointwise(net, x, rng.randint(1, 16), "relu")
        elif kind == "depthwise":
            x = net.conv(x, x.type.shape[3], groups=x.type.shape[3], clamp="relu")
        else:
            x = net.activation(x, rng.choice(("hard_swish", "tanh")))
    return _pointwise(net, x, width)


def _residual(net: Net, x: Value, rng: random.Random) -> Value:
    width = rng.randint(1, 8)
    parts = [_branch(net, x, width, rng) for _ in range(rng.randint(2, 3))]
    if width == x.type.shape[3]:
        parts.append(x)
    rng.shuffle(parts)
    total = parts[0]
    for part in parts[1:]:
        total = net.add(total, part)
    return total


def _joined(net: Net, x: Value, rng: random.Random) -> Value:
    parts = [_branch(net, x, rng.randint(1, 5), rng) for _ in range(rng.randint(2, 4))]
    scale = parts[0].type.quantization
    parts = [parts[0], *(at_scale(net, part, scale) for part in parts[1:])]
    width = sum(part.type.shape[3] for part in parts)
    shape = (*x.type.shape[:3], width)
    return net.emit("concatenate", "concatenate", parts, shape, scaled=False, axis=3)


def _gated(net: Net, x: Value, rng: random.Random) -> Value:
    window = x.type.shape[1:3]
    squeezed = net.pool("avg_pool2d", x, window, (1, 1), scaled=True, count_include_pad=False)
    gate = _pointwise(net, squeezed, x.type.shape[3])
    return net.multiply(x, net.activation(gate, "hard_sigmoid", 1 / 6, 0.5))


def _pooled(net: Net, x: Value, rng: random.Random) -> Value:
    return net.pool("max_pool2d", x, (2, 2), (1, 1), (1, 1, 0, 0))

"""Kernels that are called for one slice of channels after another do what one call does."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.support.runtime.cases import (
    Conv,
    Rng,
    conv,
    counted,
    deltas,
    gradient,
    same,
    segments,
    sgd,
    shift_for,
)
from tests.support.runtime.kernels import SUFFIX, Kernels
from tests.support.runtime.memory import Block, Rescale, conv_window, workspaces_of
from tinytrain.reference import convolution, gradients, update

CASES = 40
integers = pytest.mark.parametrize("dtype", [np.int8, np.int16], ids=["s8", "s16"])


def slices_of(rng: Rng, channels: int, multiple: int = 1) -> list[range]:
    """Up to five runs of channels, in order, that begin at multiples."""
    ends = rng.integers(1, channels + 1, rng.integers(0, 5)) // multiple * multiple
    starts = sorted({0, channels, *ends.tolist()})
    return [range(a, b) for a, b in itertools.pairwise(starts)]


def one_group(rng: Rng) -> Conv:
    while True:
        found = conv(rng)
        if found.geometry["groups"] == 1:
            return found


def workspace_bytes_of(
    rng: Rng, shape: tuple[int, ...], w: np.ndarray, dtype: type, geometry: dict[str, Any]
) -> int:
    """Bytes of workspace with which the input gradient works in one of its ways."""
    window, _ = conv_window(shape, w, **geometry)
    name = f"conv2d_{SUFFIX[np.dtype(dtype)]}_grad_input"
    return int(rng.choice(workspaces_of(name, window, dtype)))


def factors_of(rng: Rng, c: Conv) -> np.ndarray:
    scale = np.exp2(rng.uniform(-12, 0, c.w.shape[0]))
    return convolution.conv2d_factors(scale, c.w[0, :, :, 0].size, 1)[0]


def scaled(rng: Rng, sums: np.ndarray, dtype: Any) -> tuple[tuple[int, ...], np.ndarray, int]:
    """Arguments of a `Rescale`, and the gradient and the peak that they give."""
    total = shift_for(rng, sums, dtype)
    source, target = (int(e) for e in rng.integers(-60, 61, 2))
    shift = total - target + source
    return (shift, source, target), *gradients.rescale(sums, shift, source, target, dtype)


@dataclass(frozen=True, eq=False)
class Whole:
    """An input gradient at once: its operands, its sums, and what they are rounded to."""

    c: Conv
    g: np.ndarray
    m: np.ndarray
    sums: np.ndarray
    rescale: Rescale
    expected: np.ndarray
    peak: int


def whole_of(rng: Rng, dtype: Any) -> Whole:
    c = one_group(rng)
    g, m = c.gradient(rng, dtype), factors_of(rng, c)
    sums = convolution.conv2d_grad_input(g, c.w, m, c.x.shape, **c.geometry)
    arguments, expected, peak = scaled(rng, sums, dtype)
    return Whole(c, g, m, sums, Rescale(*arguments), expected, peak)


@integers
def test_slices_of_the_outputs_add_up(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        whole = whole_of(rng, dtype)
        c, g, m, rescale = whole.c, whole.g, whole.m, whole.rescale
        sums = Block(np.zeros(c.x.shape, np.int32))
        rescale.add_to(sums)
        for part in slices_of(rng, c.w.shape[0]):
            chosen = slice(part.start, part.stop)
            operands = np.ascontiguousarray(g[..., chosen]), c.w[chosen], m[chosen]
            left = kernels.conv2d_grad_input(
                *operands,
                c.x.shape,
                rescale,
                segments=segments(rng, c.w.shape[3]),
                workspace_bytes=workspace_bytes_of(rng, c.x.shape, operands[1], dtype, c.geometry),
                **c.geometry,
            )
            assert (left.view(np.uint8) == 0x5A).all() and rescale.peak == 0
        same(sums.read(), whole.sums.astype(np.int32))
        same(kernels.round_sums(sums.read(), rescale, dtype), whole.expected)
        assert rescale.peak == whole.peak


@integers
def test_slices_of_the_inputs(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        whole = whole_of(rng, dtype)
        c, g, m, rescale = whole.c, whole.g, whole.m, whole.rescale
        for part in slices_of(rng, c.w.shape[3]):
            shape = (*c.x.shape[:3], len(part))
            workspace_bytes = workspace_bytes_of(rng, shape, c.w, dtype, c.geometry)
            found = kernels.conv2d_grad_input(
                g,
                c.w,
                m,
                shape,
                rescale,
                columns=part,
                workspace_bytes=workspace_bytes,
                **c.geometry,
            )
            same(found, np.ascontiguousarray(whole.expected[..., part.start : part.stop]))
        assert rescale.peak == whole.peak


@integers
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("bits", [0, 2, 4, 8])
def test_slices_of_weights(
    kernels: Kernels, rng: Rng, dtype: type, bits: int, depthwise: bool
) -> None:
    for _ in range(CASES // 2):
        c = conv(rng, depthwise=True) if depthwise else one_group(rng)
        if depthwise and c.w.shape[0] != c.x.shape[3]:
            continue
        g, row = c.gradient(rng, dtype), c.w[0].size
        sums = convolution.conv2d_grad_weight(c.x, g, c.x_zero, c.w.shape[1:3], **c.geometry)
        rule = sgd(rng, dtype, sums, bits, gradients.sum_shift(g[..., 0].size, dtype))
        low = update.pack_fraction(rng.integers(0, 2**bits, c.w.size), bits) if bits else None
        expected = update.apply_weights(c.w, low, bits, deltas(sums, rule))
        before = rule.counted()
        in_byte = 8 // bits if bits else 1
        for part in slices_of(rng, c.w.shape[0], in_byte // math.gcd(row, in_byte)):
            first, end = part.start * row, part.stop * row
            chosen = slice(part.start, part.stop)
            fraction = None if low is None else low[first * bits // 8 : -(-end * bits // 8)]
            x = np.ascontiguousarray(c.x[..., chosen]) if depthwise else c.x
            groups = {"groups": len(part)} if depthwise else {}
            actual, rest = kernels.conv2d_grad_weight(
                x,
                np.ascontiguousarray(g[..., chosen]),
                c.x_zero,
                rule.part(part.start, first),
                c.w[chosen],
                fraction,
                depthwise=depthwise,
                **{**c.geometry, **groups},
            )
            same(actual, expected[0][chosen])
            if bits:
                same(rest, expected[1][first * bits // 8 : -(-end * bits // 8)])
        assert rule.counted() == counted(sums, rule, before)


@integers
def test_slices_of_biases(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        g = gradient(rng, dtype, 1, *rng.integers(1, 8, 2), rng.integers(1, 40))
        sums = convolution.bias_grad(g)
        rule = sgd(rng, dtype, sums, int(rng.choice([0, 8, 24])), 0)
        bias = rng.integers(-5, 6, g.shape[3]).astype(np.int32)
        expected, before = update.apply_bias(bias, deltas(sums, rule)), rule.counted()
        for part in slices_of(rng, bias.size):
            chosen = slice(part.start, part.stop)
            of_slice = np.ascontiguousarray(g[..., chosen])
            found = kernels.bias_grad(of_slice, rule.part(part.start, part.start), bias[chosen])
            same(found, expected[chosen])
        assert rule.counted() == counted(sums, rule, before)

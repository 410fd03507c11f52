"""Depthwise kernels for cores with MVE, which work on strips of rows or on panels of channels."""

from __future__ import annotations

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import Kernel, is_alike
from tinytrain.kernel.mve import LARGE, REACH, padded_positions
from tinytrain.kernel.work import Work, spread

_TRANSPOSED = c_constant("tt_transpose_mve.h", "TT_TRANSPOSED")
_SUMS_BEHIND = c_constant("tt_sgd_mve.h", "TT_SUMS_BEHIND")
_CHANNELS = c_constant("tt_depthwise_conv2d_grad_input_mve.c", "CHANNELS")
_STRIPS_BYTES = c_constant("tt_depthwise_conv2d_mve.c", "TT_STRIPS_BYTES_MVE")


def _strips(work: Work) -> tuple[int, int, int, int]:
    """Bytes of a strip, strips of a map, strips at a time, vectors of a window."""
    groups = 2 if work.kernel_h > 4 or work.kernel_w > 4 else 1
    vectors = 1 if groups == 1 else 3 if work.kernel_w <= 5 else 4
    rows = 1
    if groups == 1 and work.dilation_h == 1:
        rows = (4 - work.kernel_h) // work.stride_h + 1
    reach = 3 * work.dilation_w
    if vectors == 4:
        reach = 7
    elif vectors == 3 and work.dilation_w == 1:
        reach = 4
    columns = (4 * spread(work.out_w, 4) - 1) * work.stride_w + reach + 1
    size = 64 * groups * columns
    strips = spread(work.out_h, rows)
    return size, strips, min(strips, max(1, _STRIPS_BYTES // size)), vectors


def _forward_workspace(work: Work) -> int:
    size, _, batch, _ = _strips(work)
    return size * batch


def _forward_in_place(work: Work) -> bool:
    """Whether all strips of sixteen channels are made before an output is written."""
    _, strips, batch, _ = _strips(work)
    return is_alike(work) and batch == strips


def _forward_fits(work: Work) -> bool:
    return (
        work.kernel_h <= 8
        and work.kernel_w <= 8
        and work.stride_w <= 2
        and (work.dilation_w == 1 or work.kernel_w <= 4)
        and (work.out_w + 3) * work.out_c <= REACH
    )


def _forward_cost(work: Work) -> float:
    size, strips, batch, vectors = _strips(work)
    paired = vectors == 1 and strips < work.out_h
    weave = spread(work.count, 16) * strips * (size * 15 / 64 + 110)
    loop = 15 if paired else 8 * vectors + 11
    fours = spread(work.out_w, 4) * (strips * 2 if paired else strips)
    channel = 80 + 14 * vectors
    return weave + work.count * (spread(strips, batch) * channel + fours * loop + strips * 10)


def _width(work: Work) -> int:
    return min(_CHANNELS, 16 * spread(work.count, 16))


def _grad_input_workspace(work: Work) -> int:
    width = _width(work)
    taps = 8 * (work.area + work.kernel_h + work.in_w * work.kernel_w)
    panel = 2 * work.out_h * work.out_w * width
    return taps + panel + (work.area + 2) * width + 2 * work.in_w


def _grad_input_fits(work: Work) -> bool:
    small = _grad_input_workspace(work) <= LARGE
    return work.in_c == work.out_c and 7 * work.area <= REACH and small


def _grad_input_cost(work: Work) -> float:
    taps = work.out_h * work.out_w * work.area * 0.7
    sixteens, blocks = spread(work.count, 16), spread(work.count, _width(work))
    positions = work.in_h * work.in_w
    panel = 11 * spread(work.count, 8) * work.out_h * work.out_w
    return panel + sixteens * (16 * taps + 50 * positions) + blocks * (8 * taps + 130 * positions)


def _grad_weight_workspace(work: Work) -> int:
    panels = _TRANSPOSED * (work.area + 1) * padded_positions(work)
    return panels + 8 * (work.area + _SUMS_BEHIND)


def _grad_weight_fits(work: Work) -> bool:
    near = 7 * work.area * padded_positions(work) <= REACH
    return near and _grad_weight_workspace(work) <= LARGE


def _grad_weight_cost(work: Work) -> float:
    padded = padded_positions(work)
    x = work.area * spread(work.in_c, 8) * (6 * padded + 60 * work.out_h)
    g = spread(work.out_c, 8) * 6 * padded
    update = 8 if work.fraction_bits in (0, 4) else 60
    row = work.area * (3 * padded / 16 + 1 + update) + 250 + padded / 4
    return x + g + work.out_c * row


DEPTHWISE_MVE = (
    Kernel(
        "tt_depthwise_conv2d_s8",
        "mve",
        "tt_depthwise_conv2d_mve.c",
        _forward_cost,
        _forward_workspace,
        _forward_fits,
        _forward_in_place,
        limits="a kernel of at most 8x8, or of 4 columns where they are dilated, a stride_w of 1 "
        f"or 2, and (out_w + 3) * out_c <= {REACH}",
    ),
    Kernel(
        "tt_depthwise_conv2d_s8_grad_input",
        "mve",
        "tt_depthwise_conv2d_grad_input_mve.c",
        _grad_input_cost,
        _grad_input_workspace,
        _grad_input_fits,
        is_alike,
        limits=f"out_c == in_c, 7 * kernel_h * kernel_w <= {REACH}, and at most {LARGE} bytes of "
        "workspace",
    ),
    Kernel(
        "tt_depthwise_conv2d_s8_grad_weight",
        "mve",
        "tt_depthwise_conv2d_grad_weight_mve.c",
        _grad_weight_cost,
        _grad_weight_workspace,
        _grad_weight_fits,
        limits=f"7 * kernel_h * kernel_w * positions <= {REACH}, positions being out_h * out_w "
        f"rounded up to 16, and at most {LARGE} bytes of workspace",
    ),
)
"""One row for each."""

"""Kernels for cores with MVE."""

from __future__ import annotations

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import Kernel, Variant, per_element
from tinytrain.kernel.work import Work, spread

_JOINED = c_constant("tt_conv2d_mve.c", "TT_JOINED_MVE")
_SHORT_WINDOW = c_constant("tt_conv2d_pack_mve.h", "TT_SHORT_WINDOW")
_TRANSPOSED = c_constant("tt_transpose_mve.h", "TT_TRANSPOSED")
_AT_ONCE = c_constant("tt_conv2d_grad_input_mve.c", "TT_POSITIONS_MVE")
_COLUMNS = c_constant("tt_columns_mve.h", "TT_RUN_COLUMNS")
_LANES = c_constant("tt_columns_mve.h", "TT_RUN_LANES")
_SUMS_BEHIND = c_constant("tt_sgd_mve.h", "TT_SUMS_BEHIND")
REACH = 65535  # of gather loads and scatter stores, bytes
LARGE = 32768  # workspace beyond which a portable kernel is the better choice, bytes


def _joined(work: Work) -> int:
    """Bytes of a copy of weights that are in segments."""
    size = work.area * work.in_c * work.out_c
    return size if len(work.segments) > 1 and work.groups == 1 and size <= _JOINED else 0


def _conv2d_is_direct(work: Work) -> bool:
    """Whether windows lie in the map as the kernel reads them."""
    whole = _joined(work) > 0 or (len(work.segments) == 1 and not work.listed)
    return (
        work.area == 1
        and whole
        and work.pad_top == work.pad_left == 0
        and (work.out_h - 1) * work.stride_h < work.in_h
        and (work.out_w - 1) * work.stride_w < work.in_w
    )


def _conv2d_workspace(work: Work) -> int:
    tables = 16 * spread(work.out_c, 4) + 32 * spread(work.out_c // work.groups, 4)
    joined = 8 * spread(_joined(work), 8)
    if _conv2d_is_direct(work):
        return tables + joined
    inputs = work.area * (work.in_c // work.groups)
    rows = 2 * inputs
    if (
        (len(work.segments) == 1 or joined > 0)
        and work.groups == 1
        and inputs <= _SHORT_WINDOW
        and work.out_c % 2 == 0
        and work.out_w >= 2
    ):
        rows = max(rows, _SHORT_WINDOW * work.out_w + 60 * work.out_c)
    return tables + joined + rows


def _conv2d_cost(work: Work) -> float:
    positions, outputs = work.out_h * work.out_w, work.out_c // work.groups
    pairs = spread(positions, 2)
    inputs = work.area * (work.in_c // work.groups)
    segments = (work.in_c,) if _joined(work) > 0 else work.segments
    chunks = [spread(work.area * count, 16) for count in segments]
    zeros = work.out_c * (2.5 * sum(chunks) + 8) + 0.9 * _joined(work)
    if _conv2d_is_direct(work) and inputs in (8, 16) and work.groups == 1:
        return zeros + positions * work.out_c * 3.15
    if not _conv2d_is_direct(work) and inputs <= _SHORT_WINDOW and work.groups == 1:
        return zeros + positions * (work.out_c * 6 + 12 * work.kernel_h + 8)
    slices = sum(spread(n, 3) for n in chunks)
    if _conv2d_is_direct(work) and slices == 1:
        loop = outputs * (1.75 * sum(chunks) + 2) * 2 + 60
    else:
        loop = outputs * (1.92 * sum(chunks) + 2.4) * 2 + 45 * slices + 80
    pack = 0 if _conv2d_is_direct(work) else 2 * (150 + 12 * work.area + inputs / 4)
    return zeros + pairs * work.groups * (loop + pack)


def _is_one_by_one(work: Work) -> bool:
    """Whether the windows are the positions of the map one by one."""
    return (
        work.area == 1
        and work.pad_top == work.pad_left == 0
        and (work.in_h, work.in_w) == (work.out_h, work.out_w)
        and (work.stride_h == 1 or work.in_h == 1)
        and (work.stride_w == 1 or work.in_w == 1)
    )


def _at_once(work: Work) -> int:
    """Positions in the panel, of a layer whose windows are the positions of the map."""
    return min(work.in_h * work.in_w, _AT_ONCE)


def _pointwise_workspace(work: Work, positions: int) -> int:
    lanes = spread(work.out_c // work.groups, _LANES)
    return 96 * spread(positions, 4) + 16 * lanes * positions


def _grad_input_workspace(work: Work) -> int:
    lanes = spread(work.out_c // work.groups, _LANES)
    if _is_one_by_one(work):
        return _pointwise_workspace(work, _at_once(work))
    return 96 * spread(work.in_w, 4) + 16 * lanes * work.out_h * work.out_w


def _grad_input_narrow(work: Work) -> list[Variant]:
    """Fewer positions at a time, in fours."""
    if not _is_one_by_one(work):
        return []
    return [
        Variant(_pointwise_workspace(work, at_once), _pointwise_cost(work, at_once))
        for at_once in (16, 8, 4)
        if at_once < _at_once(work)
    ]


def _grad_input_fits(work: Work) -> bool:
    rows = 7 * work.area * max(work.step, *work.segments)
    return rows <= REACH and 4 * work.in_c <= REACH and _grad_input_workspace(work) <= LARGE


def _pointwise_cost(work: Work, at_once: int) -> float:
    lanes, positions = spread(work.out_c // work.groups, _LANES), work.in_h * work.in_w
    blocks = sum(spread(count, _COLUMNS) for count in work.segments) * work.groups
    panel = 8.5 * work.groups * lanes * work.out_h * work.out_w
    parts = spread(positions, at_once)
    rounding = 16 * positions + 120 * parts if positions >= 4 else 200 * positions + 300
    return panel + blocks * (lanes * (9.5 * positions + 26 * parts) + rounding)


def _grad_input_cost(work: Work) -> float:
    if _is_one_by_one(work):
        return _pointwise_cost(work, _at_once(work))
    lanes, positions = spread(work.out_c // work.groups, _LANES), work.in_h * work.in_w
    blocks = sum(spread(count, _COLUMNS) for count in work.segments) * work.groups
    panel = 8.5 * work.groups * lanes * work.out_h * work.out_w
    taps = work.area / (work.stride_h * work.stride_w)
    runs = taps * work.in_h * lanes * (11 * work.in_w + 40)
    return panel + blocks * (runs + 16 * positions + 150 * work.in_h)


def padded_positions(work: Work) -> int:
    """Positions of a weight gradient's panels, in whole vectors."""
    return 16 * spread(work.out_h * work.out_w, 16)


def _grad_weight_workspace(work: Work) -> int:
    count = work.in_c // work.groups
    return (count + _TRANSPOSED) * padded_positions(work) + 8 * (count + _SUMS_BEHIND)


def _grad_weight_fits(work: Work) -> bool:
    return 7 * padded_positions(work) <= REACH and _grad_weight_workspace(work) <= LARGE


def _grad_weight_cost(work: Work) -> float:
    count, padded = work.in_c // work.groups, padded_positions(work)
    x = work.area * work.groups * spread(count, 8) * (6 * padded + 60 * work.out_h)
    g = work.area * spread(work.out_c, 8) * 6 * padded
    update = 8 if work.fraction_bits in (0, 4) else 60
    row = count * (2.1 * padded / 16 + 1 + update) + 170 + padded / 4
    return x + g + work.area * work.out_c * row


def _bias_cost(work: Work) -> float:
    return spread(work.count, 8) * (5 * work.rows + 115) + 300


MVE = (
    Kernel("tt_conv2d_s8", "mve", "tt_conv2d_mve.c", _conv2d_cost, _conv2d_workspace),
    Kernel("tt_conv2d_s8_s32", "mve", "tt_conv2d_mve.c", _conv2d_cost, _conv2d_workspace),
    Kernel(
        "tt_conv2d_s8_grad_input",
        "mve",
        "tt_conv2d_grad_input_mve.c",
        _grad_input_cost,
        _grad_input_workspace,
        _grad_input_fits,
        narrow=_grad_input_narrow,
        limits=f"7 * kernel_h * kernel_w * step <= {REACH} for the step of every segment, "
        f"4 * in_c <= {REACH}, and at most {LARGE} bytes of workspace",
    ),
    Kernel(
        "tt_conv2d_s8_grad_weight",
        "mve",
        "tt_conv2d_grad_weight_mve.c",
        _grad_weight_cost,
        _grad_weight_workspace,
        _grad_weight_fits,
        limits=f"7 * positions <= {REACH}, positions being out_h * out_w rounded up to 16, and at "
        f"most {LARGE} bytes of workspace",
    ),
    Kernel("tt_add_s8", "mve", "tt_add_mve.c", per_element(3.3)),
    Kernel("tt_clamp_mask_s8", "mve", "tt_clamp_mve.c", per_element(0.45)),
    Kernel("tt_grad_clamp_s8", "mve", "tt_clamp_mve.c", per_element(0.5)),
    Kernel("tt_grad_clamp_mask_s8", "mve", "tt_clamp_mve.c", per_element(0.4)),
    Kernel("tt_grad_add_s8", "mve", "tt_grad_add_mve.c", per_element(4.8)),
    Kernel("tt_bias_s8_grad", "mve", "tt_bias_mve.c", _bias_cost),
)
"""One row for each."""

"""The portable kernels: workspace, and what they cost on a Cortex-M7."""

from __future__ import annotations

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import (
    Cost,
    Kernel,
    Variant,
    is_alike,
    per_channel,
    per_element,
    per_mac,
    reads_ahead,
)
from tinytrain.kernel.work import Work

_POSITIONS = c_constant("tt_tile.h", "TT_POSITIONS")
_STRIP_ROWS = c_constant("tt_strip.h", "TT_STRIP_ROWS")
_STRIP_BYTES = c_constant("tt_strip.h", "TT_STRIP_BYTES")
_BAND_ROWS = c_constant("tt_depthwise_conv2d.c", "TT_BAND_ROWS")
_BAND_BYTES = c_constant("tt_depthwise_conv2d.c", "TT_BAND_BYTES")
_PAIRS = c_constant("tt_conv2d.c", "PAIRS")
_FEW_ROWS = c_constant("tt_conv2d.c", "TT_FEW_ROWS")


def _sum_bytes(work: Work) -> int:
    return 8 if work.dtype == "s16" else 4


def _reach(work: Work) -> int:
    """Columns from the first tap of a row of windows to the last."""
    return (work.out_w - 1) * work.stride_w + (work.kernel_w - 1) * work.dilation_w + 1


def _tile(work: Work) -> int:
    positions = _POSITIONS if work.out_h * work.out_w >= _POSITIONS else 1
    return positions * _position(work)


def _position(work: Work) -> int:
    return 4 * work.area * (work.in_c // work.groups)


def _narrow_tile(work: Work) -> list[Variant]:
    """Position by position."""
    cost = per_mac(6, 60)(work)
    return [Variant(_position(work), cost)] if _position(work) < _tile(work) else []


def _strip(work: Work) -> int:
    for outputs in range(min(work.out_h, _STRIP_ROWS), 0, -1):
        nbytes = _strip_of(work, outputs)
        if nbytes <= _STRIP_BYTES:
            break
    return nbytes


def _strip_of(work: Work, outputs: int) -> int:
    """Bytes of a strip that serves so many rows, and of their sums."""
    reach = (outputs - 1) * work.stride_h + (work.kernel_h - 1) * work.dilation_h + 1
    return 4 * (outputs * work.out_w + min(reach, work.in_h) * _reach(work))


def _rows_and_sums(work: Work) -> int:
    sums = work.in_c if work.area > 1 else 0
    return (24 * work.out_c + 4 * _POSITIONS * sums) // work.groups


def _narrow_rows(work: Work) -> list[Variant]:
    """Rows of some outputs at a time, for four inputs or for one."""
    outputs, sums = work.out_c // work.groups, 4 * work.in_c // work.groups
    per_product = 6 + 2 * (work.dtype != "s8")
    few = min(outputs, _FEW_ROWS)
    divided = ((min(outputs, 4 * few), _POSITIONS, 1.02), (few, _POSITIONS, 1.08), (few, 1, 1.6))
    found = [
        Variant(24 * rows + positions * sums, per_mac(factor * per_product, 30)(work))
        for rows, positions, factor in divided
    ]
    return [variant for variant in found if variant.workspace < _rows_and_sums(work)]


def _weight_sums(work: Work) -> int:
    sums = _sum_bytes(work) * (work.in_c // work.groups)
    return sums + 8 * min(work.out_h * work.out_w, _PAIRS)


def _band(work: Work) -> int:
    row = 4 * max(_reach(work), work.pad_left + work.in_w)
    whole = is_alike(work) and row * work.in_h <= _BAND_BYTES
    return row * (work.in_h if whole else min(work.in_h, _BAND_ROWS))


def _is_one_band(work: Work) -> bool:
    """Whether the sums of a channel are complete before any of them is written."""
    row = 4 * max(_reach(work), work.pad_left + work.in_w)
    return is_alike(work) and _band(work) == row * work.in_h


def _tap_sums(work: Work) -> int:
    return _sum_bytes(work) * work.area


def _weight_cost(factor: float) -> Cost:
    """By multiplications, and an update for each weight."""
    return lambda work: (
        factor * work.macs + 55 * work.out_c * work.area * (work.in_c // work.groups)
    )


PORTABLE = [
    Kernel("tt_conv2d_s8", "portable", "tt_conv2d.c", per_mac(4.5, 60), _tile, narrow=_narrow_tile),
    Kernel(
        "tt_conv2d_s8_s32", "portable", "tt_conv2d.c", per_mac(4.5, 40), _tile, narrow=_narrow_tile
    ),
    Kernel(
        "tt_depthwise_conv2d_s8",
        "portable",
        "tt_depthwise_conv2d.c",
        per_mac(7, 60),
        _strip,
        in_place=reads_ahead,
    ),
    Kernel("tt_add_s8", "portable", "tt_add.c", per_element(28)),
    Kernel("tt_clamp_mask_s8", "portable", "tt_clamp.c", per_element(7)),
]
"""Those with a cost: one row each, those of gradients for each of their types."""

for _dtype, _slower in (("s8", 0), ("s16", 2), ("f32", 2)):
    PORTABLE += [
        Kernel(
            f"tt_conv2d_{_dtype}_grad_input",
            "portable",
            "tt_conv2d.c",
            per_mac(6 + _slower, 30),
            _rows_and_sums,
            narrow=_narrow_rows,
        ),
        Kernel(
            f"tt_conv2d_{_dtype}_grad_weight",
            "portable",
            "tt_conv2d.c",
            _weight_cost(5 + _slower),
            _weight_sums,
        ),
        Kernel(
            f"tt_depthwise_conv2d_{_dtype}_grad_input",
            "portable",
            "tt_depthwise_conv2d.c",
            per_mac(12 + _slower, 30),
            _band,
            in_place=_is_one_band,
        ),
        Kernel(
            f"tt_depthwise_conv2d_{_dtype}_grad_weight",
            "portable",
            "tt_depthwise_conv2d.c",
            per_mac(12 + _slower, 30),
            _tap_sums,
        ),
        Kernel(f"tt_grad_clamp_{_dtype}", "portable", "tt_clamp.c", per_element(11)),
        Kernel(f"tt_grad_clamp_mask_{_dtype}", "portable", "tt_clamp.c", per_element(6)),
        Kernel(f"tt_grad_add_{_dtype}", "portable", "tt_grad_add.c", per_element(70)),
        Kernel(f"tt_bias_{_dtype}_grad", "portable", "tt_bias.c", per_channel(4)),
    ]

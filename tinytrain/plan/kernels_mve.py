"""Kernels for cores with MVE."""

from __future__ import annotations

from tinytrain.plan.kernel import Kernel, Rule, per_element, per_mac
from tinytrain.plan.work import Work, spread

_COLUMNS = 6  # TT_COLUMNS
_PANEL_POSITIONS = 32  # POSITIONS
_SHORT_WINDOW = 32  # TT_SHORT_WINDOW
_SHORT_ROWS = 120  # sizeof(tt_short_rows)
_TRANSPOSED = 8  # TT_TRANSPOSED
_SUMS_BEHIND = 6  # TT_SUMS_BEHIND
_STRIP_CHANNELS = 16  # TT_STRIP_CHANNELS
_JOINED = 16384  # JOINED_SIZE
_STRIPS_SIZE = 16384  # STRIPS_SIZE
_CHANNELS = 64  # CHANNELS
_REACH = 0xFFFF
"""Offsets of gathers and scatters of s16 lanes."""


def _up(value: int, step: int) -> int:
    return spread(value, step) * step


# ---- convolutions --------------------------------------------------------------------------------


def _joined(work: Work) -> int:
    """Bytes of the weights of all segments, where they are brought into one."""
    nbytes = work.area * work.in_c * work.out_c
    return nbytes if len(work.segments) > 1 and work.groups == 1 and nbytes <= _JOINED else 0


def _in_place(work: Work) -> bool:
    """Whether the window of every position is a row of the map."""
    return (
        work.area == 1
        and (_joined(work) > 0 or (len(work.segments) == 1 and not work.listed))
        and work.pad_top == 0
        and work.pad_left == 0
        and (work.out_h - 1) * work.stride_h < work.in_h
        and (work.out_w - 1) * work.stride_w < work.in_w
    )


def _conv2d_scratch(work: Work) -> int:
    nbytes = 4 * _up(work.out_c, 4) + 8 * _up(work.out_c // work.groups, 4)
    nbytes += _up(_joined(work), 8)
    if _in_place(work):
        return nbytes
    windows = 2 * work.area * (work.in_c // work.groups)
    short = _up(work.out_w, 2) * _SHORT_WINDOW + spread(work.out_c, 2) * _SHORT_ROWS
    return nbytes + max(windows, short)


def _is_pointwise(work: Work) -> bool:
    return (
        work.area == 1
        and (work.pad_top, work.pad_left) == (0, 0)
        and (work.in_h, work.in_w) == (work.out_h, work.out_w)
        and (work.stride_h == 1 or work.in_h == 1)
        and (work.stride_w == 1 or work.in_w == 1)
    )


def _input_scratch(work: Work) -> int:
    positions = min(work.in_h * work.in_w, _PANEL_POSITIONS)
    sums, panel = positions, positions
    if not _is_pointwise(work):
        sums, panel = work.in_w, work.out_h * work.out_w
    return 4 * _COLUMNS * _up(sums, 4) + 2 * _up(work.out_c // work.groups, 8) * panel


def _input_fits(work: Work) -> bool:
    near = all(7 * work.area * count <= _REACH for count in work.segments)
    return near and 4 * work.in_c <= _REACH


def _weight_scratch(work: Work) -> int:
    count, padded = work.in_c // work.groups, _up(work.out_h * work.out_w, 16)
    return (count + _TRANSPOSED) * padded + 8 * (count + _SUMS_BEHIND)


def _weight_fits(work: Work) -> bool:
    return 7 * _up(work.out_h * work.out_w, 16) <= _REACH


def _weight_cost(factor: float, update: float) -> Rule:
    return lambda work: (
        factor * work.macs + update * work.out_c * work.area * (work.in_c // work.groups)
    )


# ---- depthwise convolutions ----------------------------------------------------------------------


def _depthwise_fits(work: Work) -> bool:
    return (
        max(work.kernel_h, work.kernel_w) <= 8
        and work.stride_w <= 2
        and (work.dilation_w == 1 or work.kernel_w <= 4)
        and (work.out_w + 3) * work.out_c <= _REACH
    )


def _depthwise_scratch(work: Work) -> int:
    if not _depthwise_fits(work):
        return 0
    groups = 2 if max(work.kernel_h, work.kernel_w) > 4 else 1
    vectors = 1 if groups == 1 else 3 if work.kernel_w <= 5 else 4
    reach = 3 * work.dilation_w
    if vectors == 4:
        reach = 7
    elif vectors == 3 and work.dilation_w == 1:
        reach = 4
    rows = 1
    if groups == 1 and work.dilation_h == 1:
        rows = (4 - work.kernel_h) // work.stride_h + 1
    columns = (_up(work.out_w, 4) - 1) * work.stride_w + reach + 1
    size = columns * groups * 4 * _STRIP_CHANNELS
    strips = spread(work.out_h, rows)
    return size * max(1, min(_STRIPS_SIZE // size, strips))


def _depthwise_input_scratch(work: Work) -> int:
    width = _up(work.count, 16) if work.count < _CHANNELS else _CHANNELS
    taps = 8 * (work.area + work.kernel_h + work.in_w * work.kernel_w)
    panel = 2 * work.out_h * work.out_w * width
    return taps + panel + (work.area + 2) * width + 2 * work.in_w


def _depthwise_weight_scratch(work: Work) -> int:
    padded = _up(work.out_h * work.out_w, 16)
    return _TRANSPOSED * (work.area + 1) * padded + 8 * (work.area + _SUMS_BEHIND)


def _depthwise_weight_fits(work: Work) -> bool:
    return 7 * work.area * _up(work.out_h * work.out_w, 16) <= _REACH


MVE: dict[str, Kernel] = {
    "tt_conv2d_s8": Kernel("mve", per_mac(0.2, 3), _conv2d_scratch),
    "tt_conv2d_s8_s32": Kernel("mve", per_mac(0.2, 3), _conv2d_scratch),
    "tt_depthwise_conv2d_s8": Kernel("mve", per_mac(0.3, 6), _depthwise_scratch, _depthwise_fits),
    "tt_conv2d_s8_grad_input": Kernel("mve", per_mac(0.35, 8), _input_scratch, _input_fits),
    "tt_depthwise_conv2d_s8_grad_input": Kernel("mve", per_mac(0.8, 8), _depthwise_input_scratch),
    "tt_conv2d_s8_grad_weight": Kernel("mve", _weight_cost(0.2, 7), _weight_scratch, _weight_fits),
    "tt_depthwise_conv2d_s8_grad_weight": Kernel(
        "mve", _weight_cost(0.5, 15), _depthwise_weight_scratch, _depthwise_weight_fits
    ),
    "tt_add_s8": Kernel("mve", per_element(2.5)),
    "tt_clamp_mask_s8": Kernel("mve", per_element(0.4)),
    "tt_grad_clamp_s8": Kernel("mve", per_element(0.5)),
    "tt_grad_clamp_mask_s8": Kernel("mve", per_element(0.5)),
    "tt_grad_add_s8": Kernel("mve", per_element(4)),
    "tt_bias_s8_grad": Kernel("mve", lambda work: work.count * (0.3 * work.rows + 15) + 60),
}
"""By contract."""

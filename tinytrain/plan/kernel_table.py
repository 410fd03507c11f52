"""Kernels of `runtime_c`: for which work each serves, its scratch, and a model of its cost.

Costs are instructions, fitted to counts under emulation (docs/speed.md). They rank kernels and
estimate a step; nothing that the device computes depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.plan.work import Work, spread

Rule = Callable[[Work], float]


@dataclass(frozen=True)
class Kernel:
    """One implementation of a contract.

    Attributes:
        isa: the instruction set that it needs.
        suffix: of the C function's name.
        cost: instructions.
        scratch: bytes; exact, tests put guards behind them.
        fits: whether it may be called at all.
    """

    isa: str
    suffix: str
    cost: Rule
    scratch: Callable[[Work], int] = lambda work: 0
    fits: Callable[[Work], bool] = lambda work: True


def _per_element(factor: float) -> Rule:
    return lambda work: factor * work.count


def _per_channel(factor: float) -> Rule:
    return lambda work: work.count * (factor * work.rows + 60)


def _per_mac(factor: float, per_output: float) -> Rule:
    return lambda work: factor * work.macs + per_output * work.out_h * work.out_w * work.out_c


# ---- portable kernels ----------------------------------------------------------------------------

_POSITIONS = 4  # TT_POSITIONS
_ROWS = 8  # TT_STRIP_ROWS and TT_BAND_ROWS
_PAIRS = 64  # PAIRS


def _sum_bytes(work: Work) -> int:
    return 8 if work.dtype == "s16" else 4


def _reach(work: Work) -> int:
    """Columns from the first tap of a row of windows to the last."""
    return (work.out_w - 1) * work.stride_w + (work.kernel_w - 1) * work.dilation_w + 1


def _tile(work: Work) -> int:
    positions = _POSITIONS if work.out_h * work.out_w >= _POSITIONS else 1
    return 4 * positions * work.area * (work.in_c // work.groups)


def _strip(work: Work) -> int:
    outputs = min(work.out_h, _ROWS)
    reach = (outputs - 1) * work.stride_h + (work.kernel_h - 1) * work.dilation_h + 1
    return 4 * (outputs * work.out_w + min(reach, work.in_h) * _reach(work))


def _rows_and_sums(work: Work) -> int:
    sums = work.in_c if work.area > 1 else 0
    return (24 * work.out_c + 4 * _POSITIONS * sums) // work.groups


def _weight_sums(work: Work) -> int:
    sums = _sum_bytes(work) * (work.in_c // work.groups)
    return sums + 8 * min(work.out_h * work.out_w, _PAIRS)


def _band(work: Work) -> int:
    return 4 * min(work.in_h, _ROWS) * max(_reach(work), work.pad_left + work.in_w)


def _tap_sums(work: Work) -> int:
    return _sum_bytes(work) * work.area


# ---- cores with DSP instructions -----------------------------------------------------------------

_LANES = 8
_TILE_QUADS = 288  # TT_TILE_QUADS_DSP
_JOINED = 16384  # TT_JOINED_DSP, bytes
_INPUT_TILES = 20480  # TT_INPUT_TILES_DSP, bytes


def _quads(work: Work) -> int:
    return sum(spread(work.area * count, 4) for count in work.segments)


def _conv2d_dsp_scratch(work: Work) -> int:
    quads = _quads(work)
    lanes = _LANES if quads <= _TILE_QUADS and work.out_h * work.out_w >= 6 else 1
    joined = 4 * quads * work.out_c
    if len(work.segments) == 1 or work.groups > 1 or joined > _JOINED:
        joined = 0
    return spread(joined, 8) * 8 + quads * (8 * lanes + 4) + 4


def _conv2d_dsp_cost(work: Work) -> float:
    positions, quads = work.out_h * work.out_w, _quads(work)
    tiles, single = divmod(positions, _LANES)
    if single >= 6:
        tiles, single = tiles + 1, 0
    if quads > _TILE_QUADS:
        tiles, single = 0, positions
    per_tile = work.groups * _LANES * (30 + 8 * quads) + work.out_c * (27.75 * quads + 50)
    per_single = work.groups * (60 + 8 * quads) + work.out_c * (7 * quads + 30)
    return tiles * per_tile + single * per_single


def _input_tiles(work: Work) -> tuple[int, int]:
    """Quads of a lane, and tiles that scratch holds at once: 0 where positions go one by one."""
    quads, positions = work.area * spread(work.out_c // work.groups, 4), work.in_h * work.in_w
    room = _INPUT_TILES // (64 * quads) if positions >= 3 else 0
    return quads, min(room, spread(positions, _LANES))


def _grad_input_dsp_scratch(work: Work) -> int:
    quads, tiles = _input_tiles(work)
    return quads * (64 * tiles or 8) + 32 * quads + 32 * max(tiles, 1)


def _grad_input_dsp_cost(work: Work) -> float:
    quads, tiles = _input_tiles(work)
    positions = work.in_h * work.in_w
    fill = positions * work.groups * (20 * work.area + 19 * quads)
    if tiles == 0:
        return fill + positions * work.in_c * (20 * quads + 60)
    passes = spread(positions, 8 * tiles)
    widen = passes * work.in_c * (11 * quads + 60)
    return fill + widen + spread(positions, 8) * work.in_c * (25.75 * quads + 15 + 8 * 17)


def _grad_weight_dsp_scratch(work: Work) -> int:
    if work.out_h * work.out_w == 1:
        return 0
    quads, tiles = spread(work.out_h * work.out_w, 4), spread(work.in_c // work.groups, _LANES)
    return tiles * (64 * quads + 32) + 8 * quads


def _grad_weight_dsp_cost(work: Work) -> float:
    quads, channels = spread(work.out_h * work.out_w, 4), work.in_c // work.groups
    fill = work.area * work.groups * quads * (60 + 6 * 4 * channels / 4)
    row = 10 * quads + 60 + spread(channels, _LANES) * (28 * quads + 16)
    update = 16 if work.fraction_bits == 4 else 45
    return fill + work.area * work.out_c * (row + update * channels)


def _small_scratch(limit: int, scratch: Callable[[Work], int]) -> Callable[[Work], bool]:
    return lambda work: scratch(work) <= limit


def _portable(cost: Rule, scratch: Callable[[Work], int] = lambda work: 0) -> Kernel:
    return Kernel("portable", "", cost, scratch)


KERNELS: dict[str, tuple[Kernel, ...]] = {
    "tt_conv2d_s8": (
        _portable(_per_mac(4.5, 60), _tile),
        Kernel("dsp", "_dsp", _conv2d_dsp_cost, _conv2d_dsp_scratch),
    ),
    "tt_conv2d_s8_s32": (
        _portable(_per_mac(4.5, 40), _tile),
        Kernel("dsp", "_dsp", _conv2d_dsp_cost, _conv2d_dsp_scratch),
    ),
    "tt_depthwise_conv2d_s8": (_portable(_per_mac(7, 60), _strip),),
    "tt_conv2d_s8_grad_input": (
        _portable(_per_mac(6, 30), _rows_and_sums),
        Kernel("dsp", "_dsp", _grad_input_dsp_cost, _grad_input_dsp_scratch),
    ),
    "tt_conv2d_s8_grad_weight": (
        _portable(_per_mac(5, 30), _weight_sums),
        Kernel(
            "dsp",
            "_dsp",
            _grad_weight_dsp_cost,
            _grad_weight_dsp_scratch,
            _small_scratch(32768, _grad_weight_dsp_scratch),
        ),
    ),
    "tt_depthwise_conv2d_s8_grad_input": (_portable(_per_mac(12, 30), _band),),
    "tt_depthwise_conv2d_s8_grad_weight": (_portable(_per_mac(12, 30), _tap_sums),),
    "tt_add_s8": (_portable(_per_element(12)),),
    "tt_clamp_mask_s8": (
        _portable(_per_element(8)),
        Kernel("dsp", "_dsp", _per_element(2)),
    ),
    "tt_grad_clamp_s8": (
        _portable(_per_element(8)),
        Kernel("dsp", "_dsp", _per_element(2)),
    ),
    "tt_grad_clamp_mask_s8": (
        _portable(_per_element(8)),
        Kernel("dsp", "_dsp", _per_element(2)),
    ),
    "tt_grad_add_s8": (_portable(_per_element(30)),),
    "tt_bias_s8_grad": (
        _portable(_per_channel(4.0)),
        Kernel("dsp", "_dsp", _per_channel(1.5)),
    ),
}

# Gradients of other dtypes have portable kernels alone.
for _dtype in ("s16", "f32"):
    for _contract, _cost, _scratch in (
        ("tt_conv2d_{}_grad_input", _per_mac(8, 30), _rows_and_sums),
        ("tt_conv2d_{}_grad_weight", _per_mac(8, 30), _weight_sums),
        ("tt_depthwise_conv2d_{}_grad_input", _per_mac(14, 30), _band),
        ("tt_depthwise_conv2d_{}_grad_weight", _per_mac(14, 30), _tap_sums),
        ("tt_grad_clamp_{}", _per_element(8), lambda work: 0),
        ("tt_grad_clamp_mask_{}", _per_element(8), lambda work: 0),
        ("tt_grad_add_{}", _per_element(30), lambda work: 0),
        ("tt_bias_{}_grad", _per_element(60), lambda work: 0),
    ):
        KERNELS[_contract.format(_dtype)] = (_portable(_cost, _scratch),)

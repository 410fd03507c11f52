"""Kernels for cores with MVE."""

from __future__ import annotations

from tinytrain.kernel.kernel import Kernel, Variant, is_alike, per_element
from tinytrain.kernel.work import Work, spread

_JOINED = 16384  # JOINED_SIZE of tt_conv2d_mve.c, bytes
_STRIPS = 16384  # STRIPS_SIZE of tt_depthwise_conv2d_mve.c, bytes
_REACH = 65535  # of gather loads and scatter stores, bytes
_LARGE = 32768  # scratch beyond which a portable kernel is the better choice, bytes


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


def _conv2d_scratch(work: Work) -> int:
    tables = 16 * spread(work.out_c, 4) + 32 * spread(work.out_c // work.groups, 4)
    joined = 8 * spread(_joined(work), 8)
    if _conv2d_is_direct(work):
        return tables + joined
    inputs = work.area * (work.in_c // work.groups)
    rows = 2 * inputs
    if (
        (len(work.segments) == 1 or joined > 0)
        and work.groups == 1
        and inputs <= 32
        and work.out_c % 2 == 0
        and work.out_w >= 2
    ):
        rows = max(rows, 32 * work.out_w + 60 * work.out_c)
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
    if not _conv2d_is_direct(work) and inputs <= 32 and work.groups == 1:
        return zeros + positions * (work.out_c * 6 + 12 * work.kernel_h + 8)
    slices = sum(spread(n, 3) for n in chunks)
    if _conv2d_is_direct(work) and slices == 1:
        loop = outputs * (1.75 * sum(chunks) + 2) * 2 + 60
    else:
        loop = outputs * (1.92 * sum(chunks) + 2.4) * 2 + 45 * slices + 80
    pack = 0 if _conv2d_is_direct(work) else 2 * (150 + 12 * work.area + inputs / 4)
    return zeros + pairs * work.groups * (loop + pack)


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
    return size, strips, min(strips, max(1, _STRIPS // size)), vectors


def _depthwise_scratch(work: Work) -> int:
    size, _, batch, _ = _strips(work)
    return size * batch


def _depthwise_in_place(work: Work) -> bool:
    """Whether all strips of sixteen channels are made before an output is written."""
    _, strips, batch, _ = _strips(work)
    return is_alike(work) and batch == strips


def _depthwise_fits(work: Work) -> bool:
    return (
        work.kernel_h <= 8
        and work.kernel_w <= 8
        and work.stride_w <= 2
        and (work.dilation_w == 1 or work.kernel_w <= 4)
        and (work.out_w + 3) * work.out_c <= _REACH
    )


def _depthwise_cost(work: Work) -> float:
    size, strips, batch, vectors = _strips(work)
    paired = vectors == 1 and strips < work.out_h
    weave = spread(work.count, 16) * strips * (size * 15 / 64 + 110)
    loop = 15 if paired else 8 * vectors + 11
    fours = spread(work.out_w, 4) * (strips * 2 if paired else strips)
    channel = 80 + 14 * vectors
    return weave + work.count * (spread(strips, batch) * channel + fours * loop + strips * 10)


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
    return min(work.in_h * work.in_w, 32)


def _pointwise_scratch(work: Work, positions: int) -> int:
    lanes = spread(work.out_c // work.groups, 8)
    return 96 * spread(positions, 4) + 16 * lanes * positions


def _grad_input_scratch(work: Work) -> int:
    lanes = spread(work.out_c // work.groups, 8)
    if _is_one_by_one(work):
        return _pointwise_scratch(work, _at_once(work))
    return 96 * spread(work.in_w, 4) + 16 * lanes * work.out_h * work.out_w


def _grad_input_narrow(work: Work) -> list[Variant]:
    """Fewer positions at a time, in fours."""
    if not _is_one_by_one(work):
        return []
    return [
        Variant(_pointwise_scratch(work, at_once), _pointwise_cost(work, at_once))
        for at_once in (16, 8, 4)
        if at_once < _at_once(work)
    ]


def _grad_input_fits(work: Work) -> bool:
    rows = 7 * work.area * max(work.step, *work.segments)
    return rows <= _REACH and 4 * work.in_c <= _REACH and _grad_input_scratch(work) <= _LARGE


def _pointwise_cost(work: Work, at_once: int) -> float:
    lanes, positions = spread(work.out_c // work.groups, 8), work.in_h * work.in_w
    blocks = sum(spread(count, 6) for count in work.segments) * work.groups
    panel = 8.5 * work.groups * lanes * work.out_h * work.out_w
    parts = spread(positions, at_once)
    rounding = 16 * positions + 120 * parts if positions >= 4 else 200 * positions + 300
    return panel + blocks * (lanes * (9.5 * positions + 26 * parts) + rounding)


def _grad_input_cost(work: Work) -> float:
    if _is_one_by_one(work):
        return _pointwise_cost(work, _at_once(work))
    lanes, positions = spread(work.out_c // work.groups, 8), work.in_h * work.in_w
    blocks = sum(spread(count, 6) for count in work.segments) * work.groups
    panel = 8.5 * work.groups * lanes * work.out_h * work.out_w
    taps = work.area / (work.stride_h * work.stride_w)
    runs = taps * work.in_h * lanes * (11 * work.in_w + 40)
    return panel + blocks * (runs + 16 * positions + 150 * work.in_h)


def _depthwise_width(work: Work) -> int:
    return min(64, 16 * spread(work.count, 16))


def _depthwise_grad_input_scratch(work: Work) -> int:
    width = _depthwise_width(work)
    taps = 8 * (work.area + work.kernel_h + work.in_w * work.kernel_w)
    panel = 2 * work.out_h * work.out_w * width
    return taps + panel + (work.area + 2) * width + 2 * work.in_w


def _depthwise_grad_input_fits(work: Work) -> bool:
    small = _depthwise_grad_input_scratch(work) <= _LARGE
    return work.in_c == work.out_c and 7 * work.area <= _REACH and small


def _depthwise_grad_input_cost(work: Work) -> float:
    taps = work.out_h * work.out_w * work.area * 0.7
    sixteens, blocks = spread(work.count, 16), spread(work.count, _depthwise_width(work))
    positions = work.in_h * work.in_w
    panel = 11 * spread(work.count, 8) * work.out_h * work.out_w
    return panel + sixteens * (16 * taps + 50 * positions) + blocks * (8 * taps + 130 * positions)


def _padded(work: Work) -> int:
    return 16 * spread(work.out_h * work.out_w, 16)


def _grad_weight_scratch(work: Work) -> int:
    count = work.in_c // work.groups
    return (count + 8) * _padded(work) + 8 * (count + 6)


def _grad_weight_fits(work: Work) -> bool:
    return 7 * _padded(work) <= _REACH and _grad_weight_scratch(work) <= _LARGE


def _grad_weight_cost(work: Work) -> float:
    count, padded = work.in_c // work.groups, _padded(work)
    x = work.area * work.groups * spread(count, 8) * (6 * padded + 60 * work.out_h)
    g = work.area * spread(work.out_c, 8) * 6 * padded
    update = 8 if work.fraction_bits in (0, 4) else 60
    row = count * (2.1 * padded / 16 + 1 + update) + 170 + padded / 4
    return x + g + work.area * work.out_c * row


def _depthwise_grad_weight_scratch(work: Work) -> int:
    return (8 * work.area + 8) * _padded(work) + 8 * (work.area + 6)


def _depthwise_grad_weight_fits(work: Work) -> bool:
    near = 7 * work.area * _padded(work) <= _REACH
    return near and _depthwise_grad_weight_scratch(work) <= _LARGE


def _depthwise_grad_weight_cost(work: Work) -> float:
    padded = _padded(work)
    x = work.area * spread(work.in_c, 8) * (6 * padded + 60 * work.out_h)
    g = spread(work.out_c, 8) * 6 * padded
    update = 8 if work.fraction_bits in (0, 4) else 60
    row = work.area * (3 * padded / 16 + 1 + update) + 250 + padded / 4
    return x + g + work.out_c * row


def _bias_cost(work: Work) -> float:
    return spread(work.count, 8) * (5 * work.rows + 115) + 300


MVE: dict[str, Kernel] = {
    "tt_conv2d_s8": Kernel("mve", _conv2d_cost, _conv2d_scratch),
    "tt_conv2d_s8_s32": Kernel("mve", _conv2d_cost, _conv2d_scratch),
    "tt_depthwise_conv2d_s8": Kernel(
        "mve", _depthwise_cost, _depthwise_scratch, _depthwise_fits, _depthwise_in_place
    ),
    "tt_conv2d_s8_grad_input": Kernel(
        "mve",
        _grad_input_cost,
        _grad_input_scratch,
        _grad_input_fits,
        narrow=_grad_input_narrow,
    ),
    "tt_depthwise_conv2d_s8_grad_input": Kernel(
        "mve",
        _depthwise_grad_input_cost,
        _depthwise_grad_input_scratch,
        _depthwise_grad_input_fits,
        is_alike,
    ),
    "tt_conv2d_s8_grad_weight": Kernel(
        "mve", _grad_weight_cost, _grad_weight_scratch, _grad_weight_fits
    ),
    "tt_depthwise_conv2d_s8_grad_weight": Kernel(
        "mve",
        _depthwise_grad_weight_cost,
        _depthwise_grad_weight_scratch,
        _depthwise_grad_weight_fits,
    ),
    "tt_add_s8": Kernel("mve", per_element(3.3)),
    "tt_clamp_mask_s8": Kernel("mve", per_element(0.45)),
    "tt_grad_clamp_s8": Kernel("mve", per_element(0.5)),
    "tt_grad_clamp_mask_s8": Kernel("mve", per_element(0.4)),
    "tt_grad_add_s8": Kernel("mve", per_element(4.8)),
    "tt_bias_s8_grad": Kernel("mve", _bias_cost),
}

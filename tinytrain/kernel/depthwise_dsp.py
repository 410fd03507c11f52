"""Depthwise kernels for cores with DSP instructions, which work on strips of planes of channels."""

from __future__ import annotations

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import Kernel, is_alike, reads_ahead
from tinytrain.kernel.work import Work, spread

_STRIP_BYTES = c_constant("tt_depthwise_conv2d_planes_dsp.h", "TT_STRIP_BYTES_DSP")
_PLANES = c_constant("tt_depthwise_conv2d_planes_dsp.h", "TT_PLANES")


def _fits(work: Work) -> bool:
    """One output channel an input channel, no dilation, columns one or two apart."""
    undilated = (work.dilation_h == 1 or work.kernel_h == 1) and (
        work.dilation_w == 1 or work.kernel_w == 1
    )
    return work.out_c == work.in_c and undilated and work.stride_w <= 2


def _input_fits(work: Work) -> bool:
    return _fits(work) and work.stride_h <= 2


def _strips(rest: int, per_row: int, rows: int) -> tuple[int, int]:
    """Rows of a strip, and bytes of workspace: `rest` + `per_row` for each."""
    count = min(rows, max(1, (_STRIP_BYTES - rest) // per_row if rest <= _STRIP_BYTES else 1))
    return count, rest + per_row * count


def _row_words(columns: int, taps: int, stride: int) -> int:
    """tt_view_words: words of a row of planes."""
    more = 2 if taps <= 5 else 4 if taps <= 7 else (taps + 3) // 2
    return spread(columns, 4) * 2 * stride + more


def _taps_words(taps_h: int, taps_w: int) -> int:
    columns = max(taps_w, 1)
    return 1 + max(taps_h, 1) * (columns + 3) + (columns + 9) // 2


def _forward_strip(work: Work) -> tuple[int, int]:
    row = 4 * _PLANES * _row_words(work.out_w, work.kernel_w, work.stride_w)
    per_row = row * work.stride_h + 28 * spread(work.out_w, 4)
    rest = row * (work.kernel_h - work.stride_h) + 4 * _taps_words(work.kernel_h, work.kernel_w)
    return _strips(rest, per_row, work.out_h)


def _forward_workspace(work: Work) -> int:
    return _forward_strip(work)[1]


def _classes(stride: int, padding: int, kernel: int, extent: int) -> list[tuple[int, int, int]]:
    """Elements, taps and lead of every class of every stride-th element."""
    found = []
    for k in range(stride):
        first = (k - padding) % stride
        count = spread(extent - first, stride) if first < extent else 0
        taps = spread(kernel - k, stride) if k < kernel else 0
        found.append((count, taps, taps - 1 - (first + padding) // stride))
    return found


def _kind(taps_h: int, taps_w: int, column: int) -> tuple[int, int]:
    """tt_view_choose_dsp for a stride of 1: kind, and word where windows begin."""
    for kind, (most, odd) in enumerate(((3, 1), (5, 0), (7, 1), (None, 0))):
        lead = (column - odd) % 2
        if (kind > 0 or taps_h == 3) and (most is None or taps_w + lead <= most):
            return kind, (column - odd - lead) // 2
    raise AssertionError


def _input_strip(work: Work) -> tuple[int, int]:
    rows = _classes(work.stride_h, work.pad_top, work.kernel_h, work.in_h)
    columns = _classes(work.stride_w, work.pad_left, work.kernel_w, work.in_w)
    top = max(0, *(lead for _, _, lead in rows))
    left = 2 + (max(0, *(lead for _, _, lead in columns)) + 1) // 2 * 2
    parts = [(row, column) for row in rows for column in columns if row[0] and column[0]]

    def words(at: int) -> list[tuple[int, int]]:
        return [_kind(row[1], column[1], at - column[2]) for row, column in parts]

    even, odd = words(left), words(left + 1)
    shifted = sum(kind for kind, _ in odd) < sum(kind for kind, _ in even)
    chosen, left = (odd, left + 1) if shifted else (even, left)
    unused = min(left // 2, *(word for _, word in chosen))
    more = int(work.stride_w > 1)
    pitch = max(
        word - unused + _row_words(column[0], column[1] + more, 1)
        for (_, word), (_, column) in zip(chosen, parts, strict=True)
    )
    span = max(top - row[2] + max(row[1], 1) for row, _ in parts)
    taps = max(_taps_words(row[1], column[1]) for row, column in parts)
    quads = [spread(column[0], 4) for _, column in parts]
    plane_row = 4 * _PLANES * pitch
    return _strips(
        plane_row * (span - 1) + 4 * taps,
        plane_row + 16 * max(quads) + 12 * sum(quads),
        max(row[0] for row, _ in parts),
    )


def _input_workspace(work: Work) -> int:
    return _input_strip(work)[1]


def _weight_workspace(work: Work) -> int:
    pairs = work.out_w // 2 + 1
    quads = (spread(work.kernel_w, work.stride_w) + 4) // 4
    row = 4 * _PLANES * (pairs + 2 * quads) * work.stride_w
    sums = _PLANES * work.kernel_h * work.stride_w * 4 * quads + work.area
    rest = row * (work.kernel_h - work.stride_h) + 4 * sums
    return _strips(rest, row * work.stride_h + 8 * _PLANES * pairs, work.out_h)[1]


_MAP4 = {3: (85.0, 24.0), 5: (172.0, 90.0)}
"""Instructions for the sums of a 4x4 map, and to order the weights."""


def _is_map4(work: Work) -> bool:
    pad = work.kernel_h // 2
    return (
        (work.in_h, work.in_w, work.out_h, work.out_w) == (4, 4, 4, 4)
        and work.kernel_h == work.kernel_w
        and work.kernel_h in _MAP4
        and (work.pad_top, work.pad_left, work.stride_h, work.stride_w) == (pad, pad, 1, 1)
    )


def _quads_cost(taps_h: int, taps_w: int, rows: int, columns: int, met: float) -> float:
    """All quads of a channel; `met` of the rows of taps lie in the map."""
    quads = spread(columns, 4)
    if taps_h == 3 and taps_w == 3:
        return rows * (36.5 * quads + 7) + 12
    per_row = 18 if taps_w <= 5 else 24 if taps_w <= 7 else 10 * (taps_w // 2 + 1)
    return rows * quads * (12 + per_row * max(1.0, met * taps_h)) + 12


def _met(taps: int, stride: int, padding: int, extent: int, outputs: int) -> float:
    """Share of the rows of taps that meet the map."""
    inside = 0
    for output in range(outputs):
        start = output * stride - padding
        inside += max(0, min(taps, extent - start) - max(0, -start))
    return inside / (taps * outputs)


def _forward_cost(work: Work) -> float:
    most, _ = _forward_strip(work)
    strips = spread(work.out_h, most)
    fill = work.in_h * (2.13 * work.in_w + 2.5)
    order: float = {3: 24, 5: 16 * work.kernel_h, 7: 21 * work.kernel_h}.get(
        work.kernel_w, (10 * work.kernel_w + 30) * work.kernel_h
    )
    if _is_map4(work):
        sums, order = _MAP4[work.kernel_h]
    else:
        met = _met(work.kernel_h, work.stride_h, work.pad_top, work.in_h, work.out_h)
        sums = _quads_cost(work.kernel_h, work.kernel_w, work.out_h, work.out_w, met)
        sums += (strips - 1) * (0.5 * (work.kernel_h - 1) * work.in_w + 150)
    whole = work.out_w // 4 * 4
    store = work.out_h * (4.0 * whole + 10 * (work.out_w - whole)) + 28
    return 900 + work.count * (fill + sums + store + strips * (order + 85))


def _input_cost(work: Work) -> float:
    fill = work.out_h * (4.1 * work.out_w + 2.5)
    per_channel = fill + 30.0
    stride = work.stride_h * work.stride_w
    rows = _classes(work.stride_h, work.pad_top, work.kernel_h, work.in_h)
    columns = _classes(work.stride_w, work.pad_left, work.kernel_w, work.in_w)
    for count_h, taps_h, lead in rows:
        for count_w, taps_w, _ in columns:
            if _is_map4(work):
                sums, order = _MAP4[work.kernel_h]
            else:
                met = _met(max(taps_h, 1), 1, lead, work.out_h, max(count_h, 1))
                sums = _quads_cost(taps_h, taps_w, count_h, count_w, met)
                order = (19 if stride == 1 or taps_w > 5 else 24) * max(taps_h, 1)
            whole = count_w // 4 * 4
            store = count_h * (8.1 * whole + 20 * (count_w - whole)) + 32
            per_channel += sums + order + store + 55
    most, _ = _input_strip(work)
    strips = spread(spread(work.in_h, work.stride_h), most)
    return 1500 + work.count * (per_channel + (strips - 1) * 250)


def _weight_cost(work: Work) -> float:
    quads = (spread(work.kernel_w, work.stride_w) + 4) // 4
    pairs = work.out_w // 2 + 1
    met = _met(work.kernel_h, work.stride_h, work.pad_top, work.in_h, work.out_h)
    rows = work.kernel_h * met * work.out_h
    sums = work.stride_w * quads * (rows * (10 * pairs + 8) + 65 * work.kernel_h)
    fill = 2.3 * work.in_h * work.in_w + 8 * work.out_h * pairs
    update = 20 if work.fraction_bits == 4 else 45
    return 2000 + work.out_c * (sums + fill + work.area * (update + 25) + 200)


DEPTHWISE_DSP = (
    Kernel(
        "tt_depthwise_conv2d_s8",
        "dsp",
        "tt_depthwise_conv2d_dsp.c",
        _forward_cost,
        _forward_workspace,
        _fits,
        reads_ahead,
        limits="out_c == in_c, no dilation along an axis with several taps, and a stride_w of 1 or "
        "2",
    ),
    Kernel(
        "tt_depthwise_conv2d_s8_grad_input",
        "dsp",
        "tt_depthwise_conv2d_grad_input_dsp.c",
        _input_cost,
        _input_workspace,
        _input_fits,
        is_alike,
        limits="what the forward kernel does, and a stride_h of 1 or 2",
    ),
    Kernel(
        "tt_depthwise_conv2d_s8_grad_weight",
        "dsp",
        "tt_depthwise_conv2d_grad_weight_dsp.c",
        _weight_cost,
        _weight_workspace,
        _fits,
        limits="what the forward kernel does",
    ),
)
"""One row for each."""

"""Kernels of poolings. Elements that the same windows read have the same gradient of a mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import Cost, Kernel
from tinytrain.kernel.work import Work, spread

_MOST_WINDOWS = c_constant("tt_avg_pool2d.h", "TT_MOST_POOL_WINDOWS")
_CHANNEL_BLOCK = c_constant("tt_window.h", "TT_CHANNEL_BLOCK")


@dataclass(frozen=True)
class _Axis:
    """One axis of a map, parted into runs of elements that the same windows read.

    Attributes:
        runs: how many there are.
        windows: over an element of each run, summed.
        most: windows over an element.
    """

    runs: int
    windows: int
    most: int


def _axis(extent: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> _Axis:
    """As `tt_alike` of tt_avg_pool2d.h parts it."""
    taps = range(0, kernel * dilation, dilation)
    over = [
        [output for output in range(outputs) if index + pad - output * stride in taps]
        for index in range(extent)
    ]
    has_gaps = dilation > 1 and kernel > 1
    first = [k for k in range(extent) if k == 0 or has_gaps or over[k] != over[k - 1]]
    counts = [len(over[k]) for k in first]
    return _Axis(len(first), sum(counts), max(counts))


@dataclass(frozen=True)
class _Patches:
    """Parts of a map whose elements the same windows read: a kernel computes one and copies it.

    Attributes:
        count: how many there are.
        windows: over an element of each patch, summed.
        most_windows: over an element of any patch.
        taps: that are looked at to find those windows.
        elements: of the map, in all channels.
    """

    count: int
    windows: int
    most_windows: int
    taps: int
    elements: int


@cache
def _patches_of(work: Work) -> _Patches:
    """The patches of the map that a pool reads."""
    rows = _axis(work.in_h, work.out_h, work.kernel_h, work.stride_h, work.dilation_h, work.pad_top)
    columns = _axis(
        work.in_w, work.out_w, work.kernel_w, work.stride_w, work.dilation_w, work.pad_left
    )
    count = rows.runs * columns.runs
    return _Patches(
        count,
        rows.windows * columns.windows,
        rows.most * columns.most,
        count * work.kernel_h + rows.windows * columns.runs * work.kernel_w,
        work.in_h * work.in_w * work.in_c,
    )


def _lists_windows(work: Work) -> bool:
    """Whether a kernel of an instruction set can list the windows over every element."""
    return _patches_of(work).most_windows <= _MOST_WINDOWS


def _portable_cost(dtype: str) -> Cost:
    window, patch = (3.9, 23) if dtype == "f32" else (5.7, 51)

    def cost(work: Work) -> float:
        found = _patches_of(work)
        blocks = spread(work.in_c, _CHANNEL_BLOCK)
        sums = work.in_c * (window * found.windows + patch * found.count)
        return blocks * (32 * found.taps + 75 * found.windows) + sums + 6.7 * found.elements + 160

    return cost


def _dsp_cost(work: Work) -> float:
    found = _patches_of(work)
    sums = work.in_c * (4.3 * found.windows + 21.5 * found.count)
    return 24 * found.taps + 54 * found.windows + 179 * found.count + sums + found.elements + 134


def _mve_cost(work: Work) -> float:
    found = _patches_of(work)
    vectors = spread(work.in_c, 8) * (16 * found.windows + 46 * found.count)
    alone = 21 * found.taps + 44 * found.windows + 152 * found.count
    return vectors + alone + 0.2 * found.elements + 137


_GRADIENTS = ("s8", "s16", "f32")

POOLS = (
    Kernel("tt_avg_pool2d_s8", "portable", "tt_avg_pool2d.c"),
    Kernel("tt_max_pool2d_s8", "portable", "tt_max_pool2d.c"),
    *(
        Kernel(f"tt_avg_pool2d_{dtype}_grad", "portable", "tt_avg_pool2d.c", _portable_cost(dtype))
        for dtype in _GRADIENTS
    ),
    *(Kernel(f"tt_max_pool2d_{dtype}_grad", "portable", "tt_max_pool2d.c") for dtype in _GRADIENTS),
    *(
        Kernel(
            "tt_avg_pool2d_s8_grad",
            isa,
            f"tt_avg_pool2d_grad_{isa}.c",
            cost,
            fits=_lists_windows,
            limits=f"at most {_MOST_WINDOWS} windows over an element",
        )
        for isa, cost in (("dsp", _dsp_cost), ("mve", _mve_cost))
    ),
)
"""One row for each, the portable ones first."""

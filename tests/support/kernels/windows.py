"""Windows that the contract of `tt_kernels.h` allows: random ones, edges, and real layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinytrain.kernel.work import Window

Rng = np.random.Generator


def arena_bytes(window: Window) -> int:
    """Of all operands, roughly and rather too much."""
    maps = window.in_h * window.in_w * window.in_c + 4 * window.out_h * window.out_w * window.out_c
    weights = window.out_c * window.area * window.in_c // window.groups
    return maps + 3 * weights + 64 * window.out_c


def _axis(rng: Rng, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """(input, output, padding before) of one axis; windows may lie wholly in the padding."""
    reach = dilation * (kernel - 1) + 1
    before, after = rng.integers(0, reach + 1, 2).tolist() if rng.integers(4) else (0, 0)
    if rng.integers(2):
        before, after = (reach - 1) // 2, reach // 2
    size = max(1, reach - before - after) + int(rng.integers(0, 7))
    return size, (size + before + after - reach) // stride + 1, before


def _sized(rng: Rng, kernels: tuple[int, ...]) -> dict[str, int]:
    """Everything of a window but channels and groups."""
    found: dict[str, int] = {}
    square = bool(rng.integers(2))
    for side, pad in (("h", "pad_top"), ("w", "pad_left")):
        same = square and side == "w"
        kernel = found["kernel_h"] if same else int(rng.choice(kernels))
        stride = found["stride_h"] if same else int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
        dilation = found["dilation_h"] if same else int(rng.choice([1, 1, 1, 1, 2, 3]))
        size, out, before = _axis(rng, kernel, stride, dilation)
        found |= {f"kernel_{side}": kernel, f"stride_{side}": stride, f"dilation_{side}": dilation}
        found |= {f"in_{side}": size, f"out_{side}": out, pad: before}
    return found


def channel_count(rng: Rng) -> int:
    """From 1 on; remainders of blocks of 2, 4, 8 and 16 are all likely."""
    return int(rng.choice([int(rng.integers(1, 10)), int(rng.integers(1, 70)), 8, 16, 32]))


def conv_window(rng: Rng) -> Window:
    """Any geometry: pointwise, dense, grouped, strides beyond the kernel, dilation."""
    kind = int(rng.integers(10))
    if kind == 8:
        # Deep: more products a sum, or more outputs, than any block of a kernel holds.
        long, short = int(rng.integers(500, 1700)), int(rng.integers(1, 12))
        channels = (long, short) if rng.integers(2) else (short, long)
        size, taps = int(rng.integers(1, 3)), int(rng.choice([1, 1, 2]))
        kernel = {"kernel_h": taps, "kernel_w": taps}
        out = {"out_h": size, "out_w": size, "in_h": size + taps - 1, "in_w": size + taps - 1}
        return Window(in_c=channels[0], out_c=channels[1], **kernel, **out)
    if kind == 9:
        return Window(**_wide(rng), in_c=int(rng.integers(1, 9)), out_c=int(rng.integers(1, 9)))
    if kind < 4:
        # Pointwise; one in four is a dense layer, one in four has stride or padding.
        sized = {"in_h": int(rng.integers(1, 7)), "in_w": int(rng.integers(1, 7))}
        sized |= {"out_h": sized["in_h"], "out_w": sized["in_w"]}
        if kind == 1:
            sized = {}
        elif kind == 2:
            sized = _sized(rng, (1,))
        return Window(in_c=channel_count(rng), out_c=channel_count(rng), **sized)
    if kind == 4:
        groups = int(rng.integers(2, 5))
        outputs, inputs = int(rng.integers(1, 7)), int(rng.integers(1, 11))
        channels = {"in_c": groups * inputs, "out_c": groups * outputs, "groups": groups}
    elif kind == 5:
        channels = {"in_c": int(rng.integers(1, 5)), "out_c": channel_count(rng)}
    else:
        channels = {"in_c": int(rng.integers(1, 24)), "out_c": int(rng.integers(1, 14))}
    return Window(**_sized(rng, (1, 2, 3, 3, 4, 5)), **channels)


def _wide(rng: Rng) -> dict[str, int]:
    """A map of up to 40x40 and its window, "same" padding."""
    found: dict[str, int] = {}
    kernel, stride = int(rng.choice([1, 3, 3, 5, 7])), int(rng.choice([1, 1, 2, 3]))
    for side, pad in (("h", "pad_top"), ("w", "pad_left")):
        size = int(rng.integers(1, 41))
        out = (size + 2 * (kernel // 2) - kernel) // stride + 1
        found |= {f"kernel_{side}": kernel, f"stride_{side}": stride, pad: kernel // 2}
        found |= {f"in_{side}": size, f"out_{side}": out}
    return found


def depthwise_window(rng: Rng) -> Window:
    """Any depthwise geometry; one channel in three has several outputs."""
    kind = int(rng.integers(8))
    if kind == 0:
        inputs = int(rng.integers(1, 9))
        return Window(**_wide(rng), in_c=inputs, out_c=inputs, groups=inputs)
    sized = _sized(rng, (1, 2, 3, 3, 3, 5, 5, 7))
    inputs = int(rng.integers(100, 700)) if kind == 1 else channel_count(rng)
    multiple = int(rng.choice([1, 1, 1, 1, 2, 3]))
    return Window(**sized, in_c=inputs, out_c=inputs * multiple, groups=inputs)


def pool_window(rng: Rng) -> Window:
    """Any pooling of which each window holds an element: of the whole map, in tiles, overlapping,
    with gaps between windows or between their taps."""
    kind = int(rng.integers(8))
    while True:
        if kind < 3:
            size = {"in_h": int(rng.integers(1, 12)), "in_w": int(rng.integers(1, 12))}
            sized = {**size, "kernel_h": size["in_h"], "kernel_w": size["in_w"]}
        else:
            sized = _sized(rng, (1, 2, 2, 3, 3, 4, 5))
        if kind in (3, 4):
            sized |= {"stride_h": sized["kernel_h"], "stride_w": sized["kernel_w"]}
            sized |= {"dilation_h": 1, "dilation_w": 1, "pad_top": 0, "pad_left": 0}
            sized |= {
                f"out_{side}": max(1, sized[f"in_{side}"] // sized[f"kernel_{side}"])
                for side in "hw"
            }
        channels = channel_count(rng)
        window = Window(**sized, in_c=channels, out_c=channels)
        if holds_elements(window):
            return window


def holds_elements(window: Window) -> bool:
    """Whether each window holds an element of the map, as the contracts of poolings want it."""
    rows = (window.out_h, window.stride_h, window.pad_top, window.kernel_h, window.dilation_h)
    columns = (window.out_w, window.stride_w, window.pad_left, window.kernel_w, window.dilation_w)
    return all(
        any(0 <= position * stride - pad + tap * dilation < extent for tap in range(kernel))
        for extent, (outputs, stride, pad, kernel, dilation) in (
            (window.in_h, rows),
            (window.in_w, columns),
        )
        for position in range(outputs)
    )


def pool_edges() -> Iterator[Window]:
    """Those of `edge_windows` that a pooling may have, and maps that are one window or tiles."""
    for window in edge_windows(depthwise=True):
        window = replace(window, groups=1)
        if window.in_c == window.out_c and holds_elements(window):
            yield window
        if window.area == 1:
            tile = replace(window, in_h=4, in_w=6, kernel_h=2, kernel_w=3)
            yield replace(tile, kernel_h=4, kernel_w=6)
            yield replace(tile, out_h=2, out_w=2, stride_h=2, stride_w=3)
            # The last row and the last columns of the map belong to no window.
            yield replace(tile, in_h=5, in_w=8, out_h=2, out_w=2, stride_h=2, stride_w=3)


def edge_windows(depthwise: bool) -> Iterator[Window]:
    """Shapes that have gone wrong in kernels of other people, and real layers that are small."""
    sizes = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
    for channels in sizes:
        groups = {"groups": channels} if depthwise else {}
        one = Window(in_c=channels, out_c=channels, **groups)
        yield one
        wide = replace(one, in_h=5, in_w=3)
        yield replace(wide, out_h=5, out_w=3, kernel_h=3, kernel_w=3, pad_top=1, pad_left=1)
        yield replace(wide, out_h=3, out_w=1, stride_h=2, stride_w=3)
        yield replace(wide, out_h=1, out_w=5, kernel_h=5, kernel_w=2, dilation_w=3, pad_left=3)
        # A 1x1 map under a large kernel: all but one tap in the padding.
        yield replace(one, kernel_h=7, kernel_w=7, pad_top=3, pad_left=3)
        yield replace(one, kernel_h=2, kernel_w=2, pad_top=1, pad_left=0)
        if depthwise:
            yield replace(wide, out_c=2 * channels, out_h=4, out_w=2, kernel_h=2, kernel_w=2)
        else:
            # One more tap than padding on each side: output positions without any tap.
            yield replace(one, out_h=3, out_w=3, pad_top=1, pad_left=1)
            yield replace(wide, out_h=5, out_w=3, out_c=1)
            yield replace(wide, in_c=1, out_h=5, out_w=3)


LAYERS = (
    Window(128, 128, 3, 64, 64, 16, 3, 3, 2, 2, pad_top=1, pad_left=1),
    Window(64, 64, 8, 64, 64, 32),
    Window(8, 8, 48, 8, 8, 240),
    Window(4, 4, 96, 4, 4, 576),
    Window(4, 4, 576, 4, 4, 160),
    Window(1, 1, 160, 1, 1, 10),
)
"""Of MCUNet-5FPS."""
DEPTHWISE_LAYERS = (
    Window(64, 64, 32, 32, 32, 32, 3, 3, 2, 2, pad_top=1, pad_left=1, groups=32),
    Window(32, 32, 48, 16, 16, 48, 7, 7, 2, 2, pad_top=3, pad_left=3, groups=48),
    Window(8, 8, 240, 4, 4, 240, 7, 7, 2, 2, pad_top=3, pad_left=3, groups=240),
    Window(4, 4, 384, 4, 4, 384, 5, 5, pad_top=2, pad_left=2, groups=384),
    Window(8, 8, 240, 8, 8, 240, 7, 7, pad_top=3, pad_left=3, groups=240),
    Window(16, 16, 144, 16, 16, 144, 5, 5, pad_top=2, pad_left=2, groups=144),
    Window(32, 32, 40, 32, 32, 40, 7, 7, pad_top=3, pad_left=3, groups=40),
    Window(33, 64, 9, 33, 64, 9, 3, 3, pad_top=1, pad_left=1, groups=9),
)
POOL_LAYERS = (
    Window(4, 4, 160, 1, 1, 160, 4, 4),
    Window(8, 8, 64, 1, 1, 64, 8, 8),
    Window(25, 5, 64, 1, 1, 64, 25, 5),
    Window(16, 16, 24, 8, 8, 24, 2, 2, 2, 2),
    Window(15, 15, 32, 15, 15, 32, 3, 3, pad_top=1, pad_left=1),
)

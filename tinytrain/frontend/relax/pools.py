"""Pooling in all its spellings becomes one call: pool with kind, window, strides and padding."""

from __future__ import annotations

from tinytrain.frontend.relax.calls import Call
from tinytrain.frontend.relax.rewrite import Rewriter, RewriteRule


def _pool(kind: str) -> RewriteRule:
    def rule(rewriter: Rewriter, call: Call) -> Call:
        attrs = call.attrs
        one_d = call.op.endswith("1d")
        window, strides = tuple(attrs["pool_size"]), tuple(attrs["strides"])
        padding = list(attrs["padding"])
        if any(extent != 1 for extent in attrs["dilation"]):
            raise rewriter.error(call, "a pooling window is dilated")
        if one_d:
            window, strides, padding = (1, *window), (1, *strides), [0, padding[0], 0, padding[1]]
        axis = attrs["layout"].index("C")
        if kind == "avg" and attrs["count_include_pad"] and window == (1, 1) == strides:
            # The mean over one element that may be padding: zero padding in other words.
            return _zeros_around(rewriter, call, padding, axis)
        include = bool(attrs["count_include_pad"]) and any(padding)
        if attrs["ceil_mode"]:
            _pad_to_ceiling(call, window, strides, padding, one_d, axis)
            if kind == "avg" and include:
                raise rewriter.error(call, "average pooling has both ceil_mode and counted padding")
        return rewriter.like(
            call,
            "pool",
            [call.source()],
            kind=kind,
            window=window,
            strides=strides,
            padding=tuple(padding),
            count_include_pad=include,
            channel_axis=axis,
        )

    return rule


def _zeros_around(rewriter: Rewriter, call: Call, padding: list[int], axis: int) -> Call:
    spatial = [number for number in range(1, len(call.shape)) if number != axis]
    widths = [0] * (2 * len(call.shape))
    for number, pair in zip(reversed(spatial), ((1, 3), (0, 2)), strict=False):
        widths[2 * number : 2 * number + 2] = [padding[pair[0]], padding[pair[1]]]
    if not any(widths):
        return call.source()
    return rewriter.like(call, "nn.pad", [call.source()], pad_width=tuple(widths))


def _pad_to_ceiling(
    call: Call, window: tuple[int, ...], strides: tuple[int, ...], padding: list[int],
    one_d: bool, axis: int,
) -> None:  # fmt: skip
    """Pads at the end so that rounding down yields the shape that rounding up gave."""
    spatial = [number for number in range(1, len(call.shape)) if number != axis]
    for place, number in enumerate(spatial, start=1 if one_d else 0):
        size = call.source().shape[number]
        needed = (call.shape[number] - 1) * strides[place] + window[place]
        padding[2 + place] = max(padding[2 + place], needed - size - padding[place])


def _whole_map(rewriter: Rewriter, call: Call, axes: tuple[int, ...], channel_axis: int) -> Call:
    """Mean over some axes of a map, with those axes kept at extent 1."""
    source = call.source()
    spatial = [axis for axis in range(1, len(source.shape)) if axis != channel_axis]
    window = tuple(source.shape[axis] if axis in axes else 1 for axis in spatial)
    if len(window) == 1:
        window = (1, *window)
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(source.shape))
    pool = Call(
        "pool", [source],
        {"kind": "avg", "window": window, "strides": window, "padding": (0, 0, 0, 0),
         "count_include_pad": False, "channel_axis": channel_axis},
        shape, "float32", call.name,
    )  # fmt: skip
    return rewriter.emit(pool)


def _mean(rewriter: Rewriter, call: Call) -> Call:
    rank = len(call.source().shape)
    axes = call.attrs["axis"]
    axes = tuple(range(rank)) if axes is None else tuple(sorted(axis % rank for axis in axes))
    if rank not in (3, 4) or 0 in axes or len(axes) > rank - 2:
        raise rewriter.error(call, f"a mean over the axes {axes} of {call.source().shape}")
    channel_axis = next(axis for axis in range(1, rank) if axis not in axes)
    pool = _whole_map(rewriter, call, axes, channel_axis)
    return pool if pool.shape == call.shape else rewriter.like(call, "reshape", [pool])


def _adaptive(rewriter: Rewriter, call: Call) -> Call:
    source = call.source()
    axis = call.attrs["layout"].index("C")
    spatial = [number for number in range(1, len(source.shape)) if number != axis]
    if any(source.shape[number] % call.shape[number] for number in spatial):
        raise rewriter.error(
            call,
            f"adaptive pooling from {source.shape} to {call.shape} needs windows of unequal size",
            "choose an output size that divides the map",
        )
    window = tuple(source.shape[number] // call.shape[number] for number in spatial)
    window = window if len(window) == 2 else (1, *window)
    return rewriter.like(
        call, "pool", [source], kind="avg", window=window, strides=window, padding=(0, 0, 0, 0),
        count_include_pad=False, channel_axis=axis,
    )  # fmt: skip


def _global(rewriter: Rewriter, call: Call) -> Call:
    axis = call.attrs["layout"].index("C")
    axes = tuple(number for number in range(1, len(call.shape)) if number != axis)
    return _whole_map(rewriter, call, axes, axis)


POOL_RULES: dict[str, RewriteRule] = {
    "nn.avg_pool1d": _pool("avg"),
    "nn.avg_pool2d": _pool("avg"),
    "nn.max_pool1d": _pool("max"),
    "nn.max_pool2d": _pool("max"),
    "nn.adaptive_avg_pool1d": _adaptive,
    "nn.adaptive_avg_pool2d": _adaptive,
    "nn.global_avg_pool2d": _global,
    "mean": _mean,
}

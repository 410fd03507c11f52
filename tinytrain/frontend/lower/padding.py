"""Zero padding goes into the window after it where that is exact."""

from __future__ import annotations

from tinytrain.frontend.lower.rewrite import Rewriter
from tinytrain.frontend.program import Call, Const


def _behind(call: Call, op: str) -> Call | None:
    """The `op` call before this value, looking through quantize and dequantize."""
    source = call.source()
    if source.op == "dequantize" and source.source().op == "quantize":
        quantize = source.source()
        inner = quantize.source()
        if inner.op == op and inner.source().op == "dequantize":
            # Zero is exactly representable, so padding before or after requantization is the same
            # when nothing else changes: the affine map before it has to be this one.
            keys = ("scale", "zero_point")
            if all(inner.source().attrs[key] == quantize.attrs[key] for key in keys):
                return inner
        return None
    return source if source.op == op else None


def take_padding(rewriter: Rewriter, call: Call) -> Call:
    """The window with the padding before it among its own; as it was where there is none."""
    pad = _behind(call, "pad")
    if pad is None:
        return call
    widths = pad.attrs["widths"]
    channel_axis = call.attrs["channel_axis"]
    spatial = [axis for axis in range(1, len(pad.shape)) if axis != channel_axis]
    if any(widths[0]) or any(widths[channel_axis]):
        return call
    pairs = [widths[axis] for axis in spatial]
    pairs = pairs if len(pairs) == 2 else [(0, 0), *pairs]
    top, left, bottom, right = call.attrs["padding"]
    padding = (
        top + pairs[0][0], left + pairs[1][0], bottom + pairs[0][1], right + pairs[1][1],
    )  # fmt: skip
    attrs = {**call.attrs, "padding": padding}
    args: list[Call | Const] = [pad.source(), *call.args[1:]]
    return Call(call.op, args, attrs, call.shape, "float32", call.name)


def pool(rewriter: Rewriter, call: Call) -> Call | None:
    """A pooling window with the padding before it; None where that would not be exact."""
    pad = _behind(call, "pad")
    if pad is None:
        return None
    attrs = call.attrs
    if attrs["kind"] == "avg":
        # Zeros that were padded explicitly count; zeros of the window itself must count alike.
        if any(attrs["padding"]) and not attrs["count_include_pad"]:
            return None
    elif not _not_negative(pad.source()):
        # In a maximum an explicit zero wins over negative neighbours; our padding never wins.
        return None
    taken = take_padding(rewriter, call)
    if attrs["kind"] == "avg":
        taken.attrs["count_include_pad"] = True
    window, padding = taken.attrs["window"], taken.attrs["padding"]
    if max(padding[0], padding[2]) >= window[0] or max(padding[1], padding[3]) >= window[1]:
        return None
    return rewriter.emit(taken)


def _not_negative(call: Call) -> bool:
    if call.op == "activation":
        return call.attrs["function"] in ("relu", "relu6", "hard_sigmoid", "sigmoid")
    if call.op == "dequantize":
        return bool(call.attrs["zero_point"] == -128)
    return False

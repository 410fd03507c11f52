"""The C kernels behind the signatures of their NumPy twins: forward, loss, state of a step."""

from __future__ import annotations

import ctypes as c
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.runtime.memory import (
    Block,
    CAdd,
    CGradientHealth,
    Channels,
    CInputHealth,
    CRequant,
    CScale,
    CStep,
    blank,
    broadcast,
    conv_window,
    depthwise_parts,
    pool_window,
    segments_of,
    size,
    workspace_of,
)
from tinytrain.reference.health import GradientHealth, InputHealth
from tinytrain.reference.machine import Scale


class ForwardKernels:
    """One compiled runtime. Methods take and give what the twins of the same names do."""

    def __init__(self, library: Path) -> None:
        self._library = c.CDLL(str(library))

    def call(self, name: str, *args: Any, restype: Any = None) -> Any:
        """Calls tt_<name>: blocks as pointers, structures by reference, numbers of 32 bits."""
        function = getattr(self._library, f"tt_{name}")
        function.restype = restype
        converted = []
        for arg in args:
            if isinstance(arg, Block):
                converted.append(c.c_void_p(arg.address))
            elif isinstance(arg, c.Structure):
                converted.append(c.byref(arg))
            elif isinstance(arg, float | np.floating):
                converted.append(c.c_float(float(arg)))
            elif isinstance(arg, int | np.integer):
                converted.append(c.c_int32(int(arg)))
            else:
                converted.append(arg)
        return function(*converted)

    # ---- forward ----

    def conv2d(
        self,
        x: np.ndarray,
        w: np.ndarray,
        b: np.ndarray,
        x_zero: int,
        multiplier: np.ndarray,
        shift: np.ndarray,
        zero: int,
        clamp: tuple[int, int],
        *,
        segments: Channels | None = None,
        workspace_bytes: int | None = None,
        **geometry: Any,
    ) -> np.ndarray:
        window, outputs = conv_window(x.shape, w, **geometry)
        tables = Block(multiplier), Block(shift)
        requant = CRequant(tables[0].address, tables[1].address, x_zero, zero, *clamp)
        table, kept = segments_of(w, segments)
        y = blank(np.int8, (1, *outputs, w.shape[0]))
        most = workspace_of("conv2d_s8", window)
        workspace = most if workspace_bytes is None else blank(np.uint8, (workspace_bytes,))
        operands = size(len(table)), Block(b), Block(x), y, workspace, size(workspace.size)
        self.call("conv2d_s8", window, requant, table, *operands)
        del kept
        return y.read()

    def conv2d_s32(
        self,
        x: np.ndarray,
        w: np.ndarray,
        b: np.ndarray,
        x_zero: int,
        *,
        segments: Channels | None = None,
        workspace_bytes: int | None = None,
        **geometry: Any,
    ) -> np.ndarray:
        window, outputs = conv_window(x.shape, w, **geometry)
        requant = CRequant(None, None, x_zero, 0, 0, 0)
        table, kept = segments_of(w, segments)
        y = blank(np.int32, (1, *outputs, w.shape[0]))
        most = workspace_of("conv2d_s8_s32", window)
        workspace = most if workspace_bytes is None else blank(np.uint8, (workspace_bytes,))
        operands = size(len(table)), Block(b), Block(x), y, workspace, size(workspace.size)
        self.call("conv2d_s8_s32", window, requant, table, *operands)
        del kept
        return y.read()

    def depthwise_conv2d(
        self,
        x: np.ndarray,
        w: np.ndarray,
        b: np.ndarray,
        x_zero: int,
        multiplier: np.ndarray,
        shift: np.ndarray,
        zero: int,
        clamp: tuple[int, int],
        *,
        parts: Channels | None = None,
        in_place: bool = False,
        **geometry: Any,
    ) -> np.ndarray:
        """`parts`: output channels of each call; None is one call without a list."""
        window, outputs = conv_window(x.shape, w, **geometry)
        tables = Block(multiplier), Block(shift)
        requant = CRequant(tables[0].address, tables[1].address, x_zero, zero, *clamp)
        x_block, b_block = Block(x), Block(b)
        y = x_block if in_place else blank(np.int8, (1, *outputs, w.shape[0]))
        workspace = workspace_of("depthwise_conv2d_s8", window)
        for listed, weights in depthwise_parts(w, parts):
            count = size(weights.shape[0])
            self.call(
                "depthwise_conv2d_s8",
                window,
                requant,
                weights,
                listed,
                count,
                b_block,
                x_block,
                y,
                workspace,
            )
        return y.read()

    def add(
        self,
        a: np.ndarray,
        b: np.ndarray,
        a_zero: int,
        b_zero: int,
        factors: tuple[int, int],
        shift: int,
        zero: int,
        clamp: tuple[int, int],
    ) -> np.ndarray:
        """In place: y is the buffer of a."""
        struct = CAdd(*factors, shift, a_zero, b_zero, zero, *clamp)
        y = Block(a)
        self.call("add_s8", struct, size(a.size), y, Block(b), y)
        return y.read()

    def multiply(
        self,
        a: np.ndarray,
        b: np.ndarray,
        a_zero: int,
        b_zero: int,
        multiplier: int,
        shift: int,
        zero: int,
        clamp: tuple[int, int],
    ) -> np.ndarray:
        """In place: y is the buffer of a."""
        tables = Block(np.int32([multiplier])), Block(np.int8([shift]))
        requant = CRequant(tables[0].address, tables[1].address, a_zero, zero, *clamp)
        y = Block(a)
        self.call("multiply_s8", requant, b_zero, *broadcast(a, b), y, Block(b), y)
        return y.read()

    def l2_normalize(self, x: np.ndarray, zero: int) -> np.ndarray:
        """In place."""
        y = Block(x)
        self.call("l2_normalize_s8", size(x.size // x.shape[-1]), size(x.shape[-1]), zero, y, y)
        return y.read()

    def avg_pool2d(
        self,
        x: np.ndarray,
        x_zero: int,
        kernel: tuple[int, int],
        clamp: tuple[int, int],
        *,
        count_include_pad: bool,
        multiplier: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        zero: int = 0,
        **geometry: Any,
    ) -> np.ndarray:
        window, outputs = pool_window(x.shape, kernel, **geometry)
        tables = [] if multiplier is None else [Block(multiplier), Block(shift)]
        addresses = [block.address for block in tables] or [None, None]
        requant = CRequant(*addresses, x_zero, zero, *clamp)
        y = blank(np.int8, (1, *outputs, x.shape[3]))
        self.call("avg_pool2d_s8", window, requant, int(count_include_pad), Block(x), y)
        return y.read()

    def max_pool2d(
        self,
        x: np.ndarray,
        kernel: tuple[int, int],
        clamp: tuple[int, int],
        *,
        with_winner: bool = True,
        **geometry: Any,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        window, outputs = pool_window(x.shape, kernel, **geometry)
        y = blank(np.int8, (1, *outputs, x.shape[3]))
        winner = blank(np.uint8, y.shape) if with_winner else None
        self.call("max_pool2d_s8", window, *clamp, Block(x), y, winner)
        return y.read(), winner.read() if winner else None

    def lookup(self, table: np.ndarray, x: np.ndarray) -> np.ndarray:
        """In place."""
        y = Block(x)
        self.call("lookup_s8", Block(table), size(x.size), y, y)
        return y.read()

    def gather_channels(self, x: np.ndarray, channels: np.ndarray) -> np.ndarray:
        y = blank(x.dtype, (*x.shape[:-1], channels.size))
        sizes = size(x.itemsize), size(x.size // x.shape[-1]), size(x.shape[-1])
        listed = Block(channels.astype(np.uint16))
        self.call("gather_channels", *sizes, listed, size(channels.size), Block(x), y)
        return y.read()

    def transpose(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        missing = 4 - x.ndim
        shape = Block(np.uint16((1,) * missing + x.shape))
        order = Block(np.uint8([*range(missing), *(axis + missing for axis in axes)]))
        y = blank(x.dtype, tuple(x.shape[axis] for axis in axes))
        self.call("transpose", size(x.itemsize), shape, order, Block(x), y)
        return y.read()

    def concatenate(self, parts: list[np.ndarray]) -> np.ndarray:
        """Along the last axis, by copy_rows."""
        y = blank(parts[0].dtype, (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts)))
        row, start = y.shape[-1] * parts[0].itemsize, 0
        for part in parts:
            width = part.shape[-1] * part.itemsize
            target = c.c_void_p(y.address + start)
            rows = part.size // part.shape[-1]
            self.call(
                "copy_rows", size(rows), size(width), Block(part), size(width), target, size(row)
            )
            start += width
        return y.read()

    def dequantize(self, x: np.ndarray, zero: int, scale: np.ndarray) -> np.ndarray:
        y, scales = blank(np.float32, x.shape), np.float32(np.atleast_1d(scale))
        if x.dtype == np.int8:
            self.call("dequantize_s8_f32", size(x.size), zero, scales[0], Block(x), y)
        else:
            sizes = size(x.size), size(scales.size)
            self.call("dequantize_s32_f32", *sizes, Block(scales), Block(x), y)
        return y.read()

    def quantize(self, x: np.ndarray, zero: int, scale: float) -> np.ndarray:
        y = blank(np.int8, x.shape)
        self.call("quantize_f32_s8", size(x.size), zero, float(scale), Block(x), y)
        return y.read()

    def quantize_input(
        self, x: np.ndarray, zero: int, scale: float, before: InputHealth
    ) -> tuple[np.ndarray, InputHealth]:
        y, health = blank(np.int8, x.shape), CInputHealth(before.seen, before.clipped)
        given = size(x.size), zero, float(scale), Block(x), y
        self.call("quantize_input_f32_s8", *given, health)
        return y.read(), InputHealth(health.seen, health.clipped)

    def clamp_mask(self, y: np.ndarray, clamp: tuple[int, int]) -> np.ndarray:
        mask = blank(np.uint8, ((y.size + 7) // 8,))
        self.call("clamp_mask_s8", size(y.size), *clamp, Block(y), mask)
        return mask.read()

    # ---- loss ----

    def exp(self, x: np.ndarray) -> np.ndarray:
        return np.float32([self.call("exp_f32", value, restype=c.c_float) for value in x])

    def log(self, x: np.ndarray) -> np.ndarray:
        return np.float32([self.call("log_f32", value, restype=c.c_float) for value in x])

    def argmax(self, x: np.ndarray) -> int:
        return int(self.call("argmax_f32", size(x.size), Block(x), restype=c.c_int32))

    def softmax_cross_entropy(
        self, logits: np.ndarray, label: int
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block = Block(logits)
        loss = self.call(
            "softmax_cross_entropy_f32", size(logits.size), block, label, block, restype=c.c_float
        )
        return np.float32(loss), block.read()

    def smoothed_cross_entropy(
        self, logits: np.ndarray, label: int, smoothing: float
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block = Block(logits)
        loss = self.call(
            "smoothed_cross_entropy_f32",
            size(logits.size),
            block,
            label,
            c.c_float(smoothing),
            block,
            restype=c.c_float,
        )
        return np.float32(loss), block.read()

    def mean_squared_error(
        self, output: np.ndarray, target: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        return self._with_targets("mean_squared_error_f32", output, target)

    def huber(self, output: np.ndarray, target: np.ndarray) -> tuple[np.float32, np.ndarray]:
        """In place."""
        return self._with_targets("huber_f32", output, target)

    def binary_cross_entropy(
        self, logits: np.ndarray, target: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        return self._with_targets("binary_cross_entropy_f32", logits, target)

    def pixel_cross_entropy(
        self, logits: np.ndarray, labels: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block, pixels = Block(logits), labels.size
        operands = size(pixels), size(logits.size // pixels), block, Block(labels), block
        loss = self.call("pixel_cross_entropy_f32", *operands, restype=c.c_float)
        return np.float32(loss), block.read()

    def weighted_pixel_cross_entropy(
        self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block, pixels = Block(logits), labels.size
        operands = size(pixels), size(logits.size // pixels), block, Block(labels), Block(weights)
        loss = self.call("weighted_pixel_cross_entropy_f32", *operands, block, restype=c.c_float)
        return np.float32(loss), block.read()

    def weighted_binary_cross_entropy(
        self, logits: np.ndarray, target: np.ndarray, weights: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block = Block(logits)
        operands = size(logits.size), block, Block(target), Block(weights), block
        loss = self.call("weighted_binary_cross_entropy_f32", *operands, restype=c.c_float)
        return np.float32(loss), block.read()

    def balanced_weight(self, counts: np.ndarray, label: int) -> np.float32:
        operands = size(counts.size), Block(counts), label
        return np.float32(self.call("balanced_weight", *operands, restype=c.c_float))

    def count_class(self, counts: np.ndarray, label: int) -> np.ndarray:
        block = Block(counts)
        self.call("count_class", size(counts.size), block, label)
        return block.read()

    def _with_targets(
        self, name: str, output: np.ndarray, target: np.ndarray
    ) -> tuple[np.float32, np.ndarray]:
        block = Block(output)
        operands = size(output.size), block, Block(target), block
        loss = self.call(name, *operands, restype=c.c_float)
        return np.float32(loss), block.read()

    # ---- state ----

    def rate_parts(self, rate: float) -> tuple[float, int, int]:
        """(rate, L_r, e_r) that set_rate stores."""
        step = CStep(9.0, 9, 9, 0, 0, 0)
        self.call("set_rate", step, rate)
        return step.rate, step.rate_mantissa, step.rate_exponent

    def scales_end(
        self, exponent: int, running_max: int, peak: int, limit: int, *, active: bool = True
    ) -> tuple[int, int]:
        scale = CScale(exponent, running_max, peak)
        self.call("scales_end", size(1), scale, limit, int(active), None)
        return scale.exponent, scale.running_max

    def scales_health(self, scale: Scale, limit: int, health: GradientHealth) -> GradientHealth:
        """The counters after the end of a step that left `scale`, which stays as it is."""
        counted = CGradientHealth(health.saturated, health.rises, health.falls)
        end = CScale(scale.exponent, scale.running_max, scale.peak)
        self.call("scales_end", size(1), end, limit, 1, c.byref(counted))
        return GradientHealth(counted.saturated, counted.rises, counted.falls)

    def count_ends(self, data: np.ndarray, fraction: np.ndarray | None, bits: int) -> int:
        """Elements at an end of their range, of weights int8 or of a bias int32."""
        sizes, kind = size(data.size), "s8" if data.dtype == np.int8 else "s32"
        low = None if fraction is None else Block(fraction)
        rest = (low, c.c_uint32(bits)) if kind == "s8" else ()
        return int(self.call(f"count_ends_{kind}", sizes, Block(data), *rest, restype=c.c_uint32))

    def scales_begin(self, peaks: list[int]) -> list[int]:
        scales = (CScale * len(peaks))(*(CScale(1, 2, peak) for peak in peaks))
        self.call("scales_begin", size(len(peaks)), scales)
        return [scale.peak for scale in scales]

    def crc32(self, data: bytes, crc: int = 0) -> int:
        block = Block(np.frombuffer(data, np.uint8))
        return int(self.call("crc32", c.c_uint32(crc), block, size(len(data)), restype=c.c_uint32))

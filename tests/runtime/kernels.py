"""The C kernels behind the signatures of their NumPy twins."""

from __future__ import annotations

import ctypes as c
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.reference.update import Step, rate_parts
from tinytrain.reference.windows import Window

SUFFIX = {np.dtype(np.int8): "s8", np.dtype(np.int16): "s16", np.dtype(np.float32): "f32"}
Channels = list[np.ndarray]
"""Input channels of each segment, within a group."""


class _Window(c.Structure):
    _fields_ = [
        (name, c.c_uint16)
        for name in (
            "in_h in_w in_c out_h out_w out_c kernel_h kernel_w stride_h stride_w dilation_h dilation_w "
            "pad_top pad_left groups"
        ).split()
    ]


class _Requant(c.Structure):
    _fields_ = [
        ("multiplier", c.c_void_p),
        ("shift", c.c_void_p),
        *((name, c.c_int8) for name in ("input_zero", "zero", "lo", "hi")),
    ]


class _Segment(c.Structure):
    _fields_ = [("weights", c.c_void_p), ("channels", c.c_void_p), ("count", c.c_uint16)]


class _Add(c.Structure):
    _fields_ = [
        ("multiplier", c.c_int32 * 3),
        ("shift", c.c_int8 * 3),
        *((name, c.c_int8) for name in ("a_zero", "b_zero", "zero", "lo", "hi")),
    ]


class _Scale(c.Structure):
    _fields_ = [("exponent", c.c_int32), ("running_max", c.c_uint32), ("peak", c.c_int32)]


class _Step(c.Structure):
    _fields_ = [
        ("rate", c.c_float),
        ("rate_mantissa", c.c_int32),
        ("rate_exponent", c.c_int32),
        ("normaliser", c.c_int32),
        ("seed", c.c_uint32),
        ("count", c.c_uint32),
    ]


class _Rescale(c.Structure):
    _fields_ = [("input_exponent", c.c_int32), ("shift", c.c_int32), ("output", c.c_void_p)]


class _Factors(c.Structure):
    _fields_ = [("integer", c.c_void_p), ("real", c.c_void_p)]


class _Trained(c.Structure):
    _fields_ = [("weights", c.c_void_p), ("fraction", c.c_void_p), ("fraction_bits", c.c_uint8)]


class _Update(c.Structure):
    _fields_ = [
        ("multiplier", c.c_void_p),
        ("shift", c.c_void_p),
        ("real", c.c_void_p),
        ("index", c.c_uint32),
        ("exponent", c.c_int32),
        ("sum_shift", c.c_int32),
        ("stochastic", c.c_uint8),
    ]


_C = c.CDLL(None)
_C.malloc.restype = c.c_void_p
_C.malloc.argtypes = [c.c_size_t]
_C.free.argtypes = [c.c_void_p]


class Block:
    """An array in a malloc block of exactly its size, which is what an address sanitizer watches."""

    def __init__(self, array: np.ndarray) -> None:
        self.dtype, self.shape = array.dtype, array.shape
        self.size = array.nbytes
        self.address = _C.malloc(self.size)
        c.memmove(self.address, np.ascontiguousarray(array).ctypes.data, self.size)

    def read(self) -> np.ndarray:
        """A copy of what the block holds now."""
        return np.frombuffer(c.string_at(self.address, self.size), self.dtype).reshape(self.shape)

    def __del__(self) -> None:
        _C.free(self.address)


class Rescale:
    """How integer sums become a gradient; for float32 gradients, nothing (NULL)."""

    def __init__(self, shift: int, input_exponent: int, output_exponent: int, peak: int = 0) -> None:
        self.scale = _Scale(output_exponent, 0, peak)
        self.input_exponent = input_exponent
        self.struct = _Rescale(input_exponent, shift, c.addressof(self.scale))

    @property
    def peak(self) -> int:
        """The peak after a call."""
        return int(self.scale.peak)


def _size(value: int) -> c.c_size_t:
    return c.c_size_t(value)


def _blank(dtype: Any, shape: tuple[int, ...]) -> Block:
    """Memory that a kernel must write: 0x5A bytes."""
    array = np.empty(shape, dtype=dtype)
    array.view(np.uint8).fill(0x5A)
    return Block(array)


class Kernels:
    """One compiled runtime. Methods take and give what the functions of the reference do."""

    def __init__(self, library: Path) -> None:
        self._library = c.CDLL(str(library))

    def call(self, name: str, *args: Any, restype: Any = None) -> Any:
        """Calls tt_<name>: blocks as pointers, structures by reference, floats single, ints 32 bits."""
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
        **geometry: Any,
    ) -> np.ndarray:
        window, outputs = _conv_window(x.shape, w, **geometry)
        tables = Block(multiplier), Block(shift)
        requant = _Requant(tables[0].address, tables[1].address, x_zero, zero, *clamp)
        table, kept = _segments(w, segments)
        y = _blank(np.int8, (1, *outputs, w.shape[0]))
        self.call("conv2d_s8", window, requant, table, _size(len(table)), Block(b), Block(x), y)
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
        **geometry: Any,
    ) -> np.ndarray:
        window, outputs = _conv_window(x.shape, w, **geometry)
        requant = _Requant(None, None, x_zero, 0, 0, 0)
        table, kept = _segments(w, segments)
        y = _blank(np.int32, (1, *outputs, w.shape[0]))
        self.call("conv2d_s8_s32", window, requant, table, _size(len(table)), Block(b), Block(x), y)
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
        **geometry: Any,
    ) -> np.ndarray:
        """`parts`: output channels of each call; None is one call without a list."""
        window, outputs = _conv_window(x.shape, w, **geometry)
        tables = Block(multiplier), Block(shift)
        requant = _Requant(tables[0].address, tables[1].address, x_zero, zero, *clamp)
        y, x_block, b_block = _blank(np.int8, (1, *outputs, w.shape[0])), Block(x), Block(b)
        for listed, weights in _depthwise_parts(w, parts):
            count = _size(weights.shape[0])
            self.call(
                "depthwise_conv2d_s8", window, requant, weights, listed, count, b_block, x_block, y
            )
        return y.read()

    def add(
        self,
        a: np.ndarray,
        b: np.ndarray,
        a_zero: int,
        b_zero: int,
        multipliers: tuple[int, int, int],
        shifts: tuple[int, int, int],
        zero: int,
        clamp: tuple[int, int],
    ) -> np.ndarray:
        """In place: y is the buffer of a."""
        struct = _Add((c.c_int32 * 3)(*multipliers), (c.c_int8 * 3)(*shifts), a_zero, b_zero, zero, *clamp)
        y = Block(a)
        self.call("add_s8", struct, _size(a.size), y, Block(b), y)
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
        requant = _Requant(tables[0].address, tables[1].address, a_zero, zero, *clamp)
        y = Block(a)
        self.call("multiply_s8", requant, b_zero, *_broadcast(a, b), y, Block(b), y)
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
        window, outputs = _pool_window(x.shape, kernel, **geometry)
        tables = [] if multiplier is None else [Block(multiplier), Block(shift)]
        addresses = [block.address for block in tables] or [None, None]
        requant = _Requant(*addresses, x_zero, zero, *clamp)
        y = _blank(np.int8, (1, *outputs, x.shape[3]))
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
        window, outputs = _pool_window(x.shape, kernel, **geometry)
        y = _blank(np.int8, (1, *outputs, x.shape[3]))
        winner = _blank(np.uint8, y.shape) if with_winner else None
        self.call("max_pool2d_s8", window, *clamp, Block(x), y, winner)
        return y.read(), winner.read() if winner else None

    def lookup(self, table: np.ndarray, x: np.ndarray) -> np.ndarray:
        """In place."""
        y = Block(x)
        self.call("lookup_s8", Block(table), _size(x.size), y, y)
        return y.read()

    def gather_channels(self, x: np.ndarray, channels: np.ndarray) -> np.ndarray:
        y = _blank(x.dtype, (*x.shape[:-1], channels.size))
        sizes = _size(x.itemsize), _size(x.size // x.shape[-1]), _size(x.shape[-1])
        listed = Block(channels.astype(np.uint16))
        self.call("gather_channels", *sizes, listed, _size(channels.size), Block(x), y)
        return y.read()

    def transpose(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        missing = 4 - x.ndim
        shape = Block(np.uint16((1,) * missing + x.shape))
        order = Block(np.uint8([*range(missing), *(axis + missing for axis in axes)]))
        y = _blank(x.dtype, tuple(x.shape[axis] for axis in axes))
        self.call("transpose", _size(x.itemsize), shape, order, Block(x), y)
        return y.read()

    def concatenate(self, parts: list[np.ndarray]) -> np.ndarray:
        """Along the last axis, by copy_rows."""
        y = _blank(parts[0].dtype, (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts)))
        row, start = y.shape[-1] * parts[0].itemsize, 0
        for part in parts:
            width = part.shape[-1] * part.itemsize
            target = c.c_void_p(y.address + start)
            rows = part.size // part.shape[-1]
            self.call("copy_rows", _size(rows), _size(width), Block(part), _size(width), target, _size(row))
            start += width
        return y.read()

    def dequantize(self, x: np.ndarray, zero: int, scale: np.ndarray) -> np.ndarray:
        y, scales = _blank(np.float32, x.shape), np.float32(np.atleast_1d(scale))
        if x.dtype == np.int8:
            self.call("dequantize_s8_f32", _size(x.size), zero, scales[0], Block(x), y)
        else:
            sizes = _size(x.size), _size(scales.size)
            self.call("dequantize_s32_f32", *sizes, Block(scales), Block(x), y)
        return y.read()

    def quantize(self, x: np.ndarray, zero: int, scale: float) -> np.ndarray:
        y = _blank(np.int8, x.shape)
        self.call("quantize_f32_s8", _size(x.size), zero, float(scale), Block(x), y)
        return y.read()

    def clamp_mask(self, y: np.ndarray, clamp: tuple[int, int]) -> np.ndarray:
        mask = _blank(np.uint8, ((y.size + 7) // 8,))
        self.call("clamp_mask_s8", _size(y.size), *clamp, Block(y), mask)
        return mask.read()

    # ---- loss ----

    def exp(self, x: np.ndarray) -> np.ndarray:
        return np.float32([self.call("exp_f32", value, restype=c.c_float) for value in x])

    def log(self, x: np.ndarray) -> np.ndarray:
        return np.float32([self.call("log_f32", value, restype=c.c_float) for value in x])

    def argmax(self, x: np.ndarray) -> int:
        return int(self.call("argmax_f32", _size(x.size), Block(x), restype=c.c_int32))

    def softmax_cross_entropy(self, logits: np.ndarray, label: int) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block = Block(logits)
        loss = self.call(
            "softmax_cross_entropy_f32", _size(logits.size), block, label, block, restype=c.c_float
        )
        return np.float32(loss), block.read()

    def mean_squared_error(self, output: np.ndarray, target: np.ndarray) -> tuple[np.float32, np.ndarray]:
        """In place."""
        block = Block(output)
        loss = self.call(
            "mean_squared_error_f32", _size(output.size), block, Block(target), block, restype=c.c_float
        )
        return np.float32(loss), block.read()

    # ---- state ----

    def rate_parts(self, rate: float) -> tuple[float, int, int]:
        """(rate, L_r, e_r) that set_rate stores."""
        step = _Step(9.0, 9, 9, 0, 0, 0)
        self.call("set_rate", step, rate)
        return step.rate, step.rate_mantissa, step.rate_exponent

    def scales_end(
        self, exponent: int, running_max: int, peak: int, limit: int, *, active: bool = True
    ) -> tuple[int, int]:
        scale = _Scale(exponent, running_max, peak)
        self.call("scales_end", _size(1), scale, limit, int(active))
        return scale.exponent, scale.running_max

    def scales_begin(self, peaks: list[int]) -> list[int]:
        scales = (_Scale * len(peaks))(*(_Scale(1, 2, peak) for peak in peaks))
        self.call("scales_begin", _size(len(peaks)), scales)
        return [scale.peak for scale in scales]

    def crc32(self, data: bytes, crc: int = 0) -> int:
        block = Block(np.frombuffer(data, np.uint8))
        return int(self.call("crc32", c.c_uint32(crc), block, _size(len(data)), restype=c.c_uint32))

    # ---- gradients ----

    def quantize_gradient(self, g: np.ndarray, dtype: Any) -> tuple[np.ndarray, int, bool]:
        """In place: the integers overwrite the floats."""
        block, n = Block(g), c.c_int32(77)
        name = f"quantize_gradient_{SUFFIX[np.dtype(dtype)]}"
        active = self.call(name, _size(g.size), block, block, c.byref(n), restype=c.c_int)
        integers = np.frombuffer(block.read().tobytes(), dtype)[: g.size].reshape(g.shape)
        return integers, n.value, bool(active)

    def grad_clamp(self, g: np.ndarray, y: np.ndarray, clamp: tuple[int, int]) -> np.ndarray:
        """In place."""
        out = Block(g)
        self.call(f"grad_clamp_{SUFFIX[g.dtype]}", _size(g.size), *clamp, out, Block(y), out)
        return out.read()

    def grad_clamp_mask(self, g: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """In place."""
        out = Block(g)
        self.call(f"grad_clamp_mask_{SUFFIX[g.dtype]}", _size(g.size), out, Block(mask), out)
        return out.read()

    def grad_add(self, a: np.ndarray, b: np.ndarray, rescale: Rescale | None, b_exponent: int) -> np.ndarray:
        """In place: the sum overwrites b."""
        out = Block(b)
        name = f"grad_add_{SUFFIX[a.dtype]}"
        self.call(name, _size(a.size), _struct(rescale), b_exponent, Block(a), out, out)
        return out.read()

    def conv2d_grad_input(
        self,
        g: np.ndarray,
        w: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        rescale: Rescale | None,
        *,
        segments: Channels | None = None,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = _conv_window(input_shape, w, **geometry)
        table, kept = _segments(w, segments)
        held, dx = _factors(factors), _blank(g.dtype, input_shape)
        scratch = _blank(np.int32, (w.shape[3],))
        self.call(
            f"conv2d_{SUFFIX[g.dtype]}_grad_input",
            window, table, _size(len(table)), held[0], _struct(rescale), Block(g), dx, scratch,
        )  # fmt: skip
        del kept
        return dx.read()

    def depthwise_conv2d_grad_input(
        self,
        g: np.ndarray,
        w: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        rescale: Rescale | None,
        *,
        parts: Channels | None = None,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = _conv_window(input_shape, w, **geometry)
        held, dx, g_block = _factors(factors), _blank(g.dtype, input_shape), Block(g)
        for listed, weights in _depthwise_parts(w, parts):
            self.call(
                f"depthwise_conv2d_{SUFFIX[g.dtype]}_grad_input",
                window, weights, listed, _size(weights.shape[0]), held[0], _struct(rescale), g_block, dx,
            )  # fmt: skip
        return dx.read()

    def conv2d_grad_weight(
        self,
        x: np.ndarray,
        g: np.ndarray,
        x_zero: int,
        update: Update,
        weights: np.ndarray,
        fraction: np.ndarray | None,
        *,
        depthwise: bool = False,
        **geometry: Any,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The weights and their fraction after the update; `kernel` comes from the weights."""
        window, _ = _conv_window(x.shape, weights, **geometry)
        trained = Trained(weights, fraction, update.bits)
        structs = update.struct(), update.step()
        scratch = [] if depthwise else [_blank(np.int64 if g.dtype == np.int16 else np.int32, (weights.shape[3],))]
        name = f"{'depthwise_' if depthwise else ''}conv2d_{SUFFIX[g.dtype]}_grad_weight"
        self.call(name, window, *structs, x_zero, Block(x), Block(g), trained.struct, *scratch)
        return trained.read()

    def bias_grad(self, g: np.ndarray, update: Update, bias: np.ndarray) -> np.ndarray:
        """The bias after the update."""
        out, channels = Block(bias), g.shape[-1]
        sizes = _size(g.size // channels), _size(channels)
        self.call(f"bias_{SUFFIX[g.dtype]}_grad", *sizes, update.struct(), update.step(), Block(g), out)
        return out.read()

    def avg_pool2d_grad(
        self,
        g: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        kernel: tuple[int, int],
        rescale: Rescale | None,
        *,
        count_include_pad: bool,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = _pool_window(input_shape, kernel, **geometry)
        held, dx = _factors(factors), _blank(g.dtype, input_shape)
        name = f"avg_pool2d_{SUFFIX[g.dtype]}_grad"
        self.call(name, window, held[0], int(count_include_pad), _struct(rescale), Block(g), dx)
        return dx.read()

    def max_pool2d_grad(
        self,
        g: np.ndarray,
        winner: np.ndarray,
        input_shape: tuple[int, ...],
        kernel: tuple[int, int],
        rescale: Rescale | None,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = _pool_window(input_shape, kernel, **geometry)
        dx = _blank(g.dtype, input_shape)
        name = f"max_pool2d_{SUFFIX[g.dtype]}_grad"
        self.call(name, window, _struct(rescale), Block(g), Block(winner), dx)
        return dx.read()

    def lookup_grad(
        self, g: np.ndarray, x: np.ndarray, table: np.ndarray, rescale: Rescale | None
    ) -> np.ndarray:
        """In place."""
        dx = Block(g)
        name = f"lookup_{SUFFIX[g.dtype]}_grad"
        self.call(name, Block(table), _size(g.size), _struct(rescale), dx, Block(x), dx)
        return dx.read()

    def multiply_grad(
        self,
        g: np.ndarray,
        other: np.ndarray,
        other_zero: int,
        mu: int,
        scale: float,
        rescale: Rescale | None,
    ) -> np.ndarray:
        """In place."""
        da = Block(g)
        name = f"multiply_{SUFFIX[g.dtype]}_grad"
        self.call(
            name, *_broadcast(g, other), other_zero, mu, float(scale), _struct(rescale), da, Block(other), da
        )
        return da.read()

    def multiply_grad_broadcast(
        self,
        g: np.ndarray,
        other: np.ndarray,
        other_zero: int,
        mu: int,
        scale: float,
        rescale: Rescale | None,
        *,
        per_channel: bool,
    ) -> np.ndarray:
        channels = g.shape[-1]
        db = _blank(g.dtype, (channels if per_channel else 1,))
        sizes = _size(g.size // channels), _size(channels), _size(int(per_channel))
        name = f"multiply_{SUFFIX[g.dtype]}_grad_broadcast"
        self.call(
            name, *sizes, other_zero, mu, float(scale), _struct(rescale), Block(g), Block(other), db
        )
        return db.read()


class Update:
    """What turns sums into updates: the arguments of `reference.update.deltas` and their C form."""

    def __init__(
        self,
        step: Step,
        *,
        bits: int = 0,
        multiplier: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        real: np.ndarray | None = None,
        index: int = 0,
        exponent: int = 0,
        q: int = 0,
        stochastic: bool = False,
    ) -> None:
        self.of, self.bits, self.index = step, bits, index
        self.multiplier, self.shift, self.real = multiplier, shift, real
        self.exponent, self.q, self.stochastic = exponent, q, stochastic
        self._tables = [None if a is None else Block(a) for a in (multiplier, shift, real)]

    def struct(self) -> _Update:
        addresses = [None if block is None else block.address for block in self._tables]
        return _Update(*addresses, self.index, self.exponent, self.q, int(self.stochastic))

    def step(self) -> _Step:
        mantissa, exponent = rate_parts(self.of.rate)
        rate = self.of.rate if mantissa else 0.0
        return _Step(rate, mantissa, exponent, self.of.normaliser, self.of.seed, self.of.count)


class Trained:
    """Weights and fraction in C memory."""

    def __init__(self, weights: np.ndarray, fraction: np.ndarray | None, bits: int) -> None:
        self._weights = Block(weights)
        self._fraction = None if fraction is None else Block(fraction)
        address = None if self._fraction is None else self._fraction.address
        self.struct = _Trained(self._weights.address, address, bits)

    def read(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self._weights.read(), None if self._fraction is None else self._fraction.read()


def _struct(rescale: Rescale | None) -> _Rescale | None:
    return None if rescale is None else rescale.struct


def _factors(factors: np.ndarray) -> tuple[_Factors, Block]:
    block = Block(factors)
    if factors.dtype == np.float32:
        return _Factors(None, block.address), block
    assert factors.dtype == np.int16
    return _Factors(block.address, None), block


def _broadcast(a: np.ndarray, b: np.ndarray) -> tuple[c.c_size_t, ...]:
    channels = a.shape[-1]
    rows = a.size // channels
    row_step = channels if b.size == a.size else 0
    return _size(rows), _size(channels), _size(row_step), _size(int(b.size > 1))


def _conv_window(
    shape: tuple[int, ...],
    w: np.ndarray,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> tuple[_Window, tuple[int, int]]:
    outputs = Window(w.shape[1:3], strides, padding, dilation).outputs(shape[1], shape[2])
    fields = (*shape[1:], *outputs, w.shape[0], *w.shape[1:3], *strides, *dilation, *padding[:2], groups)
    return _Window(*fields), outputs


def _pool_window(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    *,
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[_Window, tuple[int, int]]:
    outputs = Window(kernel, strides, padding).outputs(shape[1], shape[2])
    return _Window(*shape[1:], *outputs, shape[3], *kernel, *strides, 1, 1, *padding[:2], 1), outputs


def _segments(w: np.ndarray, channels: Channels | None) -> tuple[c.Array, list[Block]]:
    """The C table of segments, and the blocks that it points to."""
    if channels is None:
        block = Block(w)
        return (_Segment * 1)(_Segment(block.address, None, w.shape[3])), [block]
    kept = [Block(np.ascontiguousarray(w[..., part])) for part in channels]
    lists = [Block(part.astype(np.uint16)) for part in channels]
    entries = [
        _Segment(weights.address, listed.address, part.size)
        for weights, listed, part in zip(kept, lists, channels, strict=True)
    ]
    return (_Segment * len(entries))(*entries), [*kept, *lists]


def _depthwise_parts(w: np.ndarray, parts: Channels | None) -> list[tuple[Block | None, Block]]:
    if parts is None:
        return [(None, Block(w))]
    return [(Block(part.astype(np.uint16)), Block(np.ascontiguousarray(w[part]))) for part in parts]

"""The structures of tt_kernels.h, and memory that C code can work on."""

from __future__ import annotations

import ctypes as c
from copy import copy
from typing import Any

import numpy as np

from tinytrain.kernel.table import KERNELS
from tinytrain.kernel.work import Work
from tinytrain.reference.health import UpdateHealth
from tinytrain.reference.update import StepState, rate_parts
from tinytrain.reference.windows import SlidingWindow

Channels = list[np.ndarray]
"""Input channels of each segment, within a group."""


class CWindow(c.Structure):
    _fields_ = [
        (name, c.c_uint16)
        for name in (
            *("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w"),
            *("stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_left", "groups"),
        )
    ]


class CRequant(c.Structure):
    _fields_ = [
        ("multiplier", c.c_void_p),
        ("shift", c.c_void_p),
        *((name, c.c_int8) for name in ("input_zero", "zero", "lo", "hi")),
    ]


class CSegment(c.Structure):
    _fields_ = [
        ("weights", c.c_void_p),
        ("channels", c.c_void_p),
        ("count", c.c_uint16),
        ("step", c.c_uint16),
    ]


class CAdd(c.Structure):
    _fields_ = [
        *((name, c.c_int32) for name in ("a_factor", "b_factor")),
        *((name, c.c_int8) for name in ("shift", "a_zero", "b_zero", "zero", "lo", "hi")),
    ]


class CScale(c.Structure):
    _fields_ = [("exponent", c.c_int32), ("running_max", c.c_uint32), ("peak", c.c_int32)]


class CInputHealth(c.Structure):
    _fields_ = [("seen", c.c_uint32), ("clipped", c.c_uint32)]


class CGradientHealth(c.Structure):
    _fields_ = [("saturated", c.c_uint32), ("rises", c.c_uint16), ("falls", c.c_uint16)]


class CStep(c.Structure):
    _fields_ = [
        ("rate", c.c_float),
        ("rate_mantissa", c.c_int32),
        ("rate_exponent", c.c_int32),
        ("normaliser", c.c_int32),
        ("seed", c.c_uint32),
        ("count", c.c_uint32),
    ]


class CRescale(c.Structure):
    _fields_ = [
        ("input_exponent", c.c_int32),
        ("shift", c.c_int32),
        ("output", c.c_void_p),
        ("sums", c.c_void_p),
    ]


class CFactors(c.Structure):
    _fields_ = [("integer", c.c_void_p), ("real", c.c_void_p)]


class CTrained(c.Structure):
    _fields_ = [("weights", c.c_void_p), ("fraction", c.c_void_p), ("fraction_bits", c.c_uint8)]


class CUpdate(c.Structure):
    _fields_ = [
        ("multiplier", c.c_void_p),
        ("shift", c.c_void_p),
        ("real", c.c_void_p),
        ("index", c.c_uint32),
        ("exponent", c.c_int32),
        ("sum_shift", c.c_int32),
        ("is_random", c.c_uint8),
        ("health", c.c_void_p),
        ("first", c.c_uint32),
    ]


_C = c.CDLL(None)
_C.malloc.restype = c.c_void_p
_C.malloc.argtypes = [c.c_size_t]
_C.free.argtypes = [c.c_void_p]


class Block:
    """An array in a malloc block of exactly its size: an address sanitizer sees its ends."""

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

    def __init__(
        self, shift: int, input_exponent: int, output_exponent: int, peak: int = 0
    ) -> None:
        self.scale = CScale(output_exponent, 0, peak)
        self.input_exponent = input_exponent
        self.sums: Block | None = None
        self.struct = CRescale(input_exponent, shift, c.addressof(self.scale))

    def add_to(self, sums: Block) -> None:
        """Lets kernels add to sums instead of rounding."""
        self.sums, self.struct.sums = sums, sums.address

    @property
    def peak(self) -> int:
        """The peak after a call."""
        return int(self.scale.peak)


def size(value: int) -> c.c_size_t:
    return c.c_size_t(value)


def blank(dtype: Any, shape: tuple[int, ...]) -> Block:
    """Memory that a kernel must write: 0x5A bytes."""
    array = np.empty(shape, dtype=dtype)
    array.view(np.uint8).fill(0x5A)
    return Block(array)


class Update:
    """What turns sums into updates: the arguments of `reference.update.deltas` and their C form."""

    def __init__(
        self,
        step: StepState,
        *,
        bits: int = 0,
        multiplier: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        real: np.ndarray | None = None,
        index: int = 0,
        exponent: int = 0,
        q: int = 0,
        is_random: bool = False,
        counted: tuple[int, int] | None = None,
    ) -> None:
        self.of, self.bits, self.index = step, bits, index
        self.multiplier, self.shift, self.real = multiplier, shift, real
        self.exponent, self.q, self.is_random = exponent, q, is_random
        self._health = None if counted is None else Block(np.array(counted, np.uint32))
        self._tables = [None if a is None else Block(a) for a in (multiplier, shift, real)]
        self._part = 0, 0

    def part(self, channel: int, element: int) -> Update:
        """The same update for a slice of the tensor from an output channel on, which is its
        element of that number; the counters are shared."""
        part = copy(self)
        part._part = channel, element
        return part

    def struct(self) -> CUpdate:
        channel, first = self._part
        addresses = [
            None if block is None else block.address + channel * block.dtype.itemsize
            for block in self._tables
        ]
        health = None if self._health is None else self._health.address
        rule = self.index, self.exponent, self.q, int(self.is_random)
        return CUpdate(*addresses, *rule, health, first)

    def counted(self) -> UpdateHealth:
        """`seen` and `lost` as a kernel left them."""
        assert self._health is not None
        return UpdateHealth(*self._health.read().tolist())

    def step(self) -> CStep:
        mantissa, exponent = rate_parts(self.of.rate)
        rate = self.of.rate if mantissa else 0.0
        return CStep(rate, mantissa, exponent, self.of.normaliser, self.of.seed, self.of.count)


class Trained:
    """Weights and fraction in C memory."""

    def __init__(self, weights: np.ndarray, fraction: np.ndarray | None, bits: int) -> None:
        self._weights = Block(weights)
        self._fraction = None if fraction is None else Block(fraction)
        address = None if self._fraction is None else self._fraction.address
        self.struct = CTrained(self._weights.address, address, bits)

    def read(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self._weights.read(), None if self._fraction is None else self._fraction.read()


def struct_of(rescale: Rescale | None) -> CRescale | None:
    return None if rescale is None else rescale.struct


def factors_of(factors: np.ndarray) -> tuple[CFactors, Block]:
    block = Block(factors)
    if factors.dtype == np.float32:
        return CFactors(None, block.address), block
    assert factors.dtype == np.int16
    return CFactors(block.address, None), block


def broadcast(a: np.ndarray, b: np.ndarray) -> tuple[c.c_size_t, ...]:
    channels = a.shape[-1]
    rows = a.size // channels
    row_step = channels if b.size == a.size else 0
    return size(rows), size(channels), size(row_step), size(int(b.size > 1))


def conv_window(
    shape: tuple[int, ...],
    w: np.ndarray,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> tuple[CWindow, tuple[int, int]]:
    outputs = SlidingWindow(w.shape[1:3], strides, padding, dilation).outputs(shape[1], shape[2])
    fields = (
        *shape[1:],
        *outputs,
        w.shape[0],
        *w.shape[1:3],
        *strides,
        *dilation,
        *padding[:2],
        groups,
    )
    return CWindow(*fields), outputs


def workspace_of(name: str, window: CWindow, dtype: Any = np.int8) -> Block:
    """The workspace that the portable `tt_<name>` takes, by the compiler's table."""
    work = _work(name, window, dtype)
    return blank(np.uint8, (KERNELS[work.contract][0].workspace(work),))


def workspaces_of(name: str, window: CWindow, dtype: Any = np.int8) -> list[int]:
    """Bytes of workspace with which the portable `tt_<name>` works, in one way each."""
    work = _work(name, window, dtype)
    return [variant.workspace for variant in KERNELS[work.contract][0].variants(work)]


def works_in_place(name: str, window: CWindow, dtype: Any = np.int8) -> bool:
    """Whether the table says that the portable `tt_<name>` may write over its input."""
    work = _work(name, window, dtype)
    return KERNELS[work.contract][0].in_place(work)


def _work(name: str, window: CWindow, dtype: Any) -> Work:
    geometry = {field: getattr(window, field) for field, _ in CWindow._fields_}
    kind = {1: "s8", 2: "s16", 4: "f32"}[np.dtype(dtype).itemsize]
    return Work(contract=f"tt_{name}", dtype=kind, **geometry)


def pool_window(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    *,
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[CWindow, tuple[int, int]]:
    outputs = SlidingWindow(kernel, strides, padding).outputs(shape[1], shape[2])
    return CWindow(
        *shape[1:], *outputs, shape[3], *kernel, *strides, 1, 1, *padding[:2], 1
    ), outputs


def segments_of(
    w: np.ndarray, channels: Channels | None, columns: range | None = None
) -> tuple[c.Array, list[Block]]:
    """The C table of segments, and the blocks that it points to.

    Args:
        columns: of the rows of weights, those that a slice of the input channels has.
    """
    if columns is not None:
        block = Block(w)
        place = block.address + columns.start
        return (CSegment * 1)(CSegment(place, None, len(columns), w.shape[3])), [block]
    if channels is None:
        block = Block(w)
        return (CSegment * 1)(CSegment(block.address, None, w.shape[3])), [block]
    kept = [Block(np.ascontiguousarray(w[..., part])) for part in channels]
    lists = [Block(part.astype(np.uint16)) for part in channels]
    entries = [
        CSegment(weights.address, listed.address, part.size)
        for weights, listed, part in zip(kept, lists, channels, strict=True)
    ]
    return (CSegment * len(entries))(*entries), [*kept, *lists]


def depthwise_parts(w: np.ndarray, parts: Channels | None) -> list[tuple[Block | None, Block]]:
    if parts is None:
        return [(None, Block(w))]
    return [(Block(part.astype(np.uint16)), Block(np.ascontiguousarray(w[part]))) for part in parts]

"""Types of values: dtype, shape, and how integers stand for real numbers."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


class DType(enum.Enum):
    """Element types. `BIT` is a packed mask: eight elements a byte, least significant first."""

    S8 = "s8"
    U8 = "u8"
    S16 = "s16"
    S32 = "s32"
    F32 = "f32"
    BIT = "bit"

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype that holds it; a `BIT` mask is held packed, in uint8."""
        return np.dtype(_NUMPY[self])

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value of an integer dtype."""
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)


_NUMPY = {
    DType.S8: np.int8,
    DType.U8: np.uint8,
    DType.S16: np.int16,
    DType.S32: np.int32,
    DType.F32: np.float32,
    DType.BIT: np.uint8,
}


@dataclass(frozen=True)
class Quantization:
    """Affine map of integers to reals: real = scale * (q - zero_point).

    `scale` has one entry, or one for each index along `axis`. Scales are float32 values held in
    Python floats. A per-channel quantization has zero_point 0.
    """

    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None

    def __post_init__(self) -> None:
        if (self.axis is None) != (len(self.scale) == 1) and self.axis is None:
            raise ValueError("several scales need an axis")
        if self.axis is not None and self.zero_point != 0:
            raise ValueError("a per-channel quantization has zero_point 0")

    def scales(self, count: int) -> np.ndarray:
        """The scale of each of `count` channels, float64 [count]."""
        scale = np.asarray(self.scale, dtype=np.float64)
        return np.broadcast_to(scale, (count,)) if scale.size == 1 else scale


@dataclass(frozen=True)
class TensorType:
    """Shape, dtype and meaning of a tensor.

    Activations are NHWC, convolution weights [O, KH, KW, I/groups], dense weights [O, I]. A 1-D
    signal is a map of height 1.

    `quantization` gives the meaning of forward integers. A gradient with integer elements has
    `exponent` instead: the name of the step state that holds E in real = g * 2**(E + n), where n is
    the step's loss normaliser (docs/arithmetic.md).
    """

    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None = None
    exponent: str | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of storage."""
        if self.dtype is DType.BIT:
            return (self.size + 7) // 8
        return self.size * self.dtype.numpy.itemsize

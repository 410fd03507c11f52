"""Random cases for the kernels; the ends of every range are likely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.support.runtime.memory import Update
from tinytrain.reference import update
from tinytrain.reference.fixed_point import multipliers, requantizers
from tinytrain.reference.health import HEALTH_STEPS, UpdateHealth
from tinytrain.reference.windows import SlidingWindow

DTYPES = [np.int8, np.int16, np.float32]
Rng = np.random.Generator


def same(actual: np.ndarray, expected: np.ndarray) -> None:
    """Asserts equal dtype, shape and bits."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    left, right = (
        np.frombuffer(np.ascontiguousarray(a).tobytes(), np.uint8) for a in (actual, expected)
    )
    if not np.array_equal(left, right):
        differ = np.flatnonzero(actual.ravel() != expected.ravel())
        first = differ[:5]
        raise AssertionError(
            f"{differ.size} of {actual.size} differ, first at {first.tolist()}: "
            f"{actual.ravel()[first]} instead of {expected.ravel()[first]}"
        )


def s8(rng: Rng, *shape: int) -> np.ndarray:
    """Any int8; one array in four holds only the ends of the range."""
    if rng.integers(4) == 0:
        return rng.choice(np.int8([-128, 127]), shape)
    return rng.integers(-128, 128, shape).astype(np.int8)


def zero_point(rng: Rng) -> int:
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))


def clamp(rng: Rng) -> tuple[int, int]:
    if rng.integers(2):
        return -128, 127
    low, high = sorted(rng.choice(np.arange(-128, 128), 2, replace=False).tolist())
    return low, high


def gradient(rng: Rng, dtype: Any, *shape: int) -> np.ndarray:
    """A gradient in +-L with zeros in it; one integer array in four holds only 0 and +-L."""
    if np.dtype(dtype) == np.float32:
        values = rng.normal(size=shape) * np.exp2(rng.integers(-20, 20, shape))
    elif rng.integers(4) == 0:
        values = rng.choice([-1, 0, 1], shape) * np.iinfo(dtype).max
    else:
        top = np.iinfo(dtype).max
        values = rng.integers(-top, top + 1, shape)
    return np.where(rng.random(shape) < 0.2, 0, values).astype(dtype)


def requantization(rng: Rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of every size that a compiler may give; some are the ends of the range."""
    made = requantizers if rng.integers(2) else multipliers
    mantissas, shifts = made(np.exp2(rng.uniform(-33, 4, count)))
    if rng.integers(4) == 0:
        shifts = rng.choice(np.int8([-31, -1, 0, 1, 30]), count)
        mantissas = rng.choice(np.int32([0, 2**30, 2**31 - 1]), count)
    return mantissas, shifts


@dataclass(frozen=True)
class Conv:
    """A convolution: operands, and the keyword arguments of its geometry."""

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    x_zero: int
    geometry: dict[str, Any]

    @property
    def output_shape(self) -> tuple[int, ...]:
        g = self.geometry
        window = SlidingWindow(self.w.shape[1:3], g["strides"], g["padding"], g["dilation"])
        return (1, *window.outputs(*self.x.shape[1:3]), self.w.shape[0])

    def gradient(self, rng: Rng, dtype: Any) -> np.ndarray:
        return gradient(rng, dtype, *self.output_shape)


def conv(rng: Rng, *, depthwise: bool = False, dense: bool = False) -> Conv:
    """Any geometry: windows that lie in the padding, strides beyond the kernel, 1x1 maps.

    One in four has a map of many positions and a window of a usual kind.
    """
    roomy = rng.integers(4) == 0
    groups = int(rng.choice([1, 1, 2, 3]))
    per_group, outputs = int(rng.integers(1, 20)), int(rng.integers(1, 6))
    kernel, strides, dilation, pads, size = [], [], [], [], []
    for _ in range(2):
        k, d = (1, 1) if dense else (int(rng.integers(1, 5)), int(rng.choice([1, 1, 2, 3])))
        if roomy:
            k, d = (1 if dense else int(rng.choice([1, 3, 5, 7]))), 1
        reach = d * (k - 1) + 1
        before, after = (0, 0) if dense else rng.integers(0, reach + 2, 2).tolist()
        least = max(1, reach - before - after)
        size.append(1 if dense else least + int(rng.integers(0, 16 if roomy else 5)))
        kernel.append(k)
        dilation.append(d)
        strides.append(int(rng.integers(1, 3 if roomy else 5)))
        pads.append((before, after))
    if depthwise:
        groups, per_group, outputs = int(rng.integers(1, 40)), 1, int(rng.choice([1, 1, 2, 3]))
    w = s8(rng, groups * outputs, *kernel, per_group)
    b = rng.integers(-(2**30), 2**30 + 1, w.shape[0]).astype(np.int32)
    geometry = {
        "strides": tuple(strides),
        "padding": (pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
        "dilation": tuple(dilation),
        "groups": groups,
    }
    return Conv(s8(rng, 1, *size, groups * per_group), w, b, zero_point(rng), geometry)


def alike(rng: Rng) -> Conv:
    """A depthwise convolution to a map of its input's shape, up to 33x33, strides 1."""
    kernel, dilation, pads, size = [], [], [], []
    for _ in range(2):
        k, d = int(rng.choice([1, 2, 3, 3, 5, 7])), int(rng.choice([1, 1, 1, 2]))
        before = int(rng.integers(0, d * (k - 1) + 1))
        pads.append((before, d * (k - 1) - before))
        size.append(int(rng.choice([1, 4, 8, 16, 32, rng.integers(1, 34)])))
        kernel.append(k)
        dilation.append(d)
    groups = int(rng.integers(1, 12))
    b = rng.integers(-(2**30), 2**30 + 1, groups).astype(np.int32)
    geometry = {
        "strides": (1, 1),
        "padding": (pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
        "dilation": tuple(dilation),
        "groups": groups,
    }
    w = s8(rng, groups, *kernel, 1)
    return Conv(s8(rng, 1, *size, groups), w, b, zero_point(rng), geometry)


def segments(rng: Rng, channels: int) -> list[np.ndarray] | None:
    """How the input channels of a group may be stored: whole, listed, or in two or three parts."""
    count = int(rng.integers(0, 4))
    if count == 0 or channels < count:
        return None
    owner = rng.permutation(np.arange(channels) % count)
    return [np.flatnonzero(owner == part) for part in range(count)]


def pool(rng: Rng) -> tuple[np.ndarray, tuple[int, int], dict[str, Any]]:
    """(x, kernel, geometry); padding stays below the window, so each window meets the map."""
    kernel, strides, pads, size = [], [], [], []
    for _ in range(2):
        k = int(rng.integers(1, 6))
        before, after = rng.integers(0, k, 2).tolist()
        size.append(max(1, k - before - after) + int(rng.integers(0, 6)))
        kernel.append(k)
        strides.append(int(rng.integers(1, 7)))
        pads.append((before, after))
    padding = (pads[0][0], pads[1][0], pads[0][1], pads[1][1])
    x = s8(rng, 1, *size, int(rng.integers(1, 40)))
    return x, (kernel[0], kernel[1]), {"strides": tuple(strides), "padding": padding}


def shift_for(rng: Rng, sums: np.ndarray, dtype: Any) -> int:
    """A shift that brings sums near the range of the dtype, or one far off."""
    if rng.integers(5) == 0:
        return int(rng.integers(-40, 70))
    largest = max(int(np.max(np.abs(sums))), 1).bit_length()
    return largest - np.iinfo(dtype).bits + int(rng.integers(-1, 4))


def sgd(rng: Rng, dtype: Any, sums: np.ndarray, bits: int, q: int) -> Update:
    """An update whose D is of the size of a weight's last bits, or far off."""
    outputs = sums.shape[0]
    step = update.StepState(
        rate=float(np.float32(rng.choice([0.0, 1e-39, 1e-3, 0.1, 1.0, 1024.0, rng.random()]))),
        normaliser=int(rng.integers(-120, 123)),
        seed=int(rng.integers(2**32)),
        # One in two is a step that counts.
        count=int(rng.integers(2**32)) & int(rng.choice([2**32 - 1, 2**32 - HEALTH_STEPS])),
    )
    common = {
        "bits": bits,
        "index": int(rng.integers(2**32)) % 1000,
        "exponent": int(rng.integers(-60, 61)),
        "is_random": bool(rng.integers(2)),
        "counted": (int(rng.choice([0, 2**31 - 1, 2**32 - 1])), int(rng.integers(2**31))),
    }
    if np.dtype(dtype) == np.float32:
        wanted = np.exp2(rng.uniform(-6, 4 + bits, outputs))
        scale = np.max(np.abs(sums), initial=1e-30) * max(step.rate, 1e-6)
        real = np.minimum(wanted / scale, 1e38).astype(np.float32)
        return Update(step, real=real, **common)
    mantissas = rng.integers(2**30, 2**31, outputs).astype(np.int32)
    shifts = rng.integers(-31, 32, outputs).astype(np.int8)
    if rng.integers(4):
        # Choose n so that h lands where the largest sum moves a few units.
        largest = max(int(np.max(np.abs(sums))) >> q, 1).bit_length()
        wanted = largest + 31 - 2 - bits + int(rng.integers(-3, 6))
        e_r = update.rate_parts(step.rate)[1]
        n = 31 - int(shifts[0]) - e_r - common["exponent"] - q - wanted
        n = int(np.clip(n, -120, 122))
        step = update.StepState(step.rate, n, step.seed, step.count)
        shifts = np.clip(shifts[0] + rng.integers(-2, 3, outputs), -31, 31).astype(np.int8)
    return Update(step, multiplier=mantissas, shift=shifts, q=q, **common)


def counted(sums: np.ndarray, rule: Update, before: UpdateHealth) -> UpdateHealth:
    """What an update counts, by the reference."""
    after = replace(before)
    if rule.of.count % HEALTH_STEPS == 0:
        after.count(sums, deltas(sums, rule))
    return after


def deltas(sums: np.ndarray, rule: Update) -> np.ndarray:
    """D by the reference."""
    r = update.rounding(rule.of, rule.index, sums.shape, is_random=rule.is_random)
    if rule.real is not None:
        return update.deltas_f32(sums, rule.real, rule.of, r)
    return update.deltas(sums, rule.multiplier, rule.shift, rule.of, rule.exponent, rule.q, r)

"""Moments and the two integers that follow them beside their twins, to the bit."""

from __future__ import annotations

import ctypes as c

import numpy as np

from tests.support.runtime.cases import Rng, same
from tests.support.runtime.kernels import Kernels
from tests.support.runtime.memory import Block
from tinytrain.reference import follow
from tinytrain.reference.follow import FollowedChannels, FollowState


class Follow(c.Structure):
    """`tt_follow`."""

    _fields_ = (
        *((name, c.c_void_p) for name in ("probe_bias", "center", "unit", "multiplier", "spread")),
        ("channels", c.c_uint32),
        ("positions", c.c_uint32),
        ("mean_multiplier", c.c_int32),
        ("mean_shift", c.c_int32),
    )


def channels_for(rng: Rng, count: int, positions: int) -> FollowedChannels:
    """Channels of every size, the largest and some that are left alone among them."""
    size = np.exp2(rng.uniform(0, 29, count))
    bias = np.rint(rng.uniform(-1, 1, count) * size)
    unit = np.minimum(np.rint(np.exp2(rng.uniform(0, 31, count))), 2**31 - 1)
    unit[rng.uniform(size=count) < 0.1] = 0
    return FollowedChannels(
        bias=bias.astype(np.int32),
        multiplier=rng.integers(0, 2**31, count).astype(np.int32),
        center=np.rint(rng.uniform(-1, 1, count) * size).astype(np.int32),
        unit=unit.astype(np.int32),
        square=rng.integers(1 << 16, 1 << 30, count, endpoint=True).astype(np.int32),
        positions=positions,
    )


def struct(known: FollowedChannels) -> tuple[Follow, list[Block]]:
    """The constants in C, and the blocks that they lie in."""
    arrays = [known.probe_bias, known.center, known.unit, known.multiplier]
    blocks = [Block(array.astype(np.int32)) for array in arrays]
    blocks.append(Block(known.spread.astype(np.uint16)))
    m, s = known.mean_factor
    places = [c.c_void_p(block.address) for block in blocks]
    return Follow(*places, len(known.unit), known.positions, m, s), blocks


def adjusted(kernels: Kernels, known: FollowedChannels, moments: np.ndarray) -> list[np.ndarray]:
    held, blocks = struct(known)
    found = [Block(np.zeros(len(known.unit), np.int32)) for _ in range(2)]
    kernels.call("follow_adjust", c.byref(held), Block(moments.astype(np.int32)), *found)
    assert blocks
    return [block.read() for block in found]


def test_any_moments_give_integers_that_every_kernel_takes(kernels: Kernels, rng: Rng) -> None:
    known = channels_for(rng, 400, 64)
    state = FollowState(known)
    near = state.moments + rng.integers(-(1 << 18), 1 << 18, state.moments.shape)
    anything = rng.integers(-(2**31), 2**31, state.moments.shape)
    ends = rng.choice([-(2**31), -(2**23), 0, 2**23, 2**30, 2**31 - 1], state.moments.shape)
    for moments in (state.moments, near, anything, ends):
        state.moments = moments
        state.adjust()
        bias, multiplier = adjusted(kernels, known, moments)
        same(bias, state.bias)
        same(multiplier, state.multiplier)
        assert np.abs(bias.astype(np.int64)).max() <= follow.LARGEST_BIAS
        assert multiplier.min() >= 0


def test_the_moments_of_training_leave_a_layer_as_it_is(rng: Rng) -> None:
    state = FollowState(channels_for(rng, 300, 64))
    same(state.bias, state.channels.bias)
    same(state.multiplier, state.channels.multiplier)


def test_samples_are_taken_in(kernels: Kernels, rng: Rng) -> None:
    for height, width, channels in ((4, 4, 3), (256, 256, 2), (1, 17, 8)):
        state = FollowState(channels_for(rng, channels, height * width))
        held, blocks = struct(state.channels)
        moments = Block(state.moments.astype(np.int32))
        for low, high in ((-128, -127), (-20, 30), (126, 127), (-128, 127)):
            y = rng.integers(low, high, (1, height, width, channels), endpoint=True)
            y = y.astype(np.int8)
            shift = follow.shift_after(state.samples)
            kernels.call("follow_observe", c.byref(held), shift, Block(y), moments)
            state.observe(y)
            same(moments.read().reshape(-1, 2), state.moments.astype(np.int32))
        assert blocks


def test_what_scatters_little_counts_as_nothing_and_what_moved_counts_in_full() -> None:
    tolerance = follow.MEAN_TOLERANCE
    small, large = np.array([tolerance // 5]), np.array([4 * tolerance])
    assert abs(follow.shrunk(small, tolerance)[0]) < 0.01 * small[0]
    assert follow.shrunk(large, tolerance)[0] > 0.99 * large[0]
    moved = np.arange(-32767, 32768)
    exact = moved * (moved.astype(float) ** 4 / (moved.astype(float) ** 4 + tolerance**4))
    assert np.abs(follow.shrunk(moved, tolerance) - exact).max() < 6


def test_training_and_the_first_samples_count_alike(kernels: Kernels) -> None:
    found = [kernels.call("follow_shift", n, restype=c.c_uint32) for n in range(300)]
    assert found == [follow.shift_after(n) for n in range(300)]
    assert [found.count(shift) for shift in (5, 6, 7, 8)] == [32, 64, 128, 76]
    assert kernels.call("follow_shift", -1, restype=c.c_uint32) in (5, 8)  # of a damaged file

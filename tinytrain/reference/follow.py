"""Following drift by the forward pass alone, to the bit: docs/arithmetic.md section 11.

The moments of a convolution's accumulators are followed channel by channel, over single samples
and without a gradient, and the channel is brought back to what it was in training by two integers:
its bias and its multiplier. Source of the idea: test-time normalisation of networks whose batch
normalisation is folded into their convolutions (Schneider et al., "Improving robustness against
common corruptions by covariate shift adaptation", NeurIPS 2020, of batches; here it is a running
estimate that shrinks towards the training's own).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.reference.convolution import conv_requant
from tinytrain.reference.fixed_point import S32_MAX, multiplier, requantize, requantizers

UNITS_PER_DEVIATION = 16
"""What a probe makes of a standard deviation in training: its s8 holds eight of them."""

FIRST_SHIFT, LAST_SHIFT = 5, 8
"""A sample's share of the moments is 2^-5 at first, and 2^-8 in the end."""

LARGEST_RATIO = 4
"""Of a standard deviation to that of training, and back."""

MEAN_TOLERANCE, SPREAD_TOLERANCE = 1024, 410
"""A quarter and a tenth of a deviation in training, in 2^-8 units of the probe."""

LEAST_POSITIONS = 16
"""Of a map that is followed: fewer say too little of a channel."""

MOST_POSITIONS = 65_536
LARGEST_BIAS = 2**30
LARGEST_MEAN = 2**23
LARGEST_SQUARE = 2**30


@dataclass(frozen=True, eq=False)
class FollowedChannels:
    """What is known of a followed convolution's channels when it is compiled, int32 [O] each.

    Attributes:
        bias, multiplier: as compiled.
        center: the mean of the accumulators in training.
        unit: accumulator units of a unit of the probe, in 2^-8; 0 for a channel that stood still in
            training, which is left alone.
        square: the mean square of the probe's output in training, in 2^-16.
        positions: of a map.
    """

    bias: np.ndarray
    multiplier: np.ndarray
    center: np.ndarray
    unit: np.ndarray
    square: np.ndarray
    positions: int

    @property
    def probe_bias(self) -> np.ndarray:
        """The bias with which the accumulators of training have the mean 0."""
        found: np.ndarray = self.bias - self.center
        return found

    @property
    def spread(self) -> np.ndarray:
        """The deviation of the probe's output in training, in 2^-8."""
        square = self.square.astype(np.int64)
        return spread(np.zeros_like(square), square)

    @property
    def mean_factor(self) -> tuple[int, int]:
        """(M, S) from a sum over the positions to a mean in 2^-16."""
        return multiplier(2.0**16 / self.positions)


@dataclass(eq=False)
class FollowState:
    """The state of a followed convolution: moments int64 [O, 2], and the two integers that follow.

    Attributes:
        moments: mean and mean square of the probe's output, in 2^-16.
        samples: taken in, 2^8 at most.
    """

    channels: FollowedChannels
    moments: np.ndarray = field(init=False)
    samples: int = field(init=False)
    bias: np.ndarray = field(init=False)
    multiplier: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the moments of training."""
        square = self.channels.square.astype(np.int64)
        self.moments = np.stack([np.zeros_like(square), square], axis=1)
        self.samples = 0
        self.adjust()

    def observe(self, y: np.ndarray) -> None:
        """Takes the probe's output for one sample in: int8 [1, H, W, O]."""
        m, s = self.channels.mean_factor
        flat = y.reshape(-1, y.shape[-1]).astype(np.int64)
        sums = np.stack([flat.sum(axis=0), (flat * flat).sum(axis=0)], axis=1)
        found = requantize(sums, m, s)
        held = _held(self.moments)
        shift = shift_after(self.samples)
        self.moments = held + ((found - held + (1 << (shift - 1))) >> shift)
        self.samples = min(self.samples + 1, 1 << LAST_SHIFT)
        self.adjust()

    def adjust(self) -> None:
        """The bias and the multiplier that bring each channel back."""
        known, held = self.channels, _held(self.moments)
        is_alive = known.unit > 0
        source = np.where(is_alive, known.spread, 1)
        moved = spread(held[:, 0], held[:, 1]) - source
        now = source + shrunk(moved, SPREAD_TOLERANCE)
        now = np.clip(now, -(-source // LARGEST_RATIO), source * LARGEST_RATIO)
        mean = shrunk(np.clip(held[:, 0] >> 8, -32767, 32767), MEAN_TOLERANCE)
        gain, inverse = (source << 16) // now, (now << 16) // source
        factor = (known.multiplier.astype(np.int64) * gain + (1 << 15)) >> 16
        bias = (
            known.probe_bias.astype(np.int64)
            + ((known.center.astype(np.int64) * inverse + (1 << 15)) >> 16)
            - ((mean * known.unit.astype(np.int64) + (1 << 15)) >> 16)
        )
        bias = np.clip(bias, -LARGEST_BIAS, LARGEST_BIAS)
        self.bias = np.where(is_alive, bias, known.bias).astype(np.int32)
        self.multiplier = np.where(is_alive, np.minimum(factor, S32_MAX), known.multiplier).astype(
            np.int32
        )


def shift_after(samples: int) -> int:
    """s of the share 2^-s of the sample that comes after so many."""
    return min(max((samples + (1 << FIRST_SHIFT)).bit_length() - 1, FIRST_SHIFT), LAST_SHIFT)


def _held(moments: np.ndarray) -> np.ndarray:
    """Moments that a state may hold, whatever a file said."""
    mean = np.clip(moments[:, 0], -LARGEST_MEAN, LARGEST_MEAN)
    return np.stack([mean, np.clip(moments[:, 1], 0, LARGEST_SQUARE)], axis=1)


def spread(mean: np.ndarray, square: np.ndarray) -> np.ndarray:
    """The standard deviation in 2^-8 of moments in 2^-16: at most 2^15."""
    variance = np.maximum(square - (mean * mean >> 16), 0)
    root = np.floor(np.sqrt(variance.astype(np.float64))).astype(np.int64)
    exact: np.ndarray = root - (root * root > variance)
    return exact


def shrunk(moved: np.ndarray, tolerance: int) -> np.ndarray:
    """How much of a movement counts: d·d^4/(d^4 + t^4), for |d| < 2^16 and t < 2^15.

    A movement well within the tolerance t is that of the samples and counts as none; one well
    beyond it counts in full.
    """
    squared, limit = np.minimum(moved * moved, 2**32 - 1), tolerance * tolerance
    scaled = _halvings(np.maximum(squared, limit), 16)
    fourth, own = (squared >> scaled) ** 2 >> 1, (limit >> scaled) ** 2 >> 1
    halved = _halvings(fourth + own, 16)
    share = ((fourth >> halved) << 15) // np.maximum((fourth + own) >> halved, 1)
    result: np.ndarray = np.sign(moved) * (np.abs(moved) * share >> 15)
    return result


def _halvings(values: np.ndarray, bits: int) -> np.ndarray:
    """How often each has to be halved until it has so many bits at most."""
    found: np.ndarray = np.maximum(np.frexp(values.astype(np.float64))[1] - bits, 0)
    return found


def channels_of(node: Node, bias: np.ndarray) -> FollowedChannels:
    """The channels of a convolution with the attribute `follow`: center, unit, square of each.

    Args:
        bias: as compiled, int32 [O].
    """
    center, unit, square = np.array(node.attrs["follow"], np.int32).T
    m, _ = conv_requant(node.inputs[0], node.inputs[1], node.output)
    positions = math.prod(node.output.type.shape[1:3])
    return FollowedChannels(bias, m, center, unit, square, positions)


def probe_requant(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) of each channel's probe from its unit in 2^-8; a channel without one gives 0."""
    m, s = requantizers(np.where(unit > 0, 256.0 / np.maximum(unit, 1), 0.25))
    return np.where(unit > 0, m, 0).astype(np.int32), s


def saved_moments(states: Iterable[FollowState]) -> bytes:
    """The moments of all layers and the samples in them, as a saved file has them."""
    held = list(states)
    samples = struct.pack("<I", held[0].samples) if held else b""
    return b"".join(state.moments.astype("<i4").tobytes() for state in held) + samples

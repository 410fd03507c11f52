"""What a model does to test itself."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.kernel.constants import c_constant

STEPS = c_constant("tt_self_test.h", "TT_SELF_TEST_STEPS")


@dataclass(frozen=True)
class SelfTest:
    """A test.

    Attributes:
        start: what the generator of samples starts at, 0 to 2^32 - 1.
        divisor: of its numbers, -128 to 127; a power of two.
        crc: CRC-32 of what the model then holds.
    """

    start: int
    divisor: int
    crc: int

"""What the compiler knows of one kernel, and rules of cost that many share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinytrain.isa import INSTRUCTION_SETS
from tinytrain.kernel.work import Work

Rule = Callable[[Work], float]
Bytes = Callable[[Work], int]


@dataclass(frozen=True)
class Variant:
    """A kernel with so much scratch, in bytes, and its instructions."""

    scratch: int
    cost: float


@dataclass(frozen=True)
class Kernel:
    """One implementation of a contract of `tt_kernels.h`.

    Attributes:
        isa: the instruction set that it needs.
        cost: instructions, fitted to counts under emulation. Costs rank kernels and estimate a
            step; nothing that the device computes depends on them.
        scratch: bytes; exact, tests put guards behind them.
        narrow: what it costs with less scratch, for kernels that are told how much they have;
            the more scratch, the earlier.
        fits: whether it may be called at all.
        in_place: whether its output may lie where its input does: it has then read all that it
            needs of a byte before it writes it.
    """

    isa: str
    cost: Rule
    scratch: Bytes = lambda work: 0
    fits: Callable[[Work], bool] = lambda work: True
    in_place: Callable[[Work], bool] = lambda work: False
    narrow: Callable[[Work], Sequence[Variant]] = lambda work: ()

    @property
    def suffix(self) -> str:
        """Of the C function's name."""
        return INSTRUCTION_SETS[self.isa].suffix

    def variants(self, work: Work) -> list[Variant]:
        """With all the scratch that it can use, and with less."""
        return [Variant(self.scratch(work), self.cost(work)), *self.narrow(work)]


def is_alike(work: Work) -> bool:
    """Whether input and output of a depthwise layer have one shape, and strides are 1."""
    alike = (work.in_h, work.in_w, work.in_c) == (work.out_h, work.out_w, work.out_c)
    return alike and work.stride_h == work.stride_w == 1


def reads_ahead(work: Work) -> bool:
    """Whether, beyond that, no output row lies below all rows that it is made from.

    Then a forward kernel that reads each row once, from the top down, is done with it before it
    writes it.
    """
    return is_alike(work) and work.pad_top <= (work.kernel_h - 1) * work.dilation_h


def per_element(factor: float) -> Rule:
    """Of an elementwise kernel."""
    return lambda work: factor * work.count + 40


def per_channel(factor: float) -> Rule:
    """Of a bias: `factor` a position, and the update."""
    return lambda work: work.count * (factor * work.rows + 60) + 60


def per_mac(factor: float, per_output: float) -> Rule:
    """Of a convolution, by its multiplications and its outputs."""
    return lambda work: factor * work.macs + per_output * work.out_h * work.out_w * work.out_c

"""What the compiler knows of one kernel, and rules of cost that many share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.plan.work import Work

Rule = Callable[[Work], float]
Bytes = Callable[[Work], int]


@dataclass(frozen=True)
class Kernel:
    """One implementation of a contract of `tt_kernels.h`.

    Attributes:
        isa: the instruction set that it needs.
        cost: instructions, fitted to counts under emulation. Costs rank kernels and estimate a
            step; nothing that the device computes depends on them.
        scratch: bytes; exact, tests put guards behind them.
        fits: whether it may be called at all.
    """

    isa: str
    cost: Rule
    scratch: Bytes = lambda work: 0
    fits: Callable[[Work], bool] = lambda work: True

    @property
    def suffix(self) -> str:
        """Of the C function's name."""
        return "" if self.isa == "portable" else f"_{self.isa}"


def per_element(factor: float) -> Rule:
    """Of an elementwise kernel."""
    return lambda work: factor * work.count + 40


def per_channel(factor: float) -> Rule:
    """Of a bias: `factor` a position, and the update."""
    return lambda work: work.count * (factor * work.rows + 60) + 60


def per_mac(factor: float, per_output: float) -> Rule:
    """Of a convolution, by its multiplications and its outputs."""
    return lambda work: factor * work.macs + per_output * work.out_h * work.out_w * work.out_c

"""What the compiler knows of one kernel, and costs that many share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinytrain.errors import InternalError
from tinytrain.isa import INSTRUCTION_SETS
from tinytrain.kernel.work import Work

Cost = Callable[[Work], float]
"""Instructions of a piece of work, fitted to counts under emulation. Costs rank kernels and
estimate a step; nothing that the device computes depends on them."""

Bytes = Callable[[Work], int]
Condition = Callable[[Work], bool]


@dataclass(frozen=True)
class Variant:
    """A kernel with so much workspace, in bytes, and its instructions."""

    workspace: int
    cost: float


@dataclass(frozen=True)
class Kernel:
    """One row of the table: one implementation of a contract of `tt_kernels.h`.

    Attributes:
        contract: name of the portable C function, `tt_add_s8`, which says what is computed.
        isa: the instruction set that it needs, one of `isa.ISAS`.
        source: the file of `runtime_c/src` that defines it.
        cost: None where nothing estimates it; it is then the only kernel of its contract.
        workspace: bytes; exact, tests put guards behind them.
        fits: whether it may be called at all.
        in_place: whether its output may lie where its input does: it has then read all that it
            needs of a byte before it writes it.
        narrow: what it costs with less workspace, for kernels that are told how much they have;
            the more workspace, the earlier.
        limits: what it requires beyond its contract, as `fits` says it to the compiler, in words:
            the comment at its declaration. Empty where it fits whatever the contract allows.
    """

    contract: str
    isa: str
    source: str
    cost: Cost | None = None
    workspace: Bytes = lambda work: 0
    fits: Condition = lambda work: True
    in_place: Condition = lambda work: False
    narrow: Callable[[Work], Sequence[Variant]] = lambda work: ()
    limits: str = ""

    @property
    def name(self) -> str:
        """Of the C function."""
        return self.contract + INSTRUCTION_SETS[self.isa].suffix

    @property
    def header(self) -> str:
        """The file of `runtime_c/include` that declares it."""
        return INSTRUCTION_SETS[self.isa].header

    def widest(self, work: Work) -> Variant:
        """With all the workspace that it can use.

        Raises:
            InternalError: nothing estimates the kernel.
        """
        if self.cost is None:
            raise InternalError(f"no cost of {self.name} is known")
        return Variant(self.workspace(work), self.cost(work))

    def variants(self, work: Work) -> list[Variant]:
        """With all the workspace that it can use, and with less."""
        return [self.widest(work), *self.narrow(work)]


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


def per_element(factor: float) -> Cost:
    """Of an elementwise kernel."""
    return lambda work: factor * work.count + 40


def per_channel(factor: float) -> Cost:
    """Of a bias: `factor` a position, and the update."""
    return lambda work: work.count * (factor * work.rows + 60) + 60


def per_mac(factor: float, per_output: float) -> Cost:
    """Of a convolution, by its multiplications and its outputs."""
    return lambda work: factor * work.macs + per_output * work.out_h * work.out_w * work.out_c

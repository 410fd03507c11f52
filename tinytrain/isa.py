"""The instruction sets that kernels are written for: one row each, and nothing else lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class InstructionSet:
    """One instruction set.

    Attributes:
        name: as a target's file writes it.
        base: the set that every core with this one has as well; None for the portable one, which is
            C that any compiler takes.
        macro: defined by compilers for cores that have it; empty for the portable one.
        objdump_flags: without them objdump shows its instructions as those of a coprocessor.
    """

    name: str
    base: str | None = "portable"
    macro: str = ""
    objdump_flags: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What its kernels' names and their source files' stems end in."""
        return "" if self.base is None else f"_{self.name}"

    @property
    def header(self) -> str:
        """The file of `runtime_c/include` that declares its kernels."""
        return f"tt_kernels{self.suffix}.h"


INSTRUCTION_SETS: Mapping[str, InstructionSet] = {
    row.name: row
    for row in (
        InstructionSet("portable", base=None),
        InstructionSet("dsp", macro="__ARM_FEATURE_SIMD32"),
        InstructionSet(
            "mve",
            base="dsp",
            macro="__ARM_FEATURE_MVE",
            objdump_flags=("-m", "armv8.1-m.main"),
        ),
    )
}
"""By name; a set comes after its base."""

ISAS = tuple(INSTRUCTION_SETS)
"""Their names, the portable one first."""


def available(isa: str) -> tuple[str, ...]:
    """The names of all sets that a core has whose richest is `isa`, the portable one first."""
    base = INSTRUCTION_SETS[isa].base
    return (isa,) if base is None else (*available(base), isa)


def isa_of(function: str) -> str:
    """The name of the instruction set that a C function's name ends in."""
    named = (row for row in INSTRUCTION_SETS.values() if row.suffix)
    return next((row.name for row in named if function.endswith(row.suffix)), "portable")

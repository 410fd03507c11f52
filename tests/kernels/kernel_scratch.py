"""What the compiler's table of kernels says about a case."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from tinytrain.plan.kernel_table import KERNELS, Kernel
from tinytrain.plan.work import Work

if TYPE_CHECKING:
    from kernel_cases import Case

GENEROUS = 0x20000
"""For a kernel that the table does not know yet; test_kernel_twins.py asks that it knows all."""


def table_entry(kernel: str) -> tuple[str, Kernel] | None:
    """Contract and entry of a C function."""
    for contract, entries in KERNELS.items():
        for entry in entries:
            if contract + entry.suffix == kernel:
                return contract, entry
    return None


def _work(case: Case, contract: str) -> Work:
    shape = {field.name: getattr(case.window, field.name) for field in fields(case.window)}
    listed = case.listed or len(case.segments) > 1
    return Work(
        contract,
        **shape,
        segments=case.segments,
        listed=listed,
        count=case.count,
        rows=case.rows,
        fraction_bits=case.fraction_bits,
    )


def fits(case: Case) -> bool:
    """Whether the compiler may choose this kernel for the case."""
    entry = table_entry(case.kernel)
    return entry is None or entry[1].fits(_work(case, entry[0]))


def scratch_bytes(case: Case) -> int:
    """Scratch of the kernel under test, exactly."""
    entry = table_entry(case.kernel)
    return GENEROUS if entry is None else entry[1].scratch(_work(case, entry[0]))


def portable_bytes(case: Case, contract: str) -> int:
    """Scratch of the portable twin."""
    entry = table_entry(f"tt_{contract}")
    return 0 if entry is None else entry[1].scratch(_work(case, entry[0]))

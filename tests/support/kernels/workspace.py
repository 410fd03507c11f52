"""What the compiler's table of kernels says about a case."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tinytrain.kernel.kernel import Kernel
from tinytrain.kernel.table import RUNTIME
from tinytrain.kernel.work import Work

if TYPE_CHECKING:
    from tests.support.kernels.cases import Case


def table_entry(kernel: str) -> tuple[str, Kernel] | None:
    """Contract and entry of a C function, if the table knows it."""
    row = RUNTIME.get(kernel)
    return (row.contract, row) if isinstance(row, Kernel) else None


def _work(case: Case, contract: str) -> Work:
    listed = case.listed or len(case.segments) > 1
    return Work(
        contract=contract,
        **asdict(case.window),
        segments=case.segments,
        listed=listed,
        count=case.count,
        rows=case.rows,
        fraction_bits=case.fraction_bits,
    )


def _known(kernel: str) -> tuple[str, Kernel]:
    entry = table_entry(kernel)
    assert entry is not None, f"the compiler's table does not know {kernel}"
    return entry


def fits(case: Case) -> bool:
    """Whether the compiler may choose this kernel for the case."""
    contract, kernel = _known(case.kernel)
    return kernel.fits(_work(case, contract))


def works_in_place(case: Case) -> bool:
    """Whether this kernel may write the case's output over its input."""
    contract, kernel = _known(case.kernel)
    return kernel.in_place(_work(case, contract))


def variant_count(case: Case) -> int:
    """How many variants this kernel has for a case."""
    contract, kernel = _known(case.kernel)
    return len(kernel.variants(_work(case, contract)))


def workspace_bytes(case: Case) -> int:
    """Workspace of the kernel under test, exactly."""
    contract, kernel = _known(case.kernel)
    return kernel.variants(_work(case, contract))[case.narrow].workspace


def portable_bytes(case: Case, contract: str) -> int:
    """Workspace of the portable twin."""
    name, kernel = _known(f"tt_{contract}")
    return kernel.workspace(_work(case, name))

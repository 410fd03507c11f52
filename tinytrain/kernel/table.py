"""All kernels by contract, the portable one first."""

from __future__ import annotations

from tinytrain.kernel.dsp import DSP
from tinytrain.kernel.kernel import Kernel
from tinytrain.kernel.mve import MVE
from tinytrain.kernel.portable import PORTABLE
from tinytrain.kernel.work import Work

KERNELS: dict[str, tuple[Kernel, ...]] = {
    contract: (kernel, *(table[contract] for table in (DSP, MVE) if contract in table))
    for contract, kernel in PORTABLE.items()
}


def works_in_place(name: str, work: Work) -> bool:
    """Whether a C function may write its output over its first input, and its portable twin, too.

    The twin takes its place where the sources are built for another core.
    """
    kernels = KERNELS[work.contract]
    named = next(kernel for kernel in kernels if work.contract + kernel.suffix == name)
    return named.in_place(work) and kernels[0].in_place(work)

"""The table of kernels: one row each, and nothing else lists them."""

from __future__ import annotations

from collections.abc import Mapping

from tinytrain.errors import InternalError
from tinytrain.kernel.depthwise_dsp import DEPTHWISE_DSP
from tinytrain.kernel.depthwise_mve import DEPTHWISE_MVE
from tinytrain.kernel.dsp import DSP
from tinytrain.kernel.function import FUNCTIONS, Function
from tinytrain.kernel.kernel import Kernel
from tinytrain.kernel.mve import MVE
from tinytrain.kernel.pool import POOLS
from tinytrain.kernel.portable import PORTABLE
from tinytrain.kernel.portable_alone import ALONE
from tinytrain.kernel.work import Work

TABLE: tuple[Kernel, ...] = (
    *PORTABLE,
    *ALONE,
    *POOLS,
    *DSP,
    *DEPTHWISE_DSP,
    *MVE,
    *DEPTHWISE_MVE,
)
"""All kernels, the portable ones first."""

KERNELS: Mapping[str, tuple[Kernel, ...]] = {
    contract: tuple(kernel for kernel in TABLE if kernel.contract == contract)
    for contract in dict.fromkeys(kernel.contract for kernel in TABLE)
}
"""By contract, the portable one first."""

_ROWS: tuple[Kernel | Function, ...] = (*TABLE, *FUNCTIONS)
RUNTIME: Mapping[str, Kernel | Function] = {row.name: row for row in _ROWS}
"""Everything in the runtime that generated code may call, by the name of the C function."""


def kernel_named(name: str) -> Kernel:
    """The row of a C function.

    Raises:
        InternalError: it is no kernel.
    """
    row = RUNTIME.get(name)
    if not isinstance(row, Kernel):
        raise InternalError(f"{name} is not in the table of kernels")
    return row


def works_in_place(name: str, work: Work) -> bool:
    """Whether a C function may write its output over its first input, and its portable twin, too.

    The twin takes its place where the sources are built for another core.
    """
    return kernel_named(name).in_place(work) and KERNELS[work.contract][0].in_place(work)

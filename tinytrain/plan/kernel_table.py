"""All kernels by contract, the portable one first."""

from __future__ import annotations

from tinytrain.plan.kernel import Kernel
from tinytrain.plan.kernels_dsp import DSP
from tinytrain.plan.kernels_mve import MVE
from tinytrain.plan.kernels_portable import PORTABLE

KERNELS: dict[str, tuple[Kernel, ...]] = {
    contract: (kernel, *(table[contract] for table in (DSP, MVE) if contract in table))
    for contract, kernel in PORTABLE.items()
}

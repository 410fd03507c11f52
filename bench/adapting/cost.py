"""What a way to adapt takes on a Cortex-M7: RAM, flash, and instructions under QEMU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting import running
from bench.adapting.cases import Case
from bench.adapting.methods import Method
from tinytrain.simulation.session import simulate

TARGET = "mps2-an500"
CLOCK_HZ = 216_000_000
"""Of an STM32F746, taken with one instruction a cycle."""

STEPS = 3
"""That are counted, the first left out: a step's number hardly varies."""


def cost(case: Case, method: Method) -> dict[str, Any]:
    """Bytes of a compiled case, and instructions of all that is done with a new sample.

    Returns:
        "ram" and "flash" in bytes, "instructions", and each part of them as "instructions_per_...".
    """
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        folder = Path(place) / "model"
        product = running.compiled(case, folder, target=TARGET, **method.options(case))
        samples = case.parts().learn
        few = Path(place) / "few.npz"
        arrays = {"x": samples.x[:STEPS]}
        if samples.y is not None:
            arrays["y"] = samples.y[:STEPS]
        np.savez(few, **arrays)
        result = simulate(folder, on="qemu", data=few, eval=few, steps=STEPS, icount=True)
    counted = vars(result) | (vars(result.enrolment) if result.enrolment else {})
    parts = {name: counted[name] for name in (f"instructions_per_{one}" for one in method.spent)}
    memory = product.memory
    total = {"instructions": sum(parts.values()), **parts}
    return {"ram": memory.ram["total"], "flash": memory.flash["total"], **total}

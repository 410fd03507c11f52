"""What a saved file holds behind the regions, of a machine of the reference."""

from __future__ import annotations

from tinytrain.reference.interpret import Machine
from tinytrain.saved_file import layout


def state_bytes(machine: Machine) -> bytes:
    """What follows the regions in a saved file: the scales, and what a step changes besides."""
    of_scale = layout("tt_saved_scale")
    scales = b"".join(
        of_scale.pack(exponent=scale.exponent, running_max=scale.running_max)
        for scale in machine.scales.values()
    )
    step = machine.step
    return scales + layout("tt_saved_step").pack(rate=step.rate, seed=step.seed, count=step.count)

"""What a saved file holds behind the regions, of a machine of the reference."""

from __future__ import annotations

from tinytrain.reference.interpret import Machine
from tinytrain.reference.schedule import step_rate
from tinytrain.saved_file import layout


def scale_bytes(machine: Machine) -> bytes:
    """The scales of the gradients."""
    of_scale = layout("tt_saved_scale")
    return b"".join(
        of_scale.pack(exponent=scale.exponent, running_max=scale.running_max)
        for scale in machine.scales.values()
    )


def state_bytes(machine: Machine, compiled_rate: float) -> bytes:
    """What follows the regions: the scales, and what a step changes besides.

    Args:
        compiled_rate: learning rate that the model was compiled with.
    """
    step = machine.step
    of_step = layout("tt_saved_step")
    return scale_bytes(machine) + of_step.pack(
        rate=step.rate,
        compiled_rate=step_rate(compiled_rate, machine.accumulation_window),
        count=step.count,
    )

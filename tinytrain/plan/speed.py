"""How long a step takes on a board: an estimate, and the assumption that it rests on."""

from __future__ import annotations

from collections.abc import Mapping

from tinytrain.manifest.arena import SpeedRecord
from tinytrain.plan.plan import Plan
from tinytrain.target import Target

CYCLES_PER_INSTRUCTION: Mapping[str, tuple[float, float]] = {
    "cortex-m0": (1.4, 1.4),
    "cortex-m0plus": (1.4, 1.4),
    "cortex-m3": (1.5, 1.9),
    "cortex-m4": (1.5, 1.7),
    "cortex-m33": (1.5, 1.7),
    "cortex-m7": (0.8, 1.7),
    "cortex-m55": (1.3, 2.3),
}
"""(least, most) by core: the cycles estimated in docs/speed.md over the instructions counted there,
for one training step of MCUNet-5FPS. An M0+ counts as an M0, an M33 as an M4. Wait states of flash
and cache misses are not included. Of RISC-V and Xtensa nothing is known."""


def speed_record(plan: Plan, target: Target) -> SpeedRecord:
    """Instructions, cycles and seconds of one step; nothing is guessed of an unknown core."""
    instructions = plan.cost
    cycles = CYCLES_PER_INSTRUCTION.get(target.core)
    seconds = None
    if cycles is not None and target.clock_hz is not None:
        least, most = (instructions * each / target.clock_hz for each in cycles)
        seconds = least, most
    return SpeedRecord(
        core=target.core,
        clock_hz=target.clock_hz,
        instructions=instructions,
        cycles_per_instruction=cycles,
        seconds=seconds,
    )

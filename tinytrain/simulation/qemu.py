"""Sessions on an emulated microcontroller."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tinytrain.simulation.engine import Progress, RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.process import run_session
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import Target, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.emulator import check_emulated, emulator_command


@dataclass(frozen=True)
class QemuEngine:
    """Builds a folder's firmware and runs sessions with it under QEMU; an `Engine`.

    Attributes:
        folder: a checked folder.
        icount: let one instruction take one nanosecond of the emulated clock, so that instructions
            can be counted; slower.
        target: emulate this target; None takes the one that the folder was compiled for.
        optimise: the optimisation flag.
    """

    folder: GeneratedFolder
    icount: bool = False
    target: Target | None = None
    optimise: str = "-O2"

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """Build, then run a session; see `Engine`.

        Raises:
            UsageError: nothing emulates the target.
        """
        target = self.target or load_target(self.folder.manifest.target)
        check_emulated(target)
        firmware = build(
            self.folder.path,
            target,
            optimise=self.optimise,
            variant=f"simulate{self.optimise}-{target.name}",
            name=self.folder.manifest.name,
        )
        progress("build", 1, 1, "")
        command = emulator_command(target, firmware, icount=self.icount)
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as directory:
            outcome = run_session(
                command, Path(directory), stream, progress, over_serial=target.files_over_serial
            )
        if self.icount and target.instructions_per_tick:
            return outcome
        # Without icount the emulated clock follows the real one, and its ticks mean nothing.
        return outcome.uncounted()

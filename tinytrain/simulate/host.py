"""Sessions on this machine: the generated sources as an ordinary program."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tinytrain.simulate.engine import Progress, RawOutcome
from tinytrain.simulate.folder import GeneratedFolder
from tinytrain.simulate.process import run_session
from tinytrain.simulate.stream import Stream
from tinytrain.simulate.toolchain import build
from tinytrain.target import load_target


@dataclass(frozen=True)
class HostEngine:
    """Builds a folder's program for this machine and runs sessions with it; an `Engine`.

    Attributes:
        folder: a checked folder, compiled for whatever target.
        compiler: the C compiler's command; None takes the host target's.
        optimise: the optimisation flag.
        cflags_extra: further flags, such as `-fsanitize=undefined`.
        variant: a word that names the build; engines with other flags need another one.
    """

    folder: GeneratedFolder
    compiler: str | None = None
    optimise: str = "-O3"
    cflags_extra: tuple[str, ...] = ()
    variant: str = "simulate-host"

    def run(self, plan: Stream, progress: Progress) -> RawOutcome:
        """Build, then run a session; see `Engine`."""
        program = build(
            self.folder.path,
            load_target("host"),
            cflags_extra=self.cflags_extra,
            compiler=self.compiler,
            optimise=self.optimise,
            variant=self.variant,
            name=self.folder.name,
        )
        progress("build", 1, 1, "")
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as directory:
            outcome = run_session([str(program.resolve())], Path(directory), plan, progress)
        # The host's port counts nothing: its zeros are no measurement.
        return dataclasses.replace(outcome, step_instructions=(), infer_instructions=())

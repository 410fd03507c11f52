"""Sessions on this machine: the generated sources as an ordinary program."""

from __future__ import annotations

import platform
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tinytrain.simulation.engine import Progress, RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.frozen_cache import FROZEN_MEMORY, plan_frozen_cache
from tinytrain.simulation.process import run_session
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target
from tinytrain.toolchain.build import build


@dataclass(frozen=True)
class HostEngine:
    """Builds a folder's program for this machine and runs sessions with it; an `Engine`.

    Attributes:
        folder: a checked folder, compiled for whatever target.
        compiler: the C compiler's command; None takes the host target's.
        optimise: the optimisation flag.
        cflags_extra: further flags, such as `-fsanitize=undefined`.
        variant: a word that names the build; engines with other flags need another one.
        frozen_memory: bytes of the frozen-activation cache; 0 computes frozen layers every time.
            The outcome is the same.
    """

    folder: GeneratedFolder
    compiler: str | None = None
    optimise: str = "-O3"
    cflags_extra: tuple[str, ...] = ()
    variant: str = "simulate-host"
    frozen_memory: int = FROZEN_MEMORY

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """Build, then run a session; see `Engine`."""
        frozen = self.folder.manifest.frozen_bytes
        # Defined even where nothing is cached this time: the same program serves all sessions.
        keeps = ("-DTT_KEEP_FROZEN",) if frozen else ()
        program = build(
            self.folder.path,
            load_target("host"),
            cflags_extra=(*processor_flags(), *keeps, *self.cflags_extra),
            compiler=self.compiler,
            optimise=self.optimise,
            variant=self.variant,
            name=self.folder.manifest.name,
        )
        progress("build", 1, 1, "")
        cache = plan_frozen_cache(stream, frozen, self.frozen_memory)
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as directory:
            command = [str(program.resolve())]
            outcome = run_session(command, Path(directory), stream, progress, cache=cache)
        # The host's port counts nothing: its zeros are no measurement.
        kept_bytes = cache.slots * frozen if cache else 0
        return replace(outcome.uncounted(), kept_bytes=kept_bytes)


def processor_flags(description: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Flags that let a compiler use the wide vectors of this processor; results stay the same.

    x86-64 compilers assume a processor of 2003 otherwise. Levels are named in the x86-64 psABI
    (gcc 11, clang 12 and later), and a build for another level is made anew.

    Args:
        description: Linux's description of the processor; without it nothing is assumed.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    try:
        found = re.search(r"^flags\s*:(.*)$", description.read_text(encoding="utf-8"), re.M)
    except (OSError, UnicodeDecodeError):
        return ()
    needed = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}
    return ("-march=x86-64-v3",) if found and needed <= set(found[1].split()) else ()

"""What is installed, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tinytrain.target import Target, targets
from tinytrain.tools import TOOLS, Tool, tool_of
from tinytrain.version import __version__

_FOUND = "found"


@dataclass(frozen=True)
class ToolState:
    """Whether a tool is installed.

    Attributes:
        version: its version, or "found" where it has none; None where it is missing.
    """

    tool: Tool
    version: str | None


@dataclass(frozen=True)
class TargetState:
    """Whether a target can be compiled for, and run.

    Attributes:
        compiles: whether all that builds for it is installed.
        runs: "here", "qemu", or None where nothing runs it on this machine.
        missing: the tools that it lacks, by name.
    """

    name: str
    compiles: bool
    runs: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
        tinytrain, python: versions.
        system: operating system and architecture.
        cpu: the processor's name, and how many cores this process may use.
        tools: every row of `tools.TOOLS`.
        targets: those that tinytrain brings along.
    """

    tinytrain: str
    python: str
    system: str
    cpu: str
    cores: int
    tools: tuple[ToolState, ...]
    targets: tuple[TargetState, ...]

    @property
    def missing(self) -> tuple[Tool, ...]:
        """Tools that are not installed."""
        return tuple(state.tool for state in self.tools if state.version is None)

    @property
    def can_compile(self) -> bool:
        """Whether there is a target that can be compiled for."""
        return any(state.compiles for state in self.targets)


def doctor() -> Diagnosis:
    """Says which compilers, emulators and packages are installed, and how to get the others."""
    tools = tuple(ToolState(tool, _version(tool)) for tool in TOOLS)
    missing = {state.tool.name for state in tools if state.version is None}
    return Diagnosis(
        tinytrain=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        tools=tools,
        targets=tuple(_state(target, missing) for target in targets()),
    )


def _state(target: Target, missing: set[str]) -> TargetState:
    compiler = tool_of(target.compiler)
    assert compiler is not None, "a target that we bring along has a compiler that we know"
    parts = {tool.name for tool in TOOLS if tool.part_of == compiler.name}
    lacking = missing & {"make", compiler.name, *parts}
    runs = "here" if target.is_host else "qemu" if target.machine else None
    emulator = target.architecture.emulator
    if runs == "qemu":
        lacking |= missing & {emulator}
    can_compile = not lacking - {emulator}
    return TargetState(target.name, can_compile, None if lacking else runs, tuple(sorted(lacking)))


def _version(tool: Tool) -> str | None:
    if not tool.debian and not tool.by:
        try:
            return metadata.version(tool.name)
        except metadata.PackageNotFoundError:
            return None
    if tool.part_of:
        # Of a file that it does not find, a compiler says the bare name.
        return _FOUND if os.sep in _said(tool.part_of, f"-print-file-name={tool.name}") else None
    for name in (tool.name, *tool.others):
        if shutil.which(name):
            # What stands in brackets is the distribution's own number.
            said = re.sub(r"\(.*?\)", "", _said(name, "--version"))
            number = re.search(r"\d+(\.\d+)+", said)
            return number[0] if number else _FOUND
    return None


def _said(*command: str) -> str:
    """The first line of what a command says; empty where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace").strip().partition("\n")[0]


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()

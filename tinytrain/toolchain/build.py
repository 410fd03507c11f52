"""Builds the program of a generated folder, and measures what it needs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import BudgetError, ToolchainError, UsageError, Where
from tinytrain.target import STACK_CFLAGS, Target
from tinytrain.toolchain.build_files import MAIN, makefile, port_files
from tinytrain.toolchain.objects import shared_objects
from tinytrain.toolchain.sections import Sizes, measure
from tinytrain.toolchain.stack import (
    CallGraph,
    StackBound,
    interrupt_stack,
    read_call_graph,
    worst_case_stack,
)

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "cc": "gcc libc6-dev",
    "clang": "clang",
    "cmake": "cmake",
    "gcc": "gcc libc6-dev",
    "make": "make",
    "qemu-system-arm": "qemu-system-arm",
}
"""Debian's packages for the commands that tinytrain runs."""

_DETAIL_LINES = 20


@dataclass(frozen=True, eq=False)
class Footprint:
    """What a built program needs.

    Attributes:
        sizes: of code, constants and state.
        stack: the heaviest path from the root asked for.
        interrupt: bytes of stack that interrupts add to it.
    """

    sizes: Sizes
    stack: StackBound
    interrupt: int

    @property
    def stack_bytes(self) -> int:
        """Worst-case stack, interrupts included."""
        return self.stack.bytes + self.interrupt


def require(command: str) -> str:
    """The path of a command.

    Raises:
        ToolchainError: it is not installed; names Debian's package.
    """
    found = shutil.which(command)
    if found is None:
        package = PACKAGES.get(Path(command).name)
        raise ToolchainError(
            f"the command '{command}' is not installed",
            help=f"apt-get install {package}" if package else "install it, or name another",
        )
    return found


def build(
    directory: Path,
    target: Target,
    *,
    cflags_extra: Sequence[str] = (),
    compiler: str | None = None,
    optimise: str = "-O2",
    variant: str | None = None,
    name: str | None = None,
) -> Path:
    """Compile and link the program of a generated folder, for its own target or another one.

    Args:
        directory: the generated folder; only `build/VARIANT` in it is written.
        target: where the program will run; port, flags and linker script are this target's.
        cflags_extra: further flags for compiling and linking (`-fsanitize=address`).
        compiler: instead of the target's own, e.g. "clang" for the host.
        optimise: the optimisation flag.
        variant: a word of letters, digits, '-' and '_'; builds that are to exist side by side need
            different ones. By default the target's name.
        name: the model's name, a C identifier; by default what manifest.json says.

    Returns:
        The executable. With gcc, `call_graph` finds what it wrote for the stack analysis.

    Raises:
        ToolchainError: compiler or make is missing, or refuses the sources.
        BudgetError: the program does not fit the target's memory.
        UsageError: the folder is not one that tinytrain wrote.
    """
    command = compiler or target.compiler
    version = _version(command)
    make = require("make")
    program = name or _model_name(directory)
    sources = sorted(f"src/{file.name}" for file in (directory / "src").glob("*.c"))

    # Relative, and of plain words: make cannot name a file with a space.
    place = f"build/{variant or target.name}"
    port = port_files(target)
    files = {f"port/{file}": text for file, text in port.items()}
    files["Makefile"] = makefile(target, program, sources, port=f"{place}/port")
    output = directory / place
    try:
        _write(output, files)
        _remove_stale(output, [*sources, MAIN, *(f"{place}/port/{file}" for file in port)])
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file in it is damaged"
        raise ToolchainError(
            f"the build folder cannot be written: {reason}",
            where=Where(str(output)),
            help="make room on the disk, or remove this folder",
        ) from error

    graph_flags = () if b"clang" in version.lower() else STACK_CFLAGS
    arguments = [
        make,
        "--no-print-directory",
        "-j2",
        f"--file={place}/Makefile",
        f"BUILD={place}",
        f"CC={command}",
        f"OPTIMISE={optimise}",
        f"CFLAGS={shlex.join([*cflags_extra, *graph_flags])}",
    ]
    # Settings of a make that runs this very process would change or disturb the inner one.
    environment = {k: v for k, v in os.environ.items() if not re.match(r"(MAKE|MFLAGS)", k)}
    environment["LC_ALL"] = "C"
    objects = shared_objects(version)
    keys: Mapping[Path, str] = {}
    if objects is not None:
        _run([*arguments, f"{place}/command"], directory, environment)
        # Without them all is compiled.
        with contextlib.suppress(OSError):
            keys = objects.keys(directory, (output / "command").read_text(encoding="utf-8"))
            objects.lend(directory, output, keys)
    code, errors = _run(arguments, directory, environment)
    if code != 0:
        raise _refusal(errors, target, command, directory)
    if objects is not None:
        with contextlib.suppress(OSError):
            objects.keep(output, keys)
    return output / (program + target.executable)


def _run(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> tuple[int, str]:
    """Exit code and standard error of a command that may start others.

    It gets a process group of its own: interrupted, we end all of it, and no compiler that is left
    over goes on writing into a folder that is being removed.
    """
    try:
        process = subprocess.Popen(
            arguments,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _no_start(arguments[0], error) from error
    with process:
        try:
            _, errors = process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, errors


def _no_start(command: str, error: OSError) -> ToolchainError:
    return ToolchainError(
        f"the command '{command}' cannot be started: {error.strerror}",
        help="install it again, or name another",
    )


def _model_name(directory: Path) -> str:
    file = directory / "manifest.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the folder's manifest does not tell the model's name: {error}",
            where=Where(str(file)),
            help="let 'tinytrain compile MODEL -o DIR --target NAME' write it anew",
        ) from None


def call_graph(executable: Path) -> CallGraph:
    """The call graph of a program that `build` made with gcc.

    Raises:
        ToolchainError: the compiler wrote none.
    """
    files = sorted(executable.parent.rglob("*.ci"))
    if not files:
        raise ToolchainError(
            "the compiler wrote no call graph, so the stack cannot be measured",
            where=Where(str(executable)),
            help="build with gcc 10 or newer",
        )
    return read_call_graph(files)


def footprint(
    executable: Path,
    target: Target,
    *,
    roots: Sequence[str] | None = None,
    indirect: Mapping[str, Sequence[str]] | None = None,
) -> Footprint:
    """Sizes and worst-case stack of a program that `build` made with gcc.

    Args:
        executable: what `build` returned.
        target: the one it was built for.
        roots: functions to start from; the deepest counts. By default the whole program: what the
            reset handler calls, or `main` on the host.
        indirect: see `worst_case_stack`.

    Raises:
        ToolchainError: see `measure`, `call_graph` and `worst_case_stack`.
    """
    graph = call_graph(executable)
    bounds = [
        worst_case_stack(graph, root, host=target.is_host, indirect=indirect)
        for root in roots or ("main" if target.is_host else "tt_start",)
    ]
    return Footprint(
        sizes=measure(executable),
        stack=max(bounds, key=lambda bound: bound.bytes),
        interrupt=interrupt_stack(graph, target),
    )


def _version(compiler: str) -> bytes:
    """What a compiler says of itself."""
    command = shlex.split(compiler)
    require(command[0])
    try:
        result = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True
        )
    except OSError as error:
        raise _no_start(command[0], error) from error
    return result.stdout


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files that changed; make would compile again what is written again."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _remove_stale(output: Path, sources: Sequence[str]) -> None:
    """Objects and call graphs of sources that the folder no longer has would be counted."""
    wanted = {(output / source).with_suffix("") for source in sources}
    for suffix in (".o", ".ci", ".d"):
        for file in output.rglob(f"*{suffix}"):
            if file.with_suffix("") not in wanted:
                file.unlink()


def _refusal(
    errors: str, target: Target, command: str, directory: Path
) -> ToolchainError | BudgetError:
    where = Where(str(directory))
    lines = [line for line in errors.splitlines() if line.strip()]
    full = [line for line in lines if "overflowed by" in line or "leaves less than" in line]
    if full:
        return BudgetError(
            f"the program does not fit the memory of target '{target.name}'",
            where=where,
            detail="\n".join(full),
            help="choose a target with more memory, or an update scheme that trains less",
        )
    lost = re.search(r"nano\.specs: No such file|fatal error: \w+\.h: No such file", errors)
    return ToolchainError(
        f"'{command}' cannot build the program for target '{target.name}'",
        where=where,
        detail="\n".join(lines[-_DETAIL_LINES:]),
        help=(
            f"apt-get install {PACKAGES[target.compiler]}"
            if lost and target.compiler in PACKAGES
            else None
        ),
    )

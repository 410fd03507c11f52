"""Builds the program of a generated folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinytrain.errors import BudgetError, ToolchainError, UsageError, Where
from tinytrain.manifest.file import COMPILE_ANEW
from tinytrain.target import STACK_CFLAGS, Target
from tinytrain.toolchain.build_files import LINK_MAIN, MAIN, link_port_files, makefile, port_files
from tinytrain.toolchain.commands import disk_full, require, run, version
from tinytrain.toolchain.objects import Objects, shared_objects
from tinytrain.tools import how_to_get

_DETAIL_LINES = 20


def build(
    directory: Path,
    target: Target,
    *,
    cflags_extra: Sequence[str] = (),
    compiler: str | None = None,
    optimise: str = "-O2",
    variant: str | None = None,
    name: str | None = None,
    link: bool = False,
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
        link: the program behind a serial line instead, of a folder compiled with --link.

    Returns:
        The executable. With gcc, `call_graph` finds what it wrote for the stack analysis.

    Raises:
        ToolchainError: compiler or make is missing, or refuses the sources.
        BudgetError: the program does not fit the target's memory.
        UsageError: the folder is not one that tinytrain wrote.
    """
    command = compiler or target.compiler
    told = version(command)
    program = name or _model_name(directory)
    # Relative, and of plain words: make cannot name a file with a space.
    place = f"build/{variant or target.name}"
    sources = _prepare(directory, place, target, program, link=link)
    graph_flags = () if b"clang" in told.lower() else STACK_CFLAGS
    arguments = [
        require("make"),
        "--no-print-directory",
        "-j2",
        f"--file={place}/Makefile",
        f"BUILD={place}",
        f"CC={command}",
        f"OPTIMISE={optimise}",
        f"CFLAGS={shlex.join([*cflags_extra, *graph_flags])}",
        *(("link",) if link else ()),
    ]
    objects = shared_objects(told)
    if objects is None:
        code, errors = run(arguments, directory, _environment())
    else:
        code, errors = _make_with(objects, arguments, directory, place, sources)
    if code != 0:
        raise _refusal(errors, target, command, directory)
    return directory / place / (program + ("_link" if link else "") + target.executable)


def _prepare(directory: Path, place: str, target: Target, program: str, *, link: bool) -> list[str]:
    """Writes the port and the Makefile of a build; returns all its sources, as make names them."""
    sources = sorted(f"src/{file.name}" for file in (directory / "src").glob("*.c"))
    port = port_files(target) | (link_port_files(target) if link else {})
    files = {f"port/{file}": text for file, text in port.items()}
    files["Makefile"] = makefile(target, program, sources, port=f"{place}/port", link=link)
    built = [
        *sources,
        LINK_MAIN if link else MAIN,
        *(f"{place}/port/{file}" for file in port if file.endswith(".c")),
    ]
    output = directory / place
    try:
        _write(output, files)
        _remove_stale(output, built)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file in it is damaged"
        raise ToolchainError(
            f"the build folder cannot be written: {reason}",
            where=Where(str(output)),
            help="make room on the disk, or remove this folder",
        ) from error
    return built


def _make_with(
    objects: Objects, arguments: Sequence[str], directory: Path, place: str, sources: Sequence[str]
) -> tuple[int, str]:
    """Runs make on what other builds have not compiled yet; keeps for others what it compiles."""
    environment = _environment()
    run([*arguments, f"{place}/command"], directory, environment)
    lent: Mapping[str, str] = {}
    # Without them all is compiled.
    with contextlib.suppress(OSError):
        command = (directory / place / "command").read_text(encoding="utf-8")
        lent = objects.keys(directory, place, sources, command)
        objects.lend(directory, place, lent)
    code, errors = run(arguments, directory, environment)
    if code == 0:
        with contextlib.suppress(OSError):
            objects.keep(directory, place, lent)
    return code, errors


def _environment() -> dict[str, str]:
    """Ours, without what a make that runs this very process has set for those that it runs."""
    ours = {k: v for k, v in os.environ.items() if not re.match(r"(GNU)?(MAKE|MFLAGS)", k)}
    return {**ours, "LC_ALL": "C"}


def _model_name(directory: Path) -> str:
    file = directory / "manifest.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the folder's manifest does not tell the model's name: {error}",
            where=Where(str(file)),
            help=COMPILE_ANEW,
        ) from None


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
    no_room = disk_full(errors, directory)
    if no_room is not None:
        return no_room
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
    lost = re.search(
        r"(nano|picolibc)\.specs: No such file|fatal error: \w+\.h: No such file", errors
    )
    return ToolchainError(
        f"'{command}' cannot build the program for target '{target.name}'",
        where=where,
        detail="\n".join(lines[-_DETAIL_LINES:]),
        help=how_to_get(target.compiler) if lost else None,
    )

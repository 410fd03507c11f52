"""The firmware that compares kernels of an instruction set with their portable twins, and its run.

By hand, from the repository's root:

    .venv/bin/python -m tests.support.kernels.firmware mps2-an500 [KERNEL...] [--count N]
        [--seed N] [--folder DIR] [--leave-out FILE]
    .venv/bin/python -m tests.support.kernels.firmware mps2-an500 --case 'tt_... seed=1 ...'
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.kernels.alignment import alignment_plugin
from tests.support.kernels.cases import (
    CONTRACTS,
    Case,
    contract_of,
    edge_cases,
    layer_cases,
    packed,
    parse_case,
    random_cases,
)
from tests.support.kernels.workspace import portable_bytes, workspace_bytes
from tests.support.paths import RUNTIME
from tests.support.surroundings import HANGS
from tinytrain.isa import INSTRUCTION_SETS, available
from tinytrain.kernel.table import TABLE
from tinytrain.target import Target, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import port_files

PROGRAMS = Path(__file__).parent / "programs"


def declared_kernels(isa: str) -> tuple[str, ...]:
    """Names of the kernels of an instruction set, in the order of the compiler's table."""
    return tuple(kernel.name for kernel in TABLE if kernel.isa == isa)


def defined_kernels(isa: str) -> tuple[str, ...]:
    """Names of the functions that the sources of an instruction set offer to other files."""
    return _defined(sorted(RUNTIME.glob(f"src/*_{isa}.c")))


def _defined(files: Sequence[Path]) -> tuple[str, ...]:
    pattern = re.compile(r"^(?!static)\w[\w *]*?\b(tt_\w+)\(", re.MULTILINE)
    return tuple(name for file in files for name in pattern.findall(file.read_text()))


def isas_of(target: Target) -> tuple[str, ...]:
    """Instruction sets beside the portable one that a target's core has."""
    return available(target.isa)[1:]


@dataclass(frozen=True)
class Firmware:
    """A built program.

    Attributes:
        program: the executable.
        target: where it runs.
        kernels: which it can test, by their place in its table.
        plugin: the emulator's argument that checks the alignment of vector accesses, if any.
    """

    program: Path
    target: Target
    kernels: tuple[str, ...]
    plugin: str | None


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes:
        failures: of each case that failed, what the firmware said, and where it died.
        left: cases that were not run, because too many died.
    """

    failures: dict[Case, list[str]]
    left: int

    @property
    def good(self) -> bool:
        return not self.failures and self.left == 0

    def report(self, target: str) -> str:
        """What failed, and how to see it again."""
        lines = []
        for case, said in list(self.failures.items())[:5]:
            lines += [str(case), *(f"    {line}" for line in said)]
        more = len(self.failures) - 5
        lines += [f"and {more} more cases"] * (more > 0)
        lines += [f"{self.left} cases were not run"] * (self.left > 0)
        command = f"python -m tests.support.kernels.firmware {target} --case '...'"
        return "\n".join([*lines, f"again: {command}"])


def build_firmware(
    folder: Path,
    target: Target,
    *,
    kernels: Sequence[str] | None = None,
    extra_sources: Sequence[Path] = (),
    extra_header: str = "",
    leave_out: Sequence[str] = (),
) -> Firmware:
    """The whole runtime and the test programs for a target.

    Args:
        folder: a place for it; may hold an earlier build.
        kernels: names of C functions; by default all of the table that the core has, and that
            exist (a test of its own asks whether all do).
        extra_sources: further C files.
        extra_header: text that declares what they define.
        leave_out: patterns of sources of the runtime to do without, their kernels too.
    """
    headers = []
    sources = [
        file
        for file in sorted(RUNTIME.glob("src/*.c"))
        if not any(file.match(pattern) for pattern in leave_out)
    ]
    if kernels is None:
        isas = isas_of(target)
        defined = _defined(sources)
        kernels = [name for isa in isas for name in declared_kernels(isa) if name in defined]
        headers = [INSTRUCTION_SETS[isa].header for isa in isas]
    contracts = {name: contract_of(name) for name in kernels}
    unknown = [name for name, contract in contracts.items() if contract is None]
    if unknown:
        raise LookupError(f"no contract in tests/support/kernels/cases.py for {', '.join(unknown)}")
    contents = {
        f"{file.parent.name}/{file.name}": file.read_text(encoding="utf-8")
        for file in [*sources, *RUNTIME.glob("src/*.h"), *RUNTIME.glob("include/*.h")]
    }
    programs = {file.name: file for file in [*PROGRAMS.glob("test_*.[ch]"), *extra_sources]}
    contents |= {f"src/{name}": file.read_text() for name, file in programs.items()}
    contents["port/main.c"] = contents.pop("src/test_main.c")
    includes = "".join(f'#include "{header}"\n' for header in headers)
    contents["src/tested_kernels.h"] = includes + extra_header
    contents["src/tested_kernels.inc.h"] = "".join(
        f"KERNEL({contract}, {name})\n" for name, contract in contracts.items()
    )
    contents |= {f"port/{file}": text for file, text in port_files(target).items()}
    contents["manifest.json"] = json.dumps({"name": "kernels"})
    for name, text in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for file in [*folder.glob("src/*.[ch]"), *folder.glob("include/*.h")]:
        if str(file.relative_to(folder)) not in contents:
            file.unlink()
    program = build(folder, target)
    plugin = alignment_plugin(program) if target.isa == "mve" else None
    return Firmware(program, target, tuple(kernels), plugin)


def run_cases(
    firmware: Firmware,
    cases: Sequence[Case],
    workspace_of: Callable[[Case], int] = workspace_bytes,
) -> Outcome:
    """Run cases under emulation; one that faults or hangs counts as failed, the next go on."""
    failures: dict[Case, list[str]] = {}
    left = list(cases)
    for _ in range(MOST_DEATHS):
        output, errors = _run(firmware, left, workspace_of)
        lines = output.splitlines()
        number = -1
        for line in lines:
            if found := re.fullmatch(r"case (\d+)", line):
                number = int(found[1])
            elif line != "done":
                failures.setdefault(left[number], []).append(line)
        if lines and lines[-1] == "done":
            assert not errors, errors
            return Outcome(failures, 0)
        assert number >= 0, f"{output}{errors}"
        said = failures.setdefault(left[number], [])
        said.append(_place(errors, firmware) or errors.strip())
        said += _touched_fences(firmware, left[number], workspace_of)
        left = left[number + 1 :]
        if not left:
            break
    return Outcome(failures, len(left))


MOST_DEATHS = 5
FENCES = 7


def _touched_fences(
    firmware: Firmware, case: Case, workspace_of: Callable[[Case], int]
) -> Iterator[str]:
    """Of a case that ends in a fault: which buffer's fence alone brings it about."""
    for number in range(1, FENCES + 1) if case.fences else ():
        alone = replace(case, fences=case.fences + 256 * number)
        output, errors = _run(firmware, [alone], workspace_of)
        if "fault" in errors:
            yield from (line for line in output.splitlines() if line.startswith("the fence"))


def _run(
    firmware: Firmware, cases: Sequence[Case], workspace_of: Callable[[Case], int]
) -> tuple[str, str]:
    """Standard output and standard error of the firmware."""
    words = [
        packed(
            case,
            firmware.kernels.index(case.kernel),
            workspace_of(case),
            portable_bytes(case, contract_of(case.kernel) or ""),
        )
        for case in cases
    ]
    machine = firmware.target.machine
    assert machine is not None, "the target has no emulator"
    command = ["qemu-system-arm", "-machine", machine, "-nographic"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel"]
    command += [str(firmware.program)]
    if firmware.plugin is not None:
        command += ["-plugin", firmware.plugin]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "cases.bin").write_bytes(b"".join(words))
        try:
            done = subprocess.run(
                command,
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=HANGS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode(), f"no end within {HANGS:g} s"
        return done.stdout, done.stderr


def _place(errors: str, firmware: Firmware) -> str | None:
    """The function in which a fault arose."""
    found = re.search(r", pc (0x[0-9a-f]+)", errors)
    if found is None:
        return None
    command = ["arm-none-eabi-addr2line", "-f", "-e", str(firmware.program), found[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    what = "an unaligned vector access" if errors.startswith("unaligned") else "a fault"
    return f"{what} in {done.stdout.splitlines()[0]} at {found[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description="kernels against their portable twins")
    parser.add_argument("target")
    parser.add_argument("kernels", nargs="*", help="default: all that the headers declare")
    parser.add_argument("--case", action="append", default=[], help="a case as a report prints it")
    parser.add_argument("--count", type=int, default=100, help="random cases of each kernel")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--macs", type=int, default=60_000, help="at most this many in a case")
    parser.add_argument(
        "--leave-out", action="append", default=[], metavar="FILE", help="a source, e.g. 'tt_a*.c'"
    )
    parser.add_argument("--folder", type=Path, help="where to build; kept, so the next is quick")
    options = parser.parse_intermixed_args()
    target = load_target(options.target)
    portable = [f"tt_{name}" for name in CONTRACTS] if target.isa == "portable" else None
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        firmware = build_firmware(
            options.folder or Path(place),
            target,
            kernels=portable,
            leave_out=options.leave_out,
        )
        cases = [parse_case(text) for text in options.case]
        for kernel in options.kernels or (() if cases else firmware.kernels):
            cases += [*edge_cases(kernel, options.seed), *layer_cases(kernel, options.seed)]
            cases += random_cases(kernel, options.seed, options.count, options.macs)
        if not cases:
            parser.error("no kernel is there to be tested")
        outcome = run_cases(firmware, cases)
    print(f"{len(cases)} cases, {len(outcome.failures)} failed")
    if not outcome.good:
        print(outcome.report(options.target))
    return not outcome.good


if __name__ == "__main__":
    sys.exit(main())

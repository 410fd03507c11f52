"""Counts what a program executes under emulation, instruction by instruction and caller by caller.

A plugin of QEMU's code translator (`c/count_plugin.c`) counts blocks as they run, so the program
is the one that ships, without a line added, and the counts are exact: blocks times their length.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ToolchainError
from tinytrain.isa import INSTRUCTION_SETS
from tinytrain.target import WARNINGS, Target
from tinytrain.toolchain.commands import require
from tinytrain.toolchain.emulator import emulator_command

C_SOURCES = Path(__file__).resolve().parent / "c"
TOOLS = "arm-none-eabi-"


@dataclass(frozen=True)
class Symbol:
    """A function of a linked program: `size` bytes from `address` on."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly."""

    address: int
    mnemonic: str
    operands: str


@dataclass(frozen=True)
class Block:
    """A run of instructions that all execute, as one site of the program saw it.

    Attributes:
        site: address of the call under which it ran.
        first: address of its first instruction.
        instructions: how many it has.
        ran: how often it ran.
        left: how often the next block was not the one behind it: a branch taken at its end.
    """

    site: int
    first: int
    instructions: int
    ran: int
    left: int

    @property
    def executed(self) -> int:
        """Instructions that it executed in all."""
        return self.instructions * self.ran


def build_plugin(folder: Path) -> Path:
    """Compile the plugin for QEMU on this machine."""
    plugin = folder / "count_plugin.so"
    source = C_SOURCES / "count_plugin.c"
    flags = [flag for flag in WARNINGS if flag != "-Werror"]
    command = [require("cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", *flags, "-shared", "-fPIC"]
    _run([*command, str(source), "-o", str(plugin)])
    return plugin


def emulate(target: Target, program: Path, *extra: str) -> list[str]:
    """The command that runs a program under emulation, one nanosecond an instruction."""
    return [*emulator_command(target, program, icount=True), *extra]


def counting(plugin: Path, output: Path, *, enter: Symbol, leave: Symbol, sites: range) -> str:
    """The emulator's argument that counts one pass: the second one, when all is settled.

    Args:
        enter: the function whose execution counts.
        leave: its caller.
        sites: addresses of the code whose calls are told apart.
    """
    caller = f"{leave.address:#x}-{leave.address + leave.size - 1:#x}"
    arguments = [f"out={output}", f"enter={enter.address:#x}", f"leave={caller}"]
    arguments += [f"sites={sites.start:#x}-{sites.stop - 1:#x}", "pass=1"]
    return f"{plugin},{','.join(arguments)}"


def read_counts(file: Path) -> list[Block]:
    """What the plugin wrote.

    Raises:
        ToolchainError: it wrote nothing, so QEMU was built without plugins.
    """
    if not file.exists():
        raise ToolchainError(
            "the emulator wrote no counts",
            help="use a QEMU that was built with plugins, as Debian's is",
        )
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return [Block(int(s, 16), int(b, 16), int(n), int(r), int(t)) for s, b, n, r, t in lines]


def functions(program: Path) -> dict[str, Symbol]:
    """The functions of a linked program by name; of static ones with one name, any."""
    found = {}
    for line in _run([TOOLS + "nm", "-S", "--defined-only", str(program)]).splitlines():
        match = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) [tT] (\S+)", line)
        if match:
            address = int(match[1], 16) & ~1
            found[match[3]] = Symbol(match[3], address, int(match[2], 16))
    return found


def linked_sections(linker_map: Path) -> dict[tuple[str, str], int]:
    """Bytes in flash by (object file, function or section), from the linker's map."""
    text = linker_map.read_text(encoding="utf-8", errors="replace")
    _, _, text = text.partition("Linker script and memory map")
    text, _, _ = text.partition("/DISCARD/")
    pattern = re.compile(
        r"^ \.(text|rodata|data)(?:\.(\S+))?\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE
    )
    found: dict[tuple[str, str], int] = {}
    for kind, name, size, file in pattern.findall(text):
        member = re.search(r"\((.+)\)$", file)
        place = (member[1] if member else Path(file).name), name or f".{kind}"
        if int(size, 16):
            found[place] = found.get(place, 0) + int(size, 16)
    return found


def lines_of(program: Path, addresses: Sequence[int]) -> list[tuple[str, int]]:
    """File and line of each address; the program has to be built with `-g`."""
    command = [TOOLS + "addr2line", "-e", str(program), *(f"{a:#x}" for a in addresses)]
    places = []
    for line in _run(command).splitlines():
        file, _, number = line.partition(":")
        digits = re.match(r"\d+", number)
        places.append((Path(file).name, int(digits[0]) if digits else 0))
    return places


def disassembly(program: Path, target: Target) -> dict[int, Instruction]:
    """Every instruction of a target's linked program by its address."""
    flags = INSTRUCTION_SETS[target.isa].objdump_flags
    text = _run([TOOLS + "objdump", "-d", "--no-show-raw-insn", *flags, str(program)])
    pattern = re.compile(r"^ *([0-9a-f]+):\t(\S+)(?:\t([^;@\n]*))?", re.MULTILINE)
    return {
        int(address, 16): Instruction(int(address, 16), mnemonic, operands.strip())
        for address, mnemonic, operands in pattern.findall(text)
    }


def executions(
    blocks: Iterable[Block], code: Mapping[int, Instruction]
) -> tuple[Counter[int], Counter[int]]:
    """How often each instruction ran, and how often it was a branch that was taken, by address."""
    ran: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    following = dict(zip(sorted(code), [*sorted(code)[1:], -1], strict=True))
    for block in blocks:
        address = block.first
        for _ in range(block.instructions):
            last = address
            ran[address] += block.ran
            address = following[address]
        taken[last] += block.left
    return ran, taken


def _run(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        raise ToolchainError(
            f"the command '{command[0]}' is not installed",
            help="apt-get install binutils-arm-none-eabi",
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"'{command[0]}' failed", detail=done.stderr.strip())
    return done.stdout

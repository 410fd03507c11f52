"""Worst-case stack of library functions, read from their machine code: the judge of the table in
`tinytrain/toolchain/external_stack.py`."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

_MEMBER = re.compile(r"^(?P<name>\S+):\s+file format")
_ALIAS = re.compile(
    r"^(?P<at>[0-9a-f]{8}) .{6}[F ] (?P<section>\.text\S*)\t\S+ (?:\.hidden )?(?P<name>\S+)$"
)
_SECTION = re.compile(r"^Disassembly of section (?P<name>\S+):$")
_LABEL = re.compile(r"^(?P<at>[0-9a-f]+) <(?P<name>[^>]+)>:$")
_INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\t[0-9a-f ]+\t(?P<code>\S+)(?:\t(?P<operands>.*))?$")
_RELOCATION = re.compile(
    r"^\s+[0-9a-f]+: R_"
    r"(?:ARM_THM_(?:CALL|PC22|JUMP\d+)|RISCV_(?:CALL|CALL_PLT|JAL|RVC_JUMP|BRANCH))"
    r"\t(?P<name>\S+)$"
)
_BRANCH = re.compile(r"<(?P<name>[^>+]+)(?:\+0x[0-9a-f]+)?>")
_ENDS = re.compile(r"(b|b\.n|b\.w|bx|j|jr|ret|tail)\s|(pop|ldmia\.w|ldmia)\s.*pc")
# RISC-V keeps the labels inside of functions: they are no functions.
_INNER = re.compile(r"\.L.*")
_UNKNOWN = 1 << 20
"""Of a change of the stack by a register, as in libgcc's own helpers for -msave-restore: a function
that reached it would stand out."""


@dataclass
class _Code:
    """The functions of an archive; a label inside hand-written code counts as one."""

    own: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def library_stack(
    archive: Path, names: Collection[str], objdump: str = "arm-none-eabi-objdump"
) -> dict[str, int]:
    """Bytes of stack of those functions that an archive of Thumb or RISC-V code holds, and callees.

    Of each function every push counts, on whatever path, so the figure is never below the truth (no
    loop of these libraries pushes). Branches through a register are returns.
    """
    code = _read(archive, objdump)

    def longest(function: str, above: frozenset[str]) -> int:
        # A branch back to a label on the way here is a loop; it adds nothing new.
        if function in above:
            return 0
        below = above | {function}
        deepest = max((longest(c, below) for c in sorted(code.calls[function])), default=0)
        return code.own[function] + deepest

    return {name: longest(name, frozenset()) for name in names if name in code.own}


def _read(archive: Path, objdump: str) -> _Code:
    text = subprocess.run(
        [objdump, "-t", "-dr", str(archive)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    code = _Code()
    aliases: dict[tuple[str, int], list[str]] = {}
    function = section = last = ""
    for line in text.splitlines():
        if _MEMBER.match(line):
            aliases, function, last = defaultdict(list), "", ""
        elif found := _ALIAS.match(line):
            aliases[found["section"], int(found["at"], 16)].append(found["name"])
        elif found := _SECTION.match(line):
            section, function, last = found["name"], "", ""
        elif (found := _LABEL.match(line)) and not _INNER.match(found["name"]):
            # Code that does not end in a jump runs on into the next label.
            if function and not _ENDS.match(last):
                code.calls[function].add(found["name"])
            function, last = found["name"], ""
            code.own[function] += 0
            for alias in aliases.get((section, int(found["at"], 16)), ()):
                if alias != function:
                    code.own[alias] += 0
                    code.calls[alias].add(function)
        elif found := _RELOCATION.match(line):
            if not _INNER.match(found["name"]):
                code.calls[function].add(found["name"])
        elif (found := _INSTRUCTION.match(line)) and not found["code"].startswith("."):
            operands = found["operands"] or ""
            code.own[function] += _pushed(found["code"], operands)
            target = _BRANCH.search(operands)
            if target and found["code"].startswith(("b", "cb", "j")):
                code.calls[function] |= {target["name"]} - set(_INNER.findall(target["name"]))
            last = f"{found['code']} {operands}"
    return code


def _pushed(code: str, operands: str) -> int:
    """Bytes that one instruction takes from the stack, 0 if none."""
    code = code.removesuffix(".n").removesuffix(".w")
    if code == "push" or (code in ("stmdb", "stmfd") and operands.startswith("sp!")):
        return 4 * _registers(operands)
    if code == "vpush":
        return 8 * _registers(operands)
    if code in ("add", "addi") and (found := re.match(r"sp,sp,(-?\d+)", operands)):
        return max(0, -int(found[1]))
    if re.match(r"sp,sp,[a-z]", operands):
        return _UNKNOWN
    if code in ("sub", "subw") and (found := re.match(r"sp, (?:sp, )?#(\d+)", operands)):
        return int(found[1])
    if code in ("str", "strd") and (found := re.search(r"\[sp, #-(\d+)\]!", operands)):
        return int(found[1])
    restores = code.startswith(("ldm", "vldm")) or code in ("add", "addw", "mov", "ldr", "lw", "sw")
    if re.match(r"sp(!|,)", operands) and not restores and code[:3] != "stm":
        raise AssertionError(f"unknown change of the stack pointer: {code} {operands}")
    return 0


def _registers(operands: str) -> int:
    count = 0
    for part in operands[operands.index("{") + 1 : operands.index("}")].split(","):
        numbers = [int(n) for n in re.findall(r"\d+", part)]
        count += numbers[1] - numbers[0] + 1 if "-" in part else 1
    return count

"""An estimate of cycles from counts of instructions: no measurement, and no claim of one.

Sources: instruction timings in Arm's technical reference manuals of Cortex-M4 (r0p1, section 3.3),
Cortex-M3 (r2p1, section 3.3) and Cortex-M0 (r0p0, section 3.3). Assumptions:

- Memory answers at once: no wait states of flash, no cache misses, no contention on the bus. A real
  board is slower by what its flash costs; code in tightly coupled memory comes closest.
- `low` takes every overlap that the manual allows (a load right behind another load or store takes
  one cycle, IT is folded into its neighbour), a branch refills the pipeline in one cycle, a
  division ends early. `high` takes none of them, three cycles, and the longest division.
- M0 has a multiplier of one cycle here; the small one takes 31 more for each multiplication.
- Arm publishes no such tables for M7, M33 and M55. M33 is taken as an M4. M7 issues up to two
  instructions a cycle: from half of the M4's low to the M4's high. M55 works on a vector in two
  beats and may overlap a load with a multiplication: 1 to 2 cycles a vector instruction, the rest
  as M4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.counting import Block, Instruction, executions

Range = tuple[float, float]

REFILL: Range = (1, 3)
"""P of the manuals: cycles to refill the pipeline when a branch is taken."""


@dataclass(frozen=True)
class Cycles:
    """An estimate.

    Attributes:
        low, high: cycles.
        by_class: executed instructions of each class.
        published: whether Arm publishes timings of the core.
    """

    low: int
    high: int
    by_class: dict[str, int]
    published: bool


Cost = Callable[[str, Instruction, bool], Range]


def estimate(core: str, blocks: Sequence[Block], code: Mapping[int, Instruction]) -> Cycles:
    """Cycles of what was executed, on a core such as "cortex-m4".

    Args:
        core: Arm's name.
        blocks: what ran.
        code: the program's instructions by address.
    """
    cost, published, scale = _CORES[core]
    ran, taken = executions(blocks, code)
    addresses = sorted(code)
    before = dict(zip(addresses[1:], addresses, strict=False))
    low = high = 0.0
    by_class: dict[str, int] = {}
    for address, count in ran.items():
        instruction = code[address]
        kind = classify(instruction)
        behind = classify(code[before[address]]) in MEMORY if address in before else False
        least, most = cost(kind, instruction, behind)
        low += count * least + taken[address] * (2 if core == "cortex-m0" else REFILL[0])
        high += count * most + taken[address] * (2 if core == "cortex-m0" else REFILL[1])
        by_class[kind] = by_class.get(kind, 0) + count
    ordered = sorted(by_class.items(), key=lambda item: (-item[1], item[0]))
    return Cycles(round(low * scale), round(high), dict(ordered), published)


MEMORY = ("load", "store")

_CLASSES = (
    ("loop", r"(?:w?dls|w?dlstp|wls|wlstp|le|letp|lctp).*"),
    ("load", r"ldr(?:b|h|sb|sh)?(?:t)?"),
    ("store", r"str(?:b|h)?(?:t)?"),
    ("several", r"ldrd|strd|ldm\w*|stm\w*|push|pop"),
    ("divide", r"[us]div"),
    ("long multiply", r"[us]mull|[us]mlal|umaal|smlal[bt][bt]|smlald?x?|smlsld?x?"),
    ("multiply-add", r"mla|mls"),
    ("multiply", r"muls?|sm\w+|us\w*mul"),
    ("table branch", r"tb[bh]"),
    ("call", r"blx?|bx"),
    ("branch", r"b|cbn?z"),
    ("if-then", r"it[te]*"),
    ("special", r"mrs|msr|cps\w*|dmb|dsb|isb|bkpt|nop|svc"),
)
_CONDITION = r"(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?"
_PATTERNS = [
    (kind, re.compile(rf"(?:{pattern}){_CONDITION}(?:\.[nw])?")) for kind, pattern in _CLASSES
]


def classify(instruction: Instruction) -> str:
    """The class of an instruction; what is in no other is "simple"."""
    mnemonic = instruction.mnemonic
    if re.match(r"vp[st]|vctp", mnemonic) or re.search(r"\bq\d|\bp0\b", instruction.operands):
        return "vector"
    if mnemonic.startswith("v"):
        moves = re.match(r"v(?:ldr|str|ldm|stm|push|pop)", mnemonic)
        return "float memory" if moves else "float"
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(mnemonic):
            return kind
    return "simple"


def _registers(operands: str) -> int:
    """How many registers a list in braces names; LDRD and STRD name two."""
    listed = re.search(r"\{(.*)\}", operands)
    if listed is None:
        return 2
    count = 0
    for part in listed[1].split(","):
        ends = re.findall(r"\d+", part)
        count += int(ends[1]) - int(ends[0]) + 1 if "-" in part and len(ends) == 2 else 1
    return count


def _m4(kind: str, instruction: Instruction, behind_memory: bool) -> Range:
    names = instruction.mnemonic.split(".")[0]
    match kind:
        case "load":
            return (1 if behind_memory else 2), 2
        case "store":
            return 1, 2
        case "several":
            count = _registers(instruction.operands)
            return 1 + count, 1 + count
        case "divide":
            return 2, 12
        case "if-then":
            return 0, 1
        case "table branch":
            return 2, 2
        case "float memory":
            several = "{" in instruction.operands
            cycles = 1 + _registers(instruction.operands) if several else 2
            return cycles, cycles
        case "float" if names in ("vdiv", "vsqrt"):
            return 14, 14
        case "float" if names.startswith(("vmla", "vmls", "vfma", "vfms", "vnml")):
            return 3, 3
        case "special":
            return 1, 4
    return 1, 1


def _m3(kind: str, instruction: Instruction, behind_memory: bool) -> Range:
    match kind:
        case "multiply-add":
            return 2, 2
        case "long multiply":
            return (4, 7) if "mlal" in instruction.mnemonic else (3, 5)
    return _m4(kind, instruction, behind_memory)


def _m0(kind: str, instruction: Instruction, behind_memory: bool) -> Range:
    match kind:
        case "load" | "store":
            return 2, 2
        case "several":
            cycles = 1 + _registers(instruction.operands)
            # POP of pc takes 4 + N, of which 2 are counted as a branch taken.
            cycles += 1 if "pc" in instruction.operands else 0
            return cycles, cycles
        case "call" if instruction.mnemonic.startswith("bl") and "x" not in instruction.mnemonic:
            return 2, 2
        case "special":
            return 1, 4
    return 1, 1


def _m55(kind: str, instruction: Instruction, behind_memory: bool) -> Range:
    match kind:
        case "vector":
            return 1, 2
        case "loop":
            return 0, 1
    return _m4(kind, instruction, behind_memory)


_CORES: dict[str, tuple[Cost, bool, float]] = {
    "cortex-m0": (_m0, True, 1),
    "cortex-m3": (_m3, True, 1),
    "cortex-m4": (_m4, True, 1),
    "cortex-m7": (_m4, False, 0.5),
    "cortex-m33": (_m4, False, 1),
    "cortex-m55": (_m55, False, 1),
}
"""For each core: its costs, whether Arm published them, and what the low figure is scaled by."""

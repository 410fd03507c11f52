"""Which files of the runtime a model needs: those that define what it calls, and their headers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tinytrain import resources
from tinytrain.errors import InternalError
from tinytrain.isa import INSTRUCTION_SETS, InstructionSet
from tinytrain.kernel.kernel import Kernel
from tinytrain.kernel.table import KERNELS, RUNTIME

# `tt_state.c` calls them, or the application does.
_ALWAYS = (
    *("tt_state.c", "tt_step.c", "tt_crc32.c", "tt_metrics.c"),
    *("tt_store.c", "tt_signed.c"),
)


@dataclass(frozen=True)
class KernelSet:
    """What a model calls of the kernels for one instruction set.

    Attributes:
        isa: the instruction set; not the portable one.
        kernels: names without its suffix, sorted.
    """

    isa: InstructionSet
    kernels: tuple[str, ...]


def kernel_sets(functions: Iterable[str]) -> list[KernelSet]:
    """The kernels for instruction sets among the functions that a model calls."""
    contracts: dict[str, set[str]] = {name: set() for name in INSTRUCTION_SETS}
    for name in functions:
        row = RUNTIME.get(name)
        if isinstance(row, Kernel):
            contracts[row.isa].add(row.contract)
    return [
        KernelSet(isa, tuple(sorted(contracts[name])))
        for name, isa in INSTRUCTION_SETS.items()
        if isa.suffix and contracts[name]
    ]


@cache
def release() -> str:
    """What tells one release of the runtime from another: a number of 32 bits, as C writes it.

    It is made of every file of the runtime. Two models may share one only if it is the same.
    """
    root = resources.folder("runtime_c")
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.[ch]")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"0x{digest.hexdigest()[:8]}"


def runtime_files(functions: Iterable[str]) -> dict[str, str]:
    """Text of the runtime's files that generated code needs, by path in a generated folder.

    Args:
        functions: names of the runtime's functions that the code calls.

    Raises:
        InternalError: the runtime has no such function.
    """
    root = resources.folder("runtime_c")
    pending = sorted({*_ALWAYS, *(source for name in functions for source in _sources(name))})
    files: dict[str, str] = {}
    while pending:
        name = pending.pop()
        place = "src" if (root / "src" / name).is_file() else "include"
        if f"{place}/{name}" in files:
            continue
        text = (root / place / name).read_text(encoding="utf-8")
        files[f"{place}/{name}"] = text
        pending += includes(text)
        # What a private header such as tt_tile.h declares, the source of the same name defines.
        source = name.removesuffix(".h") + ".c"
        if name.endswith(".h") and (root / "src" / source).is_file():
            pending.append(source)
    return files


def _sources(name: str) -> Iterable[str]:
    """The file that defines a function, and that of the portable kernel which takes its place where
    the sources are built for another core."""
    if name not in RUNTIME:
        raise InternalError(f"no source file defines {name}")
    row = RUNTIME[name]
    return (
        (row.source, KERNELS[row.contract][0].source) if isinstance(row, Kernel) else (row.source,)
    )


def includes(text: str) -> list[str]:
    """Files that a source of the runtime includes by name."""
    # Also by way of a macro that holds its name, as the body of a gradient is.
    pattern = r'^\s*#\s*(?:include\s+|define\s+\w+\s+(?="[^"]+\.h"))"([^"]+)"'
    return re.findall(pattern, text, re.MULTILINE)

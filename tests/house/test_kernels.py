"""The table of kernels has no holes: what it says is in `runtime_c`, and what is there it says.

Every row's source defines its function under the macro of its instruction set, and its header
declares it; where there is something to choose, every row has a cost.
"""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tinytrain.isa import INSTRUCTION_SETS, available
from tinytrain.kernel.function import FUNCTIONS
from tinytrain.kernel.kernel import Kernel
from tinytrain.kernel.table import KERNELS, RUNTIME, TABLE
from tinytrain.kernel.work import Work
from tinytrain.target import list_targets, load_target

ROOT = Path(__file__).resolve().parents[2] / "runtime_c"
HEADERS = sorted((ROOT / "include").glob("*.h"))
RICH = [name for name, row in INSTRUCTION_SETS.items() if row.suffix]

WORK = {
    "in_h": 6,
    "in_w": 6,
    "in_c": 8,
    "out_h": 6,
    "out_w": 6,
    "out_c": 8,
    "kernel_h": 3,
    "kernel_w": 3,
    "pad_top": 1,
    "pad_left": 1,
    "segments": (8,),
    "count": 8,
    "rows": 36,
}
"""Something that every kernel can do: a 3x3 convolution of eight channels, depthwise or not."""


@cache
def preprocessed(file: Path, isa: str) -> str:
    """The file's text as a compiler for a core with an instruction set sees it, without what it
    includes from elsewhere than its own `.inc.h`."""
    target = next(
        target
        for name in list_targets()
        if (target := load_target(name)).isa == isa and not target.is_host
    )
    folders = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'src'}"]
    done = subprocess.run(
        [target.compiler, *target.compile_flags, *folders, "-E", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    kept, own = [], True
    for line in done.stdout.splitlines():
        if marker := re.match(r'# \d+ "([^"]+)"', line):
            own = marker[1] == str(file) or marker[1].endswith(".inc.h")
        elif own:
            kept.append(line)
    return "\n".join(kept)


def declared(file: Path) -> set[str]:
    """The functions that a public header declares, those of a macro for each type too. A type
    before `(*` is that of a member which points to a function.
    """
    text = preprocessed(file, "portable")
    twins = re.findall(r"\b__typeof__\s*\(\w+\)\s*(tt_\w+);", text)
    return {*twins, *re.findall(r"\b(tt_\w+)\s*\((?!\*)", text)}


def defined(file: Path, isa: str) -> set[str]:
    """The functions that a source defines for others."""
    text = preprocessed(file, isa)
    heads = re.findall(r"(?:^|[;}])([^;{}]*?)\b(tt_\w+)\s*\([^;{}]*\)\s*\{", text)
    return {name for before, name in heads if "static" not in before or file.suffix == ".h"}


def file_of(source: str) -> Path:
    place = ROOT / "src" / source
    return place if place.is_file() else ROOT / "include" / source


def held(holes: Iterable[str]) -> None:
    """Fails with a line for each hole."""
    lines = list(holes)
    assert not lines, "\n".join(lines)


def declarations(isa: str) -> str:
    """What a header declares for an instruction set: its rows, each with the type of its contract,
    so that the two cannot differ."""
    lines: list[str] = []
    for kernel in TABLE:
        if kernel.isa != isa:
            continue
        if kernel.limits:
            # The end of a comment stays with its last word.
            text = f"/* Requires {kernel.limits}.\u00a0*/"
            wrapped = textwrap.wrap(text, 100, subsequent_indent=" * ", break_long_words=False)
            comment = [line.replace("\u00a0", " ") for line in wrapped]
            lines += ["", *comment]
        lines.append(f"extern __typeof__({kernel.contract}) {kernel.name};")
        lines += [""] * bool(kernel.limits)
    return "\n".join(lines).replace("\n\n\n", "\n\n").strip("\n")


@pytest.mark.parametrize("isa", RICH)
def test_headers_of_instruction_sets_are_written_from_their_rows(isa: str) -> None:
    """UPDATE_HEADERS=1 .venv/bin/python -m pytest tests/house/test_kernels.py"""
    file = ROOT / "include" / INSTRUCTION_SETS[isa].header
    text = file.read_text(encoding="utf-8")
    head, include, _ = text.partition('#include "tt_kernels.h"\n')
    wanted = f"{head}{include}\n{declarations(isa)}\n\n#endif\n"
    if os.environ.get("UPDATE_HEADERS"):
        file.write_text(wanted, encoding="utf-8")
        preprocessed.cache_clear()
        text = wanted
    assert text == wanted, f"{file.name} is out of step: UPDATE_HEADERS=1 makes this test write it"


def test_sources_define_what_rows_say() -> None:
    held(
        f"{row.source} does not define {row.name}"
        for row in RUNTIME.values()
        if row.name not in defined(file_of(row.source), getattr(row, "isa", "portable"))
    )


def test_headers_declare_what_rows_say() -> None:
    held(
        f"{row.header} does not declare {row.name}"
        for row in RUNTIME.values()
        if row.name not in declared(ROOT / "include" / row.header)
    )


def test_limits_in_words_stand_beside_limits_in_code() -> None:
    anything = Kernel("", "portable", "").fits.__code__
    held(
        f"{kernel.name} has limits in only one of its fields `fits` and `limits`"
        for kernel in TABLE
        if (kernel.fits.__code__ != anything) != bool(kernel.limits)
    )


def test_everything_declared_has_a_row() -> None:
    held(
        f"{header.name} declares {name}, which has no row in tinytrain/kernel"
        for header in HEADERS
        for name in sorted(declared(header) - set(RUNTIME))
    )


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_everything_with_a_contract_has_a_row(isa: str) -> None:
    """A function that a source defines under the name of a contract is a kernel."""
    names = {contract + INSTRUCTION_SETS[isa].suffix for contract in KERNELS}
    held(
        f"{file.name} defines {name}, which has no row in tinytrain/kernel"
        for file in sorted((ROOT / "src").glob("*.c"))
        for name in sorted(defined(file, isa) & names - set(RUNTIME))
    )


@pytest.mark.parametrize("isa", RICH)
def test_sources_are_empty_without_their_instruction_set(isa: str) -> None:
    """A folder's sources build for every core: its macro guards what needs the instructions."""
    row = INSTRUCTION_SETS[isa]
    files = sorted((ROOT / "src").glob(f"*{row.suffix}.c"))
    assert {kernel.source for kernel in TABLE if kernel.isa == isa} <= {f.name for f in files}
    for file in files:
        assert row.macro in file.read_text(encoding="utf-8"), f"{file.name} asks not for its macro"
        for other in INSTRUCTION_SETS:
            if isa not in available(other):
                assert not defined(file, other), f"{file.name} is not empty for {other}"


def test_every_header_of_kernels_belongs_to_an_instruction_set() -> None:
    files = {header.name for header in HEADERS if header.name.startswith("tt_kernels")}
    assert files == {row.header for row in INSTRUCTION_SETS.values()}


def test_no_name_stands_twice() -> None:
    names = [row.name for row in (*TABLE, *FUNCTIONS)]
    assert len(names) == len(set(names))


def test_a_contract_begins_with_its_portable_kernel() -> None:
    """It takes the place of the others where the sources are built for another core."""
    for contract, kernels in KERNELS.items():
        portable = [kernel.name for kernel in kernels if kernel.isa == "portable"]
        assert portable == [contract] == [kernels[0].name]


def test_rows_have_a_cost_and_a_workspace() -> None:
    """A kernel without a cost is the only one of its contract: nothing has to choose it."""
    for kernel in TABLE:
        work = Work(contract=kernel.contract, **WORK)
        if kernel.cost is None:
            assert KERNELS[kernel.contract] == (kernel,), f"{kernel.name} has no cost, but a twin"
            assert kernel.workspace(work) == 0, f"{kernel.name} takes a workspace, but has no cost"
            continue
        for variant in kernel.variants(work):
            assert variant.cost > 0 and variant.workspace >= 0, kernel.name

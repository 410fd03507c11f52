"""Counts the files that name one thing of a kind: how many places a change of that kind touches.

    python scripts/count_places.py [--files]

A representative stands for each kind. The fewer files name it, the fewer places a new one takes;
the count beside it is what the project aims at, the last one what it was when counting began.

Files of an instruction set count for its own kernels alone: an operation is complete without them,
and each kernel that makes it faster is a place of its own kind. The column "all" counts them too.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tinytrain.isa import INSTRUCTION_SETS

ROOT = Path(__file__).parents[1]
FOLDERS = ("tinytrain", "codegen", "runtime_c")
SOURCES = frozenset({".py", ".c", ".h", ".j2", ".css", ".js"})


@dataclass(frozen=True)
class Representative:
    """One thing that stands for its kind.

    Attributes:
        kind: of what.
        name: as the sources spell it.
        aim: the most files that should name it.
        before: how many did when counting began.
    """

    kind: str
    name: str
    aim: int
    before: int


REPRESENTATIVES = (
    Representative("an operation", "avg_pool2d", 12, 30),
    Representative("a kernel", "tt_avg_pool2d_s8_grad_dsp", 2, 2),
    Representative("an option", "label_smoothing", 2, 5),
    Representative("a word of an option's value", "stochastic", 8, 25),
)


def places(name: str, *, own_kind: bool = True) -> list[Path]:
    """The sources that name something, from the root, sorted.

    Args:
        own_kind: whether files of an instruction set count for its own kernels alone.
    """
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    return sorted(
        file.relative_to(ROOT)
        for file in files
        if file.suffix in SOURCES
        and (not own_kind or name.endswith(_kernel_suffix(file)))
        and name in file.read_text(encoding="utf-8")
    )


def _kernel_suffix(file: Path) -> str:
    """What names of kernels end in, in a C file of an instruction set; empty for any other."""
    suffixes = (row.suffix for row in INSTRUCTION_SETS.values() if row.suffix)
    is_c = file.suffix in (".c", ".h")
    return next((suffix for suffix in suffixes if is_c and file.stem.endswith(suffix)), "")


def main() -> None:
    """Prints a line for each representative."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="list the files, too")
    show_files = parser.parse_args().files
    print(f"{'kind':28} {'representative':16} {'files':>5} {'all':>4} {'aim':>4} {'before':>6}")
    for one in REPRESENTATIVES:
        found = places(one.name)
        whole = len(places(one.name, own_kind=False))
        print(f"{one.kind:28} {one.name:16} {len(found):5} {whole:4} {one.aim:4} {one.before:6}")
        if show_files:
            print("".join(f"    {file.as_posix()}\n" for file in found), end="")


if __name__ == "__main__":
    main()

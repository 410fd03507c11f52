"""Measures what a built program needs: sizes, and the worst case of its stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ToolchainError, Where
from tinytrain.target import Target
from tinytrain.toolchain.sections import Sizes, measure
from tinytrain.toolchain.stack import (
    CallGraph,
    StackBound,
    interrupt_stack,
    read_call_graph,
    worst_case_stack,
)


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
        worst_case_stack(
            graph,
            root,
            host=target.is_host,
            indirect=indirect,
            own=target.architecture,
        )
        for root in roots or (target.architecture.root,)
    ]
    return Footprint(
        sizes=measure(executable),
        stack=max(bounds, key=lambda bound: bound.bytes),
        interrupt=interrupt_stack(graph, target),
    )

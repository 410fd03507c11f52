"""Worst-case stack of a program, from the call graphs that gcc writes beside its objects.

`-fcallgraph-info=su` writes one VCG file for each source: a node for each function with the size
of its frame, an edge for each call. The worst case is the heaviest path from a root. Frames count
in full even where a tail call has already given them back, so the figure is a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ToolchainError, Where
from tinytrain.target import Target
from tinytrain.target.architecture import Architecture
from tinytrain.toolchain.external_stack import external_bound

INDIRECT = "__indirect_call"
"""The callee that gcc writes for a call through a pointer."""

# Of a string with escapes (`\n`, and `\"` in a path), everything between its quotes.
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_NODE = re.compile(rf"^node: {{ title: {_TEXT} label: {_TEXT}")
_EDGE = re.compile(rf"^edge: {{ sourcename: {_TEXT} targetname: {_TEXT}")
_FRAME = re.compile(r"\\n(\d+) bytes \(([a-z,]+)\)")


@dataclass(frozen=True, eq=False)
class CallGraph:
    """The functions that were compiled.

    Attributes:
        frames: bytes of stack of each function by its title; a function private to its file has
            the file's name before its own (`src/net.c:update`).
        calls: titles that each function calls, external ones and `INDIRECT` included.
    """

    frames: Mapping[str, int]
    calls: Mapping[str, tuple[str, ...]]

    def find(self, name: str) -> str:
        """The title of a function named with or without its file.

        Raises:
            ToolchainError: there is none, or there are several.
        """
        if name in self.frames:
            return name
        found = [title for title in self.frames if title.rsplit(":", 1)[-1] == name]
        if len(found) != 1:
            raise ToolchainError(
                f"the call graph holds {len(found)} functions named '{name}', not one",
                detail=", ".join(found) or None,
            )
        return found[0]


@dataclass(frozen=True)
class StackBound:
    """The heaviest path: `bytes` in all, and each function on it with its own part."""

    bytes: int
    path: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return " > ".join(f"{name} ({size})" for name, size in self.path)


def read_call_graph(files: Iterable[Path]) -> CallGraph:
    """Read and join the files that gcc wrote for the sources of one program.

    Raises:
        ToolchainError: a file is no such graph, two files define the same function, or a frame has
            no bound (an array of variable length, alloca).
    """
    frames: dict[str, int] = {}
    calls: dict[str, dict[str, None]] = {}
    for file in sorted(files):
        where = Where(str(file))
        text = file.read_text(encoding="utf-8", errors="replace")
        if not text.startswith("graph:"):
            raise ToolchainError("the file is no call graph of gcc", where=where)
        for line in text.splitlines():
            if node := _NODE.match(line):
                title, frame = node[1], _FRAME.search(node[2])
                if frame is None:
                    continue
                if title in frames:
                    raise ToolchainError(f"function '{title}' is defined twice", where=where)
                # "dynamic,bounded" has a bound, and the figure is it.
                if frame[2] == "dynamic":
                    raise ToolchainError(
                        f"the stack of '{title}' depends on its data, so it has no bound",
                        where=where,
                        help="give its local arrays a constant size",
                    )
                frames[title] = int(frame[1])
            elif edge := _EDGE.match(line):
                calls.setdefault(edge[1], {})[edge[2]] = None
    return CallGraph(frames, {title: tuple(calls.get(title, ())) for title in frames})


# house(function): one walk through the call graph, and what it may not meet
def worst_case_stack(
    graph: CallGraph,
    root: str,
    *,
    host: bool,
    indirect: Mapping[str, Sequence[str]] | None = None,
    own: Architecture | None = None,
) -> StackBound:
    """The heaviest path from a function, its own frame included.

    Args:
        graph: all functions that were compiled for the program.
        root: the function to start from, with or without its file.
        host: whether the program runs on this machine, where external functions have a flat bound.
        indirect: for each function that calls through a pointer, all functions that the pointer may
            hold; names with or without files, external ones too.
        own: what else is known of calls in the core's family.

    Raises:
        ToolchainError: a path calls itself, calls through a pointer that `indirect` does not list,
            or reaches an external function without a known bound.
    """
    targets = {graph.find(caller): tuple(names) for caller, names in (indirect or {}).items()}
    known: dict[str, StackBound] = {}
    each_call = own.each_call if own is not None else 0

    def callees(title: str) -> Iterable[str]:
        for callee in graph.calls[title]:
            if callee != INDIRECT:
                yield callee
                continue
            if title not in targets:
                raise ToolchainError(
                    f"'{title}' calls through a pointer, so its worst-case stack is not known",
                    help="list the functions that the pointer may hold",
                )
            for name in targets[title]:
                bound = external_bound(name, host=host)
                yield name if bound is not None and not _defined(graph, name) else graph.find(name)

    def bound_of(title: str, above: tuple[str, ...]) -> StackBound:
        if title in known:
            return known[title]
        if title in above:
            circle = (*above[above.index(title) :], title)
            raise ToolchainError(
                f"'{title}' can call itself, so its worst-case stack is not known",
                detail=" > ".join(circle),
            )
        if title not in graph.frames:
            external = external_bound(title, host=host)
            if external is None and own is not None:
                external = own.library_stack
            if external is None:
                raise ToolchainError(
                    f"'{above[-1]}' calls '{title}', a library function whose stack is not known",
                    help="call nothing but memcpy, memset and arithmetic from the library",
                )
            found = StackBound(external, ((title, external),))
        else:
            below = [bound_of(callee, (*above, title)) for callee in callees(title)]
            deepest = max(below, key=lambda bound: bound.bytes, default=StackBound(0, ()))
            frame = graph.frames[title] + each_call
            found = StackBound(frame + deepest.bytes, ((title, frame), *deepest.path))
        known[title] = found
        return found

    return bound_of(graph.find(root), ())


def interrupt_stack(graph: CallGraph, target: Target) -> int:
    """Bytes that interrupts add on top of any path: hardware's frame and the deepest handler.

    Only SysTick is ever enabled, where the port counts instructions; it does not interrupt itself.
    """
    if "SysTick_Handler" not in graph.frames:
        return 0
    return target.interrupt_frame + worst_case_stack(graph, "SysTick_Handler", host=False).bytes


def _defined(graph: CallGraph, name: str) -> bool:
    return any(title.rsplit(":", 1)[-1] == name for title in graph.frames)

"""What a pass is, and the runner that checks each one's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinytrain.ir.graph import Graph
from tinytrain.ir.text import format_graph
from tinytrain.ir.verify import verify
from tinytrain.output_file import make_folder


class Pass(Protocol):
    """Valid graph in, valid graph out; the input is never changed.

    A pass with nothing to do returns its input. Options are fields of a frozen dataclass.
    """

    @property
    def name(self) -> str:
        """Its name in dumps, errors and the docs."""

    @property
    def summary(self) -> str:
        """What it does, in one line."""

    def __call__(self, graph: Graph) -> Graph: ...


@dataclass(frozen=True)
class Stage:
    """A step of the compiler as it is listed.

    Attributes:
        name: in dumps, errors and the docs.
        package: of tinytrain; its code is there.
        summary: what it does, in one line.
    """

    name: str
    package: str
    summary: str


def stage_of(step: Pass) -> Stage:
    """A pass as it is listed."""
    return Stage(step.name, type(step).__module__.split(".")[1], step.summary)


class Runner:
    """Applies passes, verifies after each, and dumps the graph if asked to.

    Args:
        dump: folder that gets `<number>_<pass>.txt` after each pass; None for no dumps.
        progress: called with the name of each step before it runs.

    Raises:
        UsageError: that folder cannot be made.
    """

    def __init__(
        self, dump: Path | None = None, progress: Callable[[str], None] = lambda name: None
    ) -> None:
        self._dump = dump
        self._progress = progress
        self._count = 0
        if dump is not None:
            make_folder(dump, "--dump-ir", "the folder for dumps cannot be made")

    def run(self, graph: Graph, passes: Iterable[Pass]) -> Graph:
        """The graph after all passes.

        Raises:
            InternalError: a pass broke the graph; its name is in the message.
        """
        for step in passes:
            self._progress(step.name)
            graph = self.check(step(graph), step.name)
        return graph

    def begin(self, stage: Stage) -> None:
        """Reports a step that is not a pass."""
        self._progress(stage.name)

    def check(self, graph: Graph, name: str) -> Graph:
        """Verifies and dumps a graph that something other than a pass made."""
        verify(graph, after=name)
        if self._dump is not None:
            path = self._dump / f"{self._count:02d}_{name}.txt"
            path.write_text(format_graph(graph), encoding="utf-8")
        self._count += 1
        return graph

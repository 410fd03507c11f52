"""The runner: what it applies, verifies, dumps and reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.errors import InternalError, UsageError
from tinytrain.ir.graph import Graph
from tinytrain.ir.text import format_graph
from tinytrain.passes.base import Runner, Stage, stage_of


class Renames:
    """A pass for tests: gives the graph another name."""

    summary = "renames the graph"

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, graph: Graph) -> Graph:
        return replace(graph, name=f"{graph.name}_{self.name}")


class Breaks(Renames):
    """A pass for tests: drops the first node."""

    def __call__(self, graph: Graph) -> Graph:
        return replace(graph, nodes=graph.nodes[1:])


def test_the_runner_names_the_pass_that_broke_the_graph() -> None:
    with pytest.raises(InternalError, match="after pass 'breaks'"):
        Runner().run(GRAPHS["signal"](), [Breaks("breaks")])


def test_passes_run_in_order_and_are_reported_before_they_run() -> None:
    told: list[str] = []
    runner = Runner(progress=told.append)
    runner.begin(Stage("zero", "passes", "begins"))
    graph = runner.run(GRAPHS["signal"](), [Renames("a"), Renames("b")])
    assert graph.name == "signal_a_b"
    with pytest.raises(InternalError):
        runner.run(graph, [Breaks("c"), Renames("d")])
    assert told == ["zero", "a", "b", "c"]


def test_every_graph_is_dumped_with_its_number(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ir"
    runner = Runner(folder)
    graph = runner.check(GRAPHS["signal"](), "given")
    runner.run(graph, [Renames("a")])
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["00_given.txt", "01_a.txt"]
    assert files[0].read_text() == format_graph(graph)
    assert files[1].read_text().startswith("graph signal_a\n")
    assert Runner(folder).run(graph, []) is graph, "a folder that is there already is taken"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the folder for dumps cannot be made"):
        Runner(tmp_path / "file")


def test_a_pass_is_listed_with_the_package_of_its_class() -> None:
    Renames.__module__ = "tinytrain.plan.schedule"
    assert stage_of(Renames("a")) == Stage("a", "plan", "renames the graph")

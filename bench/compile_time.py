"""Processor time of a compilation by stage, from import to emission, and how it grows with depth.

The networks are int8 residual networks of so many blocks, made here. The C compiler that measures a
folder is left out. The second table is the search for memory optimizations with half of the layers
frozen: rows are fed, 30 % more instructions may be spent, and the smallest arena is wanted.

    .venv/bin/python -m bench.compile_time                    10, 20, 40 and 80 blocks
    .venv/bin/python -m bench.compile_time --blocks 5 160     other depths
    .venv/bin/python -m bench.compile_time --model M.onnx --scheme S.toml --classes 10
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.deep_networks import residual_model
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_folder
from tinytrain.compiler.integers import integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import EMIT, IMPORT, build_step, within
from tinytrain.emit.folder import FolderWriter
from tinytrain.frontend import import_model
from tinytrain.passes.base import Runner
from tinytrain.target import load_target

TARGET = load_target("mps2-an500")
BLOCKS = (10, 20, 40, 80)
SHOWN = ("import", "prove", "guide", "schedule", "warm_up", "plan", "emit")
"""Stages with a column; the others are added up."""


class StageTimes:
    """Processor seconds of this process by stage; its `begin` is a runner's progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.process_time()

    def begin(self, stage: str) -> None:
        """Ends the stage before, and begins one."""
        now = time.process_time()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def row(self) -> dict[str, float]:
        """The columns of the table."""
        self.begin("")
        found = {stage: self.seconds.get(stage, 0.0) for stage in SHOWN}
        total = sum(self.seconds.values())
        return {**found, "others": total - sum(found.values()), "sum": total}


def compiled_in(model: Path, options: Options, times: StageTimes) -> Compiled:
    """A model compiled up to its C, which nothing builds."""
    runner = Runner(progress=times.begin)
    runner.begin(IMPORT)
    imported = import_model(model)
    given = integer_model(imported, None, None, options, runner)
    compiled = build_step(given.forward, options, runner, None, TARGET.isa)
    runner.begin(EMIT)
    with tempfile.TemporaryDirectory() as folder, FolderWriter(Path(folder) / "out") as writer:
        emit_folder(writer, compiled, TARGET)
    return compiled


def plain(model: Path, options: Options) -> dict[str, float]:
    """Seconds of each stage without a limit."""
    times = StageTimes()
    nodes = len(compiled_in(model, options, times).graph.nodes)
    return {"nodes": nodes, **times.row()}


def smallest(model: Path, options: Options) -> dict[str, float]:
    """Seconds of the search for the smallest arena."""
    compiled = compiled_in(model, options, StageTimes())
    began = time.process_time()
    plan = within(compiled, 0).plan
    return {
        "nodes": len(compiled.graph.nodes),
        "arena, bytes": compiled.plan.nbytes,
        "smallest, bytes": plan.nbytes,
        "search": time.process_time() - began,
    }


def print_table(
    title: str, names: Sequence[str], measure: Callable[[int], dict[str, float]]
) -> None:
    """A Markdown table, a line as soon as it is known."""
    for k, name in enumerate(names):
        row = measure(k)
        if k == 0:
            print(f"| {title} | {' | '.join(row)} |\n|---|{'---:|' * len(row)}")
        texts = [f"{v:,}" if isinstance(v, int) else f"{v:.2f}" for v in row.values()]
        print(f"| {name} | {' | '.join(texts)} |", flush=True)


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="processor time of a compilation by stage")
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS, help="residual blocks")
    parser.add_argument("--model", type=Path, help="a quantized model in the place of those")
    parser.add_argument("--scheme", default="full")
    parser.add_argument("--classes", type=int)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = Options(scheme=chosen.scheme, classes=chosen.classes)
        if chosen.model is not None:
            print_table("model", [chosen.model.stem], lambda k: plain(chosen.model, options))
            return 0
        blocks = chosen.blocks
        models = [
            residual_model(Path(folder) / f"r{count}.onnx", count, size=16) for count in blocks
        ]
        names = [str(count) for count in blocks]
        print_table("blocks", names, lambda k: plain(models[k], options))
        print()
        tight = [Options(scheme=f"last-{b}", feed="rows", recompute=0.3) for b in blocks]
        print_table("blocks", names, lambda k: smallest(models[k], tight[k]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

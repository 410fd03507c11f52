"""Instructions and bytes of the example models on every emulated core; `make bench` runs it.

    .venv/bin/python -m bench.examples [--json FILE] [--steps N]

Instructions are counted exactly by the emulator, so the figures are the same on every machine and
in every run; a difference between two commits is a difference of the code.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from examples.demonstration import COUNTED_STEPS, Story, write_samples
from examples.digits.demo import story as digits
from examples.watch.demo import story as watch
from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.session import simulate
from tinytrain.target import list_targets, load_target

CORES = [
    name for name in list_targets() if (target := load_target(name)).machine and target.ram >= 2**20
]
"""The emulated machines with memory for any model; microbit's 16 KB are for others."""


def main() -> int:
    """Print a table, and write the figures as JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument(
        "--steps", type=int, default=COUNTED_STEPS, help="training steps that are counted"
    )
    options = parser.parse_args()
    columns = ("model", "target", "step", "inference", "RAM", "stack", "flash")
    table = Table(*columns, title="instructions and bytes", title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    rows = []
    for row in _rows(options.steps):
        rows.append(row)
        table.add_row(*(f"{v:,}" if isinstance(v, int) else v for v in row.values()))
        print(f"{row['model']} on {row['target']}: done", file=sys.stderr)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _rows(steps: int) -> Iterator[dict[str, Any]]:
    for story in (watch(), digits()):
        for core in CORES:
            with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
                yield _measure(story, core, steps, Path(place))


def _measure(story: Story, core: str, steps: int, place: Path) -> dict[str, Any]:
    files = write_samples(story, place / "data")
    product = compile_model(
        story.model,
        output=place / "model",
        target=core,
        calibration=files["calibration"],
        scheme=story.scheme,
        learning_rate=story.learning_rate,
        schedule="constant",
    )
    few = files["count"]
    result = simulate(product.directory, on="qemu", data=few, eval=few, steps=steps, icount=True)
    return {
        "model": story.name,
        "target": core,
        "step": result.instructions_per_step,
        "inference": result.instructions_per_inference,
        "RAM": result.ram_bytes,
        "stack": product.memory.ram["stack"],
        "flash": result.flash_bytes,
    }


if __name__ == "__main__":
    sys.exit(main())

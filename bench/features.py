"""What each feature adds to a program: bytes, stack and instructions, beside the program without.

    .venv/bin/python -m bench.features [--core NAME...] [--only WORD] [--write]

The watch of `examples/watch` is compiled for each row of `feature_rows.py`, and linked with an
application that calls what the row is about (`c/features_main.c`): once as it would ship, for its
bytes, and once with counters, which runs for 64 samples on the emulated core. `--write` puts the
table into docs/features.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.counting import TOOLS
from bench.feature_rows import BY_NAME, FEATURES, PROGRAMS, Feature
from examples.demonstration import Story, write_samples
from examples.digits.demo import story as digits
from examples.watch.demo import story as watch
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.data.dataset import load_dataset
from tinytrain.errors import TinytrainError
from tinytrain.target import Target, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import MAIN
from tinytrain.toolchain.emulator import emulator_command
from tinytrain.toolchain.objects import FOLDER as OBJECTS
from tinytrain.toolchain.sections import measure

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bench" / "c" / "features_main.c"
PAGE = ROOT / "docs" / "features.md"
STORIES: Mapping[str, Callable[[], Story]] = {"watch": watch, "digits": digits}
CORES = ("mps2-an500", "m0")
STEPS = 64
"""Samples; a multiple of the interval in which health counters look at updates."""

NAME = "net"


@dataclass(frozen=True)
class Cost:
    """What a program takes.

    Attributes:
        flash, ram: bytes as linked; the state is in `ram`, the stack is not.
        stack: deepest of the run, in bytes.
        calls: mean instructions of a call, by the function's name without that of the model.
    """

    flash: int
    ram: int
    stack: int
    calls: Mapping[str, int]


class Bench:
    """Compiles, links and runs the programs of one core, each once."""

    def __init__(self, core: str, place: Path) -> None:
        self.target: Target = load_target(core)
        self._core, self._place = core, place
        self._known: dict[str, Cost] = {}
        self._stories: dict[str, tuple[Story, Mapping[str, Path]]] = {}

    def cost(self, row: Feature) -> Cost:
        """What the program of a row takes."""
        if row.name not in self._known:
            print(f"{self._core}: {row.name}", file=sys.stderr)
            self._known[row.name] = self._measured(row)
        return self._known[row.name]

    def _data(self, model: str) -> tuple[Story, Mapping[str, Path]]:
        if model not in self._stories:
            story = STORIES[model]()
            self._stories[model] = story, write_samples(story, self._place / f"{model}-data")
        return self._stories[model]

    def _measured(self, row: Feature) -> Cost:
        folder = self._place / re.sub(r"\W+", "-", row.name)
        story, files = self._data(row.model)
        product = compile_model(
            story.model,
            output=folder,
            target=self._core,
            name=NAME,
            calibration=files["calibration"],
            **{"learning_rate": 0.003, **row.options},
        )
        program = linked(product, self.target, row.calls)
        check_words(row, product, program)
        sizes = measure(program)
        calls = self._counted(product, row)
        return Cost(sizes.flash, sizes.ram, calls.pop("stack"), calls)

    def _counted(self, product: Product, row: Feature) -> dict[str, int]:
        story, files = self._data(row.model)
        y = story.learn[1]
        spec = product.manifest.sample_spec()
        chosen = np.random.default_rng(0).permutation(len(y))[:STEPS]
        x = load_dataset(files["learn"], spec, need_targets=False).quantized(chosen)
        text = sample_header(x.reshape(STEPS, -1), y[chosen])
        (product.directory / MAIN).with_name("samples.h").write_text(text, encoding="utf-8")
        program = linked(product, self.target, row.calls, counts=True)
        command = emulator_command(self.target, program, icount=True)
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        found = dict(re.findall(r"^(\w+) (\d+) \d+$", done.stdout, re.MULTILINE))
        if done.returncode != 0 or "stack" not in found:
            raise RuntimeError(f"the program failed: {done.stdout}{done.stderr}")
        return {name: int(number) for name, number in found.items()}


def symbols(program: Path) -> set[str]:
    """The names of all functions and objects of a linked program."""
    command = [f"{TOOLS}nm", "--defined-only", str(program)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in told.splitlines()}


def check_words(row: Feature, product: Product, program: Path) -> None:
    """Raises RuntimeError if the words of a row are not those of its program, or of its header."""
    header = (product.directory / "src" / f"{NAME}.h").read_text(encoding="utf-8")
    held = symbols(program) | set(re.findall(r"\w+", header))
    for word in row.words:
        if not any(word in name for name in held):
            raise RuntimeError(f"'{word}' is in no name of the program of '{row.name}'")


def sample_header(x: np.ndarray, y: np.ndarray) -> str:
    """`samples.h`: samples int8 [STEPS, size] and their labels."""
    rows = ",\n".join("{" + ",".join(map(str, row)) + "}" for row in x)
    labels = ",".join(map(str, y))
    return (
        f"enum {{ STEPS = {len(x)} }};\n"
        f"static const int8_t samples[STEPS][{x.shape[1]}] = {{\n{rows}}};\n"
        f"static const int32_t labels[STEPS] = {{{labels}}};\n"
    )


def linked(product: Product, target: Target, calls: Sequence[str], *, counts: bool = False) -> Path:
    """The application of a folder with these calls, linked."""
    capitals = NAME.upper()
    sizes = ("INPUT_SIZE", "OUTPUT_SIZE", "SAVED_BYTES", "INPUT_ROWS", "ROW_SIZE")
    defines = {
        "MODEL": NAME,
        "MODEL_HEADER": f'"{NAME}.h"',
        "SLOT_BYTES": f"{capitals}_REPLAY_SLOT_BYTES",
        **{name: f"{capitals}_{name}" for name in sizes},
        **{f"CALLS_{name}": "1" for name in calls if name != "TARGETS"},
        **({"LINK_HEADER": f'"{NAME}_link.h"'} if "LINK" in calls else {}),
        **({"TARGETS": "1"} if "TARGETS" in calls else {}),
        **({"COUNTS": "1"} if counts else {}),
    }
    text = "".join(f"#define {name} {value}\n" for name, value in defines.items())
    file = product.directory / MAIN
    file.write_text(text + PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    variant = "counts" if counts else "bytes"
    return build(product.directory, target, name=NAME, variant=variant)


def lines(bench: Bench, rows: Sequence[Feature]) -> Iterator[str]:
    """The rows of the table of a core, as Markdown."""
    yield "| feature | with | flash | RAM | stack | inference | step | its own calls |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for row in rows:
        beside = None if row.beside is None else bench.cost(BY_NAME[row.beside])
        yield _line(row, bench.cost(row), beside, bench.target.instructions_per_tick)


def _line(row: Feature, cost: Cost, beside: Cost | None, tick: float) -> str:
    calls = {name: cost.calls.get(name) for name in ("infer", "train_step")}
    if beside is None:
        cells = [*map(_whole, (cost.flash, cost.ram, cost.stack, *calls.values())), ""]
    else:
        own = [f"`{name}` {n:,}" for name, n in cost.calls.items() if name not in beside.calls]
        cells = [
            _more(cost.flash, beside.flash),
            _more(cost.ram, beside.ram),
            _more(cost.stack, beside.stack),
            *(_more(n, beside.calls.get(name), within=tick) for name, n in calls.items()),
            "; ".join([*([", ".join(own)] if own else []), *([row.note] if row.note else [])]),
        ]
    named = f"[{row.name}]({row.see})"
    if row.beside not in (None, PROGRAMS[0].name):
        named += f", beside *{row.beside}*"
    given = row.given(None if row.beside is None else BY_NAME[row.beside])
    return f"| {' | '.join((named, given, *cells))} |"


def _whole(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _more(now: int | None, before: int | None, *, within: float = 0) -> str:
    """A difference; what lies within what can be told is 0."""
    if now is None or before is None:
        return ""
    return f"{now - before:+,}" if abs(now - before) > within else "0"


def main() -> int:
    """Print the tables, or write them into the page."""
    options = _options()
    os.environ.setdefault(OBJECTS, str(ROOT / "build" / "test-objects"))
    rows = [row for row in (*PROGRAMS, *FEATURES) if options.only in row.name]
    try:
        for core in options.core:
            with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
                text = "\n".join(lines(Bench(core, Path(place)), rows)) + "\n"
            if options.write:
                write_table(core, text)
            print(f"{core}\n\n{text}")
    except TinytrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def write_table(core: str, text: str) -> None:
    """Puts the table of a core between its marks in the page."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- measured: {core} -->\n", f"<!-- end: {core} -->\n"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core", nargs="+", default=list(CORES), metavar="NAME")
    parser.add_argument("--only", default="", metavar="WORD", help="rows with this in their name")
    parser.add_argument("--write", action="store_true", help="into docs/features.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

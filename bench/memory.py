"""RAM of a training step with everything counted: the cheapest plan for a budget, and the smallest.

Each row is compiled four times for the emulated Cortex-M7 (mps2-an500), batch 1, 10 classes: the
plain plan; with `--feed rows --ram BUDGET`; the smallest plan; and the smallest with `--recompute
30%`. All must end with the same weights; bytes that surround the arena must stay untouched, and the
stack that was painted must not be used beyond its bound.

    .venv/bin/python -m bench.memory           the tables of docs/memory.md
    .venv/bin/python -m bench.memory --quick   the first model alone
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.pipeline import within
from tinytrain.errors import ToolchainError
from tinytrain.simulation.engine import RawOutcome, ignore_progress
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.session import plan_session
from tinytrain.target import load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import MAIN
from tinytrain.toolchain.sections import measure

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT.parent / "shared" / "models"
SCHEMES = ROOT / "examples" / "schemes"
TARGET = "mps2-an500"
STEPS = 3
GUARD = 64


@dataclass(frozen=True)
class Case:
    """A row.

    Attributes:
        best: the best figure before, in bytes unless it says otherwise.
        budget: bytes of RAM to fit.
    """

    model: str
    scheme: str
    best: str
    budget: int


CASES = (
    Case("mcunet-5fps-int8.onnx", "mcunet-5fps-49kb", "237,456", 98_304),
    Case("mcunet-5fps-int8.onnx", "mcunet-5fps-100kb", "173 KB", 163_840),
    Case("mbv2-w0.35-int8.onnx", "mbv2-w0.35-49kb", "141 KB", 98_304),
    Case("mcunet-5fps-int8.onnx", "last-12", "", 688_128),
)

TABLES = (
    ("before", "plain", "budget", "within budget", "smallest", "smallest, 30 %"),
    ("instructions within budget", "instructions of the smallest", "with 30 %", "planned in"),
    ("arena", "gap", "trained", "stack"),
)
"""Heads of the columns of each table."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What one plan needs, and does.

    Attributes:
        linked: `.data` and `.bss` of the program, as its ELF file says.
        outcome: of a session under emulation, its arena between guards.
    """

    product: Product
    linked: int
    outcome: RawOutcome
    instructions: int

    @property
    def ram(self) -> int:
        """Everything counted."""
        return self.product.memory.ram["total"]


def main() -> int:
    """Prints Markdown tables."""
    parser = argparse.ArgumentParser(description="RAM of a training step, everything counted")
    parser.add_argument("--quick", action="store_true", help="the first model alone")
    options = parser.parse_args()
    if not MODELS.is_dir():
        print("needs ../shared with models/", file=sys.stderr)
        return 2
    rows = []
    for case in CASES[:1] if options.quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_row(case, Path(folder)))
    for heads in TABLES:
        print("| model, scheme |", " | ".join(heads), "|")
        print("|---|" + "---:|" * len(heads))
        for name, cells in rows:
            print(f"| {name} |", " | ".join(cells[head] for head in heads), "|")
        print()
    return 0


def _row(case: Case, folder: Path) -> tuple[str, dict[str, str]]:
    """The name of a case, and its cells by the heads of `TABLES`."""
    path = SCHEMES / f"{case.scheme}.toml"
    scheme = str(path) if path.is_file() else case.scheme
    plain = _compile(case, scheme, folder / "plain")
    fitting = _compile(case, scheme, folder / "fitting", feed="rows", ram=case.budget)
    start = time.monotonic()
    smallest = within(fitting.compiled, 0)
    seconds = time.monotonic() - start
    leave = replace(fitting.compiled, options=replace(fitting.compiled.options, recompute=0.3))
    target = load_target(TARGET)
    least = write_folder(smallest, folder / "least", target=target)
    second = write_folder(within(leave, 0), folder / "rematerialized", target=target)
    first, *others = (measured(product) for product in (plain, fitting, least, second))
    for other in others:
        if other.outcome.weights != first.outcome.weights:
            raise ToolchainError("a plan changes what is learned")
    reached, last, rematerialized = others
    plan, ram = reached.product.compiled.plan, reached.product.memory.ram
    name = f"{_stem(case)[:-1]}, {case.scheme.removeprefix(_stem(case))}"
    return name, {
        "before": case.best,
        "plain": f"{first.ram:,}",
        "budget": f"{case.budget:,}",
        "within budget": f"**{reached.ram:,}**",
        "smallest": f"{last.ram:,}",
        "smallest, 30 %": f"{rematerialized.ram:,}",
        "instructions within budget": _more(reached, first),
        "instructions of the smallest": _more(last, first),
        "with 30 %": _more(rematerialized, first),
        "planned in": f"{seconds:.0f} s",
        "arena": f"{plan.nbytes:,}",
        "gap": f"{plan.gap:,}",
        "trained": f"{ram['trained parameters']:,}",
        "stack": f"{ram['stack']:,}",
    }


def _stem(case: Case) -> str:
    """What a scheme file of the model begins with."""
    return f"{case.model.removesuffix('-int8.onnx')}-"


def _more(one: Measured, plain: Measured) -> str:
    share = one.instructions / plain.instructions - 1
    return f"{one.instructions / 1e6:.2f} M ({100 * share:+.1f} %)"


def _compile(case: Case, scheme: str, output: Path, **options: object) -> Product:
    return compile_model(
        MODELS / case.model,
        output=output,
        target=TARGET,
        scheme=scheme,
        classes=10,
        learning_rate=2.0**-9,
        schedule="constant",
        **options,  # type: ignore[arg-type]
    )


def measured(product: Product) -> Measured:
    """Runs a few steps under emulation with guards around the arena.

    Raises:
        ToolchainError: the sections of the ELF file, the stack or a guard tell otherwise.
    """
    ram = product.memory.ram
    target = load_target(TARGET)
    program = build(product.directory, target, name=product.compiled.graph.name, variant="bench")
    linked = measure(program).ram
    if linked + ram["stack"] != ram["total"]:
        raise ToolchainError(f"the program has {linked:,} bytes of state, which is not what counts")
    guarded = product.directory.parent / f"{product.directory.name}-guarded"
    add_guards(product, guarded)
    folder = replace(open_folder(product.directory), path=guarded)
    data = _samples(product, guarded)
    stream = plan_session(folder, data=data, eval=data, steps=STEPS, learning_rate=2.0**-9)
    outcome = QemuEngine(folder, icount=True).run(stream, ignore_progress)
    if outcome.stack_used is None or outcome.stack_used > ram["stack"]:
        raise ToolchainError(f"{outcome.stack_used} bytes of stack were used")
    return Measured(product, linked, outcome, int(np.median(outcome.step_instructions)))


def add_guards(product: Product, output: Path) -> None:
    """Copies a folder and puts bytes around its arena that the main program looks after."""
    shutil.copytree(product.directory, output)
    name = product.compiled.graph.name
    _change(
        output / "src" / f"{name}.h",
        (
            "    union {\n        uint64_t align;",
            "    uint8_t before[{guard}];\n    union {\n        uint64_t align;",
        ),
        ("    } arena;\n", "    } arena;\n    uint8_t behind[{guard}];\n"),
    )
    _change(
        output / MAIN,
        (
            f"    {name}_init(&state);\n",
            f"    {name}_init(&state);\n"
            "    memset(state.before, 0xa5, sizeof state.before);\n"
            "    memset(state.behind, 0x5a, sizeof state.behind);\n",
        ),
        (
            '    put_event("stack"',
            "    for (size_t i = 0; i < {guard}; i++) {\n"
            "        if (state.before[i] != 0xa5 || state.behind[i] != 0x5a) {\n"
            '            fail("guard", (uint32_t)i);\n'
            "        }\n"
            "    }\n"
            '    put_event("stack"',
        ),
    )


def _change(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        if text.count(old) != 1:
            raise ToolchainError(f"{path.name} is not as the guards expect it")
        text = text.replace(old, new.replace("{guard}", str(GUARD)))
    path.write_text(text, encoding="utf-8")


def _samples(product: Product, folder: Path) -> Path:
    shape = product.manifest.input.source_shape
    rng = np.random.default_rng(0)
    path = folder / "data.npz"
    x = rng.normal(size=(STEPS, *shape[1:])).astype(np.float32)
    np.savez(path, x=x, y=np.arange(STEPS))
    return path


if __name__ == "__main__":
    sys.exit(main())

"""One training step of a model, split by layer and by kind of work; MACs and floors beside it."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.counting import (
    Block,
    Symbol,
    build_plugin,
    counting,
    disassembly,
    emulate,
    functions,
    lines_of,
    linked_sections,
    read_counts,
)
from bench.cycles import Cycles, estimate
from bench.nodes import macs, place_of, read_comments
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.errors import ToolchainError
from tinytrain.ir.graph import Graph
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.session import plan_session
from tinytrain.simulation.stream_file import write_stream
from tinytrain.target import load_target
from tinytrain.toolchain.build import build

MAP = "program.map"

_PROGRAM = frozenset(
    f"{stem}.o" for stem in "main startup instructions semihosting_trap port_semihosting".split()
)
"""Objects of what runs the model."""

STEPS = 3
"""The second is counted."""

READING = 120
"""Instructions of two halves of a reading of the counter, at most: M0 multiplies 64 bits in
software. They lie within what the counter spans, and the plugin does not count them."""

MULTIPLICATIONS = {"portable": 1.0, "dsp": 0.5, "mve": 1 / 16}
"""Instructions that multiply and add, for one MAC of s8 values: MLA, SMLAD, VMLADAVA.S8; M0 has
but a multiplication, and adds with another instruction."""


@dataclass
class Work:
    """Instructions, and the multiplications that they are for.

    Attributes:
        instructions: executed.
        macs: nominal ones, taps in the padding counted, as in published figures.
        inner_macs: those that meet the map.
    """

    instructions: int = 0
    macs: int = 0
    inner_macs: int = 0

    def __iadd__(self, other: Work) -> Work:
        self.instructions += other.instructions
        self.macs += other.macs
        self.inner_macs += other.inner_macs
        return self


@dataclass(frozen=True, eq=False)
class StepProfile:
    """What one training step executed on one core.

    Attributes:
        target: name of the emulated machine.
        core: Arm's name of its core.
        isa: the richest instruction set that its kernels may use.
        layers: work by layer and part; instructions of no layer stand under "step".
        kernels: functions called for each layer and part.
        counter: instructions of the same step by the SysTick counter, two readings included.
        tick: instructions in one tick of that counter.
        code: bytes of each function of the runtime in the program, by file and name.
        flash: bytes of code and of the tables in it: of the runtime, of the model's own functions
            without its weights, of what the compiler brings along, of the main program.
        cycles: an estimate.
    """

    target: str
    core: str
    isa: str
    layers: dict[str, dict[str, Work]]
    kernels: dict[str, dict[str, str]]
    counter: int
    tick: float
    code: dict[str, int]
    flash: dict[str, int]
    cycles: Cycles = field(repr=False)

    def total(self, part: str | None = None) -> Work:
        """Of all layers; of one part or of all."""
        found = Work()
        for parts in self.layers.values():
            for name, work in parts.items():
                if part in (None, name):
                    found += work
        return found

    def floor(self, part: str | None = None) -> int:
        """Instructions that multiply, if every one of them does as many MACs as it can."""
        each = 2.0 if self.core == "cortex-m0" else MULTIPLICATIONS[self.isa]
        return round(self.total(part).inner_macs * each)


def profile_step(
    model: Path,
    scheme: Path | str,
    target_name: str,
    folder: Path,
    *,
    progress: Callable[[str], None] = lambda what: None,
    **options: Any,
) -> StepProfile:
    """Compile a model, run three training steps, and count the second.

    Args:
        model: of a classifier.
        scheme: what to train.
        target_name: an emulated target.
        folder: an empty place to work in.
        progress: told what is being done.
        options: of `compile_model`.

    Raises:
        ToolchainError: something is not installed; or the two ways of counting disagree.
    """
    target = load_target(target_name)
    progress("compile")
    product = compile_model(
        model,
        output=folder / "model",
        target=target_name,
        scheme=str(scheme),
        **{"schedule": "constant", **options},
    )
    progress("build")
    # Line numbers change no instruction; addr2line needs them to tell the calls apart.
    flags = ("-g", f"-Wl,-Map=build/speed/{MAP}")
    program = build(product.directory, target, cflags_extra=flags, variant="speed")
    symbols = functions(program)
    source = product.directory / "src" / f"{product.compiled.graph.name}.c"
    own = _functions_of(source, symbols)
    run = folder / "run"
    run.mkdir()
    _write_stream(product, run)
    progress("run")
    plugin = counting(
        build_plugin(folder),
        folder / "counts.txt",
        enter=symbols[f"{product.compiled.graph.name}_train_step"],
        leave=symbols["main"],
        sites=range(min(s.address for s in own), max(s.address + s.size for s in own)),
    )
    done = subprocess.run(
        emulate(target, program, "-plugin", plugin),
        cwd=run,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    counted = re.findall(r"^step \d+ .* instructions 0x([0-9a-f]+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or len(counted) != STEPS:
        raise ToolchainError("the emulated program failed", detail=done.stdout + done.stderr)
    blocks = read_counts(folder / "counts.txt")
    code, groups = _code(linked_sections(program.parent / MAP), product.compiled.graph.name)
    layers, kernels = _split(blocks, program, source, product.compiled.graph)
    return StepProfile(
        target=target.name,
        core=target.core,
        isa=target.isa,
        layers=layers,
        kernels=kernels,
        counter=int(counted[1], 16),
        tick=target.instructions_per_tick,
        code=code,
        flash=groups,
        cycles=estimate(target.core, blocks, disassembly(program, target)),
    )


def check_sums(profile: StepProfile) -> None:
    """The parts add up to what the SysTick counter saw, to 0.1 % and its own coarseness.

    Raises:
        ToolchainError: they do not.
    """
    total = profile.total().instructions
    if abs(profile.counter - total) > 0.001 * total + profile.tick + READING:
        raise ToolchainError(
            f"on {profile.core} the parts add up to {total:,} instructions, "
            f"but the counter saw {profile.counter:,}"
        )


def _write_stream(product: Product, folder: Path) -> None:
    """Noise as input, one label after the other: the same in every run."""
    shape = product.manifest.input.source_shape
    x = np.random.default_rng(0).normal(size=(STEPS, *shape[1:])).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.arange(STEPS))
    opened = open_folder(product.directory)
    plan = plan_session(opened, data=folder / "data.npz", steps=STEPS)
    write_stream(plan, folder / "stream.bin", lambda done, total: None)


def _functions_of(source: Path, symbols: dict[str, Symbol]) -> list[Symbol]:
    """What a C file defines and the linker kept."""
    defined = re.findall(r"^[a-z][\w *]*?\b(\w+)\([^;]*$", source.read_text(), re.MULTILINE)
    return [symbols[name] for name in defined if name in symbols]


def _code(linked: Mapping[tuple[str, str], int], own: str) -> tuple[dict[str, int], dict[str, int]]:
    """(bytes of each function of the runtime, bytes of each group of code)."""
    runtime: dict[str, int] = {}
    groups = {"runtime": 0, "model": 0, "C library": 0, "start-up and main program": 0}
    for (file, name), size in linked.items():
        if file.startswith("tt_"):
            key = f"{file.removesuffix('.o')}: {name}"
            runtime[key] = size
            groups["runtime"] += size
        elif file == f"{own}.o":
            groups["model"] += size
        elif file in _PROGRAM:
            groups["start-up and main program"] += size
        elif file != f"{own}_constants.o":
            groups["C library"] += size
    return dict(sorted(runtime.items())), groups


def _split(
    blocks: Sequence[Block], program: Path, source: Path, graph: Graph
) -> tuple[dict[str, dict[str, Work]], dict[str, dict[str, str]]]:
    sites = sorted({block.site for block in blocks} - {0})
    lines = dict(zip(sites, lines_of(program, sites), strict=True))
    text = source.read_text().splitlines()
    comments = read_comments(source.name, text)
    nodes = {node.outputs[0].name: node for node in graph.nodes} | {n.name: n for n in graph.nodes}
    layers: dict[str, dict[str, Work]] = defaultdict(lambda: defaultdict(Work))
    kernels: dict[str, dict[str, str]] = defaultdict(dict)
    for block in blocks:
        node = nodes.get(comments.at(lines[block.site])) if block.site in lines else None
        layer, part = place_of(node)
        layers[layer][part].instructions += block.executed
    for node in graph.nodes:
        nominal, inner = macs(node)
        layer, part = place_of(node)
        layers[layer][part] += Work(0, nominal, inner)
        called = re.match(r" *(tt_\w+)\(", text[comments.line_of(node)]) if nominal else None
        if called:
            kernels[layer][part] = called[1]
    return layers, kernels

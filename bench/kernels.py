"""Kernels one by one: ours, naive loops and CMSIS-NN, on layers of MCUNet-5FPS.

All run in one program on equal operands; what they compute is compared, so that no count stands
for a wrong result.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bench.cmsis_nn import FLAGS, CmsisNN
from bench.counting import C_SOURCES, emulate
from tinytrain.errors import ToolchainError
from tinytrain.kernel.choose import candidates
from tinytrain.kernel.sources import kernel_sets, runtime_files
from tinytrain.kernel.work import Window, Work
from tinytrain.resources import folder as resource_folder
from tinytrain.target import Target
from tinytrain.toolchain.build_files import port_files
from tinytrain.toolchain.commands import require

WORKSPACE = 0x40000
"""What kernel_main.c has."""


def _pointwise(size: int, inputs: int, outputs: int) -> Window:
    return Window(size, size, inputs, size, size, outputs)


def _window(
    size: int, channels: int, kernel: int, stride: int, outputs: int, groups: int
) -> Window:
    out = size // stride
    return Window(
        *(size, size, channels, out, out, outputs, kernel, kernel, stride, stride),
        pad_top=kernel // 2,
        pad_left=kernel // 2,
        groups=groups,
    )


LAYERS = {
    "pointwise 8x8, 48 to 240": _pointwise(8, 48, 240),
    "pointwise 4x4, 96 to 576": _pointwise(4, 96, 576),
    "pointwise 4x4, 576 to 160": _pointwise(4, 576, 160),
    "depthwise 7x7 s2, 240, 8x8": _window(8, 240, 7, 2, 240, 240),
    "depthwise 5x5 s1, 384, 4x4": _window(4, 384, 5, 1, 384, 384),
    "pointwise 64x64, 8 to 32": _pointwise(64, 8, 32),
    "depthwise 3x3 s2, 32, 64x64": _window(64, 32, 3, 2, 32, 32),
    "conv 3x3 s2, 3 to 16, 128x128": _window(128, 3, 3, 2, 16, 1),
}
TRAINED = tuple(LAYERS)[:5]
"""Layers whose gradients are counted: the others lie in front of everything that trains."""

KINDS = ("forward", "input gradient", "weight gradient")


@dataclass(frozen=True)
class Candidate:
    """One function to be counted.

    Attributes:
        layer: a key of `LAYERS`.
        kind: one of `KINDS`.
        by: "tinytrain", "naive" or "CMSIS-NN".
        function: its C name.
        work: what it does.
        workspace: what it has, in bytes, where it is told.
    """

    layer: str
    kind: str
    by: str
    function: str
    work: Work
    workspace: int = 0


@dataclass(frozen=True)
class Count:
    """Instructions of one call; of its outputs, how many differ from the portable kernel's."""

    candidate: Candidate
    instructions: int
    different: int
    largest_difference: int

    @property
    def per_mac(self) -> float:
        """Instructions per nominal MAC."""
        return self.instructions / self.candidate.work.macs


def count_kernels(target: Target, folder: Path, cmsis_nn: CmsisNN | None) -> list[Count]:
    """Build and run everything for one core.

    Args:
        target: an emulated one.
        folder: an empty place to work in.
        cmsis_nn: None leaves it out.

    Raises:
        ToolchainError: something does not build, or one of our kernels or a naive one computes
            something else than the portable kernel.
    """
    found = list(_candidates(target.isa, cmsis_nn is not None))
    program = _build(target, folder, found, cmsis_nn)
    done = subprocess.run(
        emulate(target, program), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    lines = re.findall(r"^count (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if not done.stdout.endswith("done\n") or len(lines) != len(found):
        raise ToolchainError("the emulated program failed", detail=done.stdout + done.stderr)
    counts = [
        Count(candidate, *map(int, line[1:])) for candidate, line in zip(found, lines, strict=True)
    ]
    for count in counts:
        if count.different and count.candidate.by != "CMSIS-NN":
            raise ToolchainError(
                f"{count.candidate.function} computes something else than the portable kernel "
                f"for {count.candidate.layer}"
            )
    return counts


def _candidates(isa: str, with_cmsis_nn: bool) -> list[Candidate]:
    """All functions in the order of the program; the portable one of each work comes first."""
    found = []
    for layer, shape in LAYERS.items():
        depthwise = shape.groups > 1
        stem = "depthwise_conv2d_s8" if depthwise else "conv2d_s8"
        works = {"forward": f"{stem}"}
        if layer in TRAINED:
            works["input gradient"] = f"{stem}_grad_input"
            if not depthwise:
                works["weight gradient"] = f"{stem}_grad_weight"
        for kind, contract in works.items():
            work = Work(
                contract=f"tt_{contract}",
                **asdict(shape),
                segments=() if depthwise or kind == "weight gradient" else (shape.in_c,),
                count=shape.out_c if depthwise else 0,
                fraction_bits=4 if kind == "weight gradient" else 0,
            )
            for kernel in candidates(work, isa):
                workspace = kernel.workspace(work)
                assert workspace <= WORKSPACE, kernel
                found.append(Candidate(layer, kind, "tinytrain", kernel.name, work, workspace))
            found.append(Candidate(layer, kind, "naive", f"naive_{contract}", work))
            if with_cmsis_nn and kind == "forward":
                found.append(Candidate(layer, kind, "CMSIS-NN", f"cmsis_{contract}", work))
    return found


def _case(candidate: Candidate, first: bool) -> str:
    work, contract = candidate.work, candidate.work.contract.removeprefix("tt_")
    kind = "CMSIS_NN" if candidate.by == "CMSIS-NN" else "OTHER"
    sizes = {
        "forward": ("y", work.out_h * work.out_w * work.out_c),
        "input gradient": ("y", work.in_h * work.in_w * work.in_c),
        "weight gradient": ("weights", work.out_c * work.area * work.in_c),
    }
    result, size = sizes[candidate.kind]
    trains = candidate.kind == "weight gradient"
    prepare = "prepare_gradient_of_weights(&window)" if trains else "(void)0"
    window = ", ".join(f".{field.name} = {getattr(work, field.name)}" for field in fields(Window))
    return (
        f"MEASURE({contract}, {kind}, {candidate.function}, {candidate.workspace}, {int(first)}, "
        f"{result}, {size}, {prepare}, {window})\n"
    )


def _build(
    target: Target, folder: Path, found: Sequence[Candidate], cmsis_nn: CmsisNN | None
) -> Path:
    port, runtime = folder / "port", resource_folder("runtime_c")
    port.mkdir(parents=True)
    for name, text in port_files(target).items():
        (port / name).write_text(text, encoding="utf-8")
    called = {one.function for one in found if one.by == "tinytrain"}
    sets = kernel_sets(called)
    headers = ["tt_kernels.h", *(one.isa.header for one in sets)]
    includes = "".join(f'#include "{name}"\n' for name in headers)
    (port / "measured_kernels.h").write_text(includes, encoding="utf-8")
    works = [candidate.work for candidate in found]
    cases = (
        _case(candidate, not i or works[i - 1] != candidate.work)
        for i, candidate in enumerate(found)
    )
    (port / "measured_kernels.inc.h").write_text("".join(cases), encoding="utf-8")
    folders = [port, C_SOURCES, runtime / "include", runtime / "src"]
    needed = (runtime / name for name in runtime_files(called) if name.endswith(".c"))
    ours = [*needed, *port.glob("*.c")]
    ours += [C_SOURCES / "kernel_main.c", C_SOURCES / "naive.c"]
    jobs = [(source, ("-O2",), folders) for source in sorted(ours)]
    if cmsis_nn is not None:
        wider = [*folders, *cmsis_nn.include_folders]
        theirs = [C_SOURCES / "cmsis_nn.c", *cmsis_nn.sources]
        jobs += [(source, FLAGS, wider) for source in theirs]

    def compile_one(job: tuple[Path, Sequence[str], Sequence[Path]]) -> str:
        source, flags, places = job
        output = folder / f"{source.stem}.o"
        options = [*target.compile_flags, *flags, *(f"-I{place}" for place in places)]
        _run([require(target.compiler), *options, "-c", str(source), "-o", str(output)])
        return str(output)

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, jobs))
    program = folder / "kernels.elf"
    flags = [*target.compile_flags, *target.architecture.link_flags, f"-T{port / 'link.ld'}"]
    _run([require(target.compiler), "-O2", *flags, *objects, "-o", str(program)])
    return program


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError("the benchmark does not build", detail=done.stderr.strip()[-2000:])

"""Stack analysis: what it refuses, what it counts, and its figure against a painted stack."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.emulated_programs import EMULATED, execute
from tinytrain.errors import ToolchainError
from tinytrain.target import STACK_CFLAGS, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.external_stack import EXTERNALS, external_bound
from tinytrain.toolchain.footprint import footprint
from tinytrain.toolchain.stack import (
    CallGraph,
    interrupt_stack,
    read_call_graph,
    worst_case_stack,
)

GRAPH = CallGraph(
    frames={"main": 8, "a.c:deep": 100, "wide": 40, "save": 16, "b.c:leaf": 4, "round": 8},
    calls={
        "main": ("a.c:deep", "wide", "save"),
        "a.c:deep": (),
        "wide": ("b.c:leaf", "memset"),
        "save": ("__indirect_call", "memset"),
        "b.c:leaf": (),
        "round": ("round",),
    },
)
INDIRECT = {"save": ("wide",)}


def test_heaviest_path_wins() -> None:
    bound = worst_case_stack(GRAPH, "main", host=False, indirect=INDIRECT)
    assert bound.bytes == 8 + 100
    assert bound.path == (("main", 8), ("a.c:deep", 100))
    assert str(bound) == "main (8) > a.c:deep (100)"


def test_external_function_counts_with_its_bound() -> None:
    memset = external_bound("memset", host=False)
    assert memset is not None
    assert memset > 4
    assert worst_case_stack(GRAPH, "wide", host=False).bytes == 40 + memset


def test_indirect_call_counts_its_targets() -> None:
    memset = external_bound("memset", host=False) or 0
    wide = worst_case_stack(GRAPH, "save", host=False, indirect=INDIRECT)
    assert wide.bytes == 16 + 40 + memset
    deep = worst_case_stack(GRAPH, "save", host=False, indirect={"save": ("leaf", "deep")})
    assert deep.path == (("save", 16), ("a.c:deep", 100))
    library = worst_case_stack(GRAPH, "save", host=False, indirect={"save": ("memset",)})
    assert library.bytes == 16 + memset


def test_indirect_call_without_targets_is_refused() -> None:
    with pytest.raises(ToolchainError, match="'save' calls through a pointer"):
        worst_case_stack(GRAPH, "main", host=False)


def test_recursion_is_refused() -> None:
    with pytest.raises(ToolchainError, match="'round' can call itself"):
        worst_case_stack(GRAPH, "round", host=False)


def test_recursion_through_a_pointer_is_refused() -> None:
    with pytest.raises(ToolchainError) as caught:
        worst_case_stack(GRAPH, "main", host=False, indirect={"save": ("main",)})
    assert caught.value.detail == "main > save > main"


def test_unknown_library_function_is_refused() -> None:
    graph = CallGraph({"main": 8}, {"main": ("printf",)})
    with pytest.raises(ToolchainError, match="'main' calls 'printf'"):
        worst_case_stack(graph, "main", host=False)
    assert worst_case_stack(graph, "main", host=True).bytes > 8


@pytest.mark.parametrize("name", ["none", "twin"])
def test_root_has_to_be_one_function(name: str) -> None:
    graph = CallGraph({"a.c:twin": 8, "b.c:twin": 8}, {"a.c:twin": (), "b.c:twin": ()})
    with pytest.raises(ToolchainError, match="functions named"):
        worst_case_stack(graph, name, host=False)
    assert worst_case_stack(graph, "a.c:twin", host=False).bytes == 8


@pytest.mark.parametrize(("text", "message"), [("", "no call graph"), ("nodes", "no call graph")])
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "x.ci"
    file.write_text(text)
    with pytest.raises(ToolchainError, match=message):
        read_call_graph([file])


def test_same_function_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.ci", "b.ci"):
        (tmp_path / name).write_text(
            'graph: { title: "x.c"\n'
            'node: { title: "f" label: "f\\nx.c:1:1\\n8 bytes (static)" }\n}\n'
        )
    with pytest.raises(ToolchainError, match="'f' is defined twice"):
        read_call_graph(tmp_path.glob("*.ci"))


def test_compiled_recursion_is_refused(program_folder: Callable[..., Path]) -> None:
    target = load_target("mps2-an500")
    program = build(program_folder("recursion", target), target)
    with pytest.raises(ToolchainError, match="can call itself") as caught:
        footprint(program, target)
    assert "main.c:even > port/main.c:odd" in (caught.value.detail or "")


def test_compiled_array_of_variable_length_is_refused(program_folder: Callable[..., Path]) -> None:
    target = load_target("mps2-an500")
    program = build(program_folder("unbounded", target), target)
    with pytest.raises(ToolchainError, match="'main' depends on its data"):
        footprint(program, target)


@pytest.mark.parametrize("optimise", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("name", EMULATED)
def test_bound_covers_the_painted_stack(
    name: str, optimise: str, program_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """A program that takes its own deepest path: the bound holds, and is not far above."""
    target = load_target(name)
    program = build(program_folder("deep", target), target, optimise=optimise)
    indirect = {"save": ("store",)}
    found = footprint(program, target, indirect=indirect)
    run = execute(program, target, tmp_path / "run")
    assert run.code == 0
    used = int(run.lines[0])
    assert 900 < used <= found.stack_bytes
    assert used >= found.stack.bytes - 32
    steps = [title.rsplit(":", 1)[-1] for title, _ in found.stack.path]
    assert steps == ["tt_start", "main", "save", "store", "middle", "leaf"]

    # The analysis depends on the pointer's targets: without this one the bound would be wrong.
    blind = footprint(program, target, indirect={"save": ("memcpy",)})
    assert blind.stack_bytes < used


def test_host_has_a_figure_too(program_folder: Callable[..., Path]) -> None:
    target = load_target("host")
    program = build(program_folder("deep", target), target, compiler="gcc")
    found = footprint(program, target, indirect={"save": ("store",)})
    assert found.interrupt == 0
    assert found.stack.path[0][0] == "main"
    assert found.stack_bytes > 900


def test_interrupt_frame() -> None:
    graph = CallGraph({"SysTick_Handler": 8}, {"SysTick_Handler": ()})
    # 8 words, 18 of the float unit, 1 for alignment, and the handler.
    assert interrupt_stack(graph, load_target("mps2-an500")) == 104 + 4 + 8
    assert interrupt_stack(graph, load_target("mps2-an385")) == 32 + 4 + 8
    assert interrupt_stack(CallGraph({}, {}), load_target("mps2-an500")) == 0


ARITHMETIC = """
#include <stdint.h>
#include <string.h>
int f(float a, float b, int64_t l, uint64_t u, int32_t i, uint32_t n, double d, char *p, int k);
int f(float a, float b, int64_t l, uint64_t u, int32_t i, uint32_t n, double d, char *p, int k)
{
    memset(p, k, n);
    memcpy(p + n, p, n);
    memmove(p, p + k, n);
    a = a * b / (a - b) + (float)i + (float)n + (float)l + (float)u;
    d = d * (double)b / (d - 3.0) + (double)k;
    switch (k) {
    case 0: return (int)(l / i);
    case 1: return (int)(u % n);
    case 2: return i / k + (int)(n / 7U) + i % (k + 1);
    case 3: return (int)a + (int)(uint32_t)b + (a < b) + (a == b) + (a >= b) + (a != a);
    case 4: return (int)(l * (int64_t)u) + (int)(l >> k) + (int)(u << k) + (int)(u >> k);
    case 5: return (int)(int64_t)a + (int)(uint64_t)b;
    case 6: return (int)d + (d < (double)a) + (d == 3.0) + (int)(float)d + (int)(int64_t)d;
    case 7: return memcmp(p, p + n, n) + (int)strlen(p) + __builtin_clz(n) + __builtin_ctz(n);
    default: return 0;
    }
}
"""


@pytest.mark.parametrize("optimise", ["-O0", "-Os", "-O2", "-O3"])
@pytest.mark.parametrize("name", EMULATED)
def test_call_graph_shows_every_call_of_the_machine_code(
    name: str, optimise: str, tmp_path: Path
) -> None:
    """gcc's graph is made before its last passes: no helper may come in behind its back."""
    target = load_target(name)
    source = tmp_path / "arithmetic.c"
    source.write_text(ARITHMETIC)
    objects = tmp_path / "arithmetic.o"
    tools = target.compiler.removesuffix("gcc")
    compile_it = [target.compiler, *target.compile_flags, optimise, *STACK_CFLAGS]
    subprocess.run([*compile_it, "-c", str(source), "-o", str(objects)], check=True)
    listing = subprocess.run(
        [f"{tools}objdump", "-r", str(objects)], capture_output=True, text=True, check=True
    ).stdout
    called = set(re.findall(r"R_(?:ARM_THM_(?:CALL|JUMP24|PC22)|RISCV_CALL\w*)\s+(\w+)", listing))
    assert "memset" in called
    graph = read_call_graph([tmp_path / "arithmetic.ci"])
    shown = set(graph.calls["f"])
    assert called <= shown
    assert called <= set(EXTERNALS)

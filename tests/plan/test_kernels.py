"""The choice of kernels: complete, declared, by cost, and without effect on what is computed."""

from __future__ import annotations

import re

import pytest

from tests.support.graphs import GRAPHS
from tinytrain import resources
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa
from tinytrain.errors import InternalError
from tinytrain.isa import INSTRUCTION_SETS, ISAS
from tinytrain.kernel.choose import candidates, choose
from tinytrain.kernel.sources import source_of
from tinytrain.kernel.table import KERNELS
from tinytrain.kernel.work import Work
from tinytrain.passes.base import Runner

POINTWISE = Work(
    contract="tt_conv2d_s8", in_h=8, in_w=8, in_c=48, out_h=8, out_w=8, out_c=240, segments=(48,)
)


INCLUDE = resources.folder("runtime_c") / "include"


def declared() -> set[str]:
    """Names of all functions in the headers of kernels."""
    names: set[str] = set()
    for header in (INCLUDE / row.header for row in INSTRUCTION_SETS.values()):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        names |= set(re.findall(r"\b__typeof__\(\w+\) (tt_\w+);", text))
        for dtype in ("s8", "s16", "f32"):
            names |= set(re.findall(r"\b(tt_\w+)\(", text.replace("##dtype##", dtype)))
            names |= set(re.findall(r"\b(tt_\w+)\(", text.replace("##dtype", dtype)))
    return names


def test_every_kernel_of_the_table_is_declared_and_has_a_source() -> None:
    names = declared()
    for contract, kernels in KERNELS.items():
        assert kernels[0].isa == "portable" and kernels[0].suffix == ""
        for kernel in kernels:
            assert contract + kernel.suffix in names
            source = resources.folder("runtime_c") / "src" / source_of(contract + kernel.suffix)
            assert source.is_file()
            assert kernel.suffix == ("" if kernel.isa == "portable" else f"_{kernel.isa}")


def test_every_declared_kernel_of_an_instruction_set_is_in_the_table() -> None:
    known = {contract + kernel.suffix for contract in KERNELS for kernel in KERNELS[contract]}
    assert {name for name in declared() if name.endswith(("_dsp", "_mve"))} <= known


@pytest.mark.parametrize("isa", [row.name for row in INSTRUCTION_SETS.values() if row.suffix])
def test_the_header_of_an_instruction_set_declares_its_rows_by_their_twins(isa: str) -> None:
    """A twin has the type of the contract, so that the two cannot differ."""
    row = INSTRUCTION_SETS[isa]
    wanted = {
        f"extern __typeof__({contract}) {contract}{row.suffix};"
        for contract, kernels in KERNELS.items()
        if any(kernel.isa == isa for kernel in kernels)
    }
    text = re.sub(r"/\*.*?\*/", "", (INCLUDE / row.header).read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"^.*\btt_\w+;$|^.*\btt_\w+\(.*", text, re.MULTILINE)
    place = f"runtime_c/include/{row.header}"
    lacks, has = sorted(wanted - set(found)), sorted(set(found) - wanted)
    assert not lacks, "\n".join([f"add to {place}:", *lacks])
    assert not has, "\n".join([f"take out of {place}, or add rows to tinytrain/kernel:", *has])
    assert len(found) == len(set(found)), f"declared twice in {place}"


def test_the_cheapest_one_is_chosen_and_the_others_are_named() -> None:
    portable, dsp = (choose(POINTWISE, isa) for isa in ("portable", "dsp"))
    assert portable.kernel == "tt_conv2d_s8" and list(portable.considered) == [portable.kernel]
    assert dsp.kernel == "tt_conv2d_s8_dsp"
    assert dsp.cost == min(dsp.considered.values()) < portable.cost
    assert set(dsp.considered) == {"tt_conv2d_s8", "tt_conv2d_s8_dsp"}


def test_a_kernel_that_does_not_fit_is_not_considered() -> None:
    """Sums of a weight gradient over a map of 256x256 would take too much scratch."""
    large = Work(
        contract="tt_conv2d_s8_grad_weight",
        in_h=256,
        in_w=256,
        in_c=8,
        out_h=256,
        out_w=256,
        out_c=8,
    )
    assert [kernel.isa for kernel in candidates(large, "dsp")] == ["portable"]


def test_unknown_work_is_an_error() -> None:
    with pytest.raises(InternalError, match="tt_fly_s8"):
        choose(Work(contract="tt_fly_s8"), "portable")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", GRAPHS)
def test_scratch_is_planned_for_every_choice(name: str, isa: str) -> None:
    compiled = for_isa(build_step(GRAPHS[name](), Options(), Runner()), isa)
    for node, choice in compiled.plan.choices.items():
        assert (node in compiled.plan.scratch) == (choice.scratch > 0)
        assert choice.cost > 0

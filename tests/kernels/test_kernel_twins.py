"""Kernels of every instruction set give the portable kernels' bits, and stay in their buffers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.kernels.cases import (
    CONTRACTS,
    Case,
    contract_of,
    edge_cases,
    layer_cases,
    parse_case,
    random_cases,
)
from tests.support.kernels.firmware import (
    PROGRAMS,
    Firmware,
    build_firmware,
    declared_kernels,
    defined_kernels,
    isas_of,
    run_cases,
)
from tests.support.kernels.workspace import table_entry
from tests.support.paths import RUNTIME
from tinytrain.isa import ISAS
from tinytrain.target import load_target

TARGETS = ("mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
"""An emulated machine for each core with an instruction set of its own."""

KERNELS = [name for isa in ISAS[1:] for name in declared_kernels(isa)]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in TARGETS],
)
def firmware(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    target = load_target(request.param)
    return build_firmware(tmp_path_factory.mktemp(target.name), target)


def test_random_and_edge_shapes(firmware: Firmware) -> None:
    cases = []
    for kernel in firmware.kernels:
        cases += [*edge_cases(kernel, 1), *random_cases(kernel, 1, 150)]
    outcome = run_cases(firmware, cases)
    assert outcome.good, outcome.report(firmware.target.name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_random_shapes(firmware: Firmware, seed: int) -> None:
    for kernel in firmware.kernels:
        cases = [*edge_cases(kernel, seed), *layer_cases(kernel, seed)]
        cases += random_cases(kernel, seed, 1500, most_macs=200_000)
        outcome = run_cases(firmware, cases)
        assert outcome.good, outcome.report(firmware.target.name)


@pytest.mark.parametrize("target", ["mps2-an385", "m0"])
def test_portable_kernels_stay_in_their_buffers(target: str, tmp_path: Path) -> None:
    """They are their own twins, with other noise around and in the workspace.

    Unaligned accesses are faults where the core cannot do them.
    """
    kernels = [f"tt_{contract}" for contract in CONTRACTS]
    firmware = build_firmware(tmp_path, load_target(target), kernels=kernels, leave_out=NO_ISA)
    cases = []
    for kernel in kernels:
        cases += [*edge_cases(kernel, 1), *random_cases(kernel, 1, 150)]
    outcome = run_cases(firmware, cases)
    assert outcome.good, outcome.report(target)


def test_every_kernel_is_tested(firmware: Firmware) -> None:
    wanted = {name for isa in isas_of(firmware.target) for name in declared_kernels(isa)}
    assert wanted == set(firmware.kernels)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_has_a_contract(kernel: str) -> None:
    contract = contract_of(kernel)
    assert contract is not None, f"tests/support/kernels/cases.py has no contract for {kernel}"
    entry = table_entry(kernel)
    assert entry is not None, f"the compiler's table does not know {kernel}"
    assert entry[0] == f"tt_{contract}"


@pytest.mark.parametrize("isa", ISAS[1:])
def test_every_function_is_declared(isa: str) -> None:
    """What a file of an instruction set defines is in its public header, and then tested, or has a
    prototype elsewhere: in a private header, or above the assembly that only its own file calls."""
    private = "".join(file.read_text() for file in sorted(RUNTIME.glob("src/*.[ch]")))
    public, defined = declared_kernels(isa), defined_kernels(isa)
    assert public
    assert set(public) <= set(defined)
    for name in set(defined) - set(public):
        prototype = rf"^\w[\w *]*\b{name}\([^;{{]*\);"
        assert re.search(prototype, private, re.MULTILINE), f"{name} is declared nowhere"


# ---- the comparison itself ----

PLANTED = {
    "tt_conv2d_s8_none": None,
    "tt_conv2d_s8_result": r"y: differ 1 of 2880 bytes, the first at 2879: -?\d+ instead of -?\d+",
    "tt_conv2d_s8_behind": r"tt_conv2d_s8_behind: guard of y broken, byte 2880 of 2880",
    "tt_conv2d_s8_before": r"tt_conv2d_s8_before: guard of y broken, byte -1 of 2880",
    "tt_conv2d_s8_beyond": r"tt_conv2d_s8_beyond: guard of workspace broken, byte 4096 of 4096",
    "tt_conv2d_s8_input": r"x: differ 1 of 672 bytes, the first at 0: .*",
    "tt_conv2d_s8_bias": r"tt_conv2d_s8_bias: guard of bias broken, byte 240 of 240",
    "tt_conv2d_s8_grad_input_peak": r"scale: differ \d of 12 bytes, the first at 8: .*",
    "tt_conv2d_s8_grad_weight_fraction": r"fraction: differ 1 of .* bytes, the first at 0: .*",
    "tt_depthwise_conv2d_s8_grad_input_unlisted": r"dx: differ \d+ of 672 bytes, .*",
    "tt_conv2d_s8_read": None,
}
"""Kernels of programs/planted.c, and what is said about them."""
FENCED = {"tt_conv2d_s8_read": "x", "tt_conv2d_s8_behind": "y"}
GEOMETRIES = {
    "conv2d": "in_h=6 in_w=8 in_c=14 out_h=6 out_w=8 out_c=60 "
    "segments=5,9 listed=0 count=0 rows=0 fraction_bits=4",
    "depthwise": "in_h=6 in_w=8 in_c=14 out_h=6 out_w=8 out_c=14 groups=14 "
    "segments=0 listed=1 count=9 rows=0",
}


NO_ISA = tuple(f"*_{isa}.c" for isa in ISAS[1:])


def _declarations(kernels: Iterable[str]) -> str:
    return "".join(f"extern __typeof__(tt_{contract_of(name)}) {name};\n" for name in kernels)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    source = PROGRAMS / "planted.c"
    return build_firmware(
        tmp_path_factory.mktemp("planted"),
        load_target("mps2-an500"),
        kernels=tuple(PLANTED),
        extra_sources=(source,),
        extra_header=_declarations(PLANTED),
        leave_out=NO_ISA,
    )


def _planted_workspace(case: Case) -> int:
    """Enough for any portable kernel; planted.c writes behind it."""
    return 4096


def _planted_case(kernel: str, seed: int, fences: int) -> str:
    geometry = GEOMETRIES["depthwise" if "depthwise" in kernel else "conv2d"]
    return f"{kernel} seed={seed} fences={fences} {geometry}"


@pytest.mark.parametrize("kernel", PLANTED)
def test_planted_mistakes_are_found(planted: Firmware, kernel: str) -> None:
    cases = [parse_case(_planted_case(kernel, seed, 0)) for seed in range(1, 9)]
    outcome = run_cases(planted, cases, _planted_workspace)
    said = [line for lines in outcome.failures.values() for line in lines]
    expected = PLANTED[kernel]
    if expected is None:
        assert outcome.good, outcome.report("mps2-an500")
        return
    assert said and outcome.left == 0
    for line in said:
        assert re.fullmatch(expected, line), line


@pytest.mark.parametrize("kernel", FENCED)
def test_fences_stop_a_read_too(planted: Firmware, kernel: str) -> None:
    case = parse_case(_planted_case(kernel, 1, 1))
    outcome = run_cases(planted, [case], _planted_workspace)
    said = [re.sub("0x.*", "", line) for line in outcome.failures[case]]
    assert said == [f"a fault in {kernel} at ", f"the fence of {FENCED[kernel]}"]


def _alone(place: Path, target: str, kernel: str) -> list[str]:
    """What is said about one planted mistake on a target."""
    built = build_firmware(
        place / target,
        load_target(target),
        kernels=(kernel,),
        extra_sources=(PROGRAMS / "planted.c",),
        extra_header=_declarations([kernel]),
        leave_out=NO_ISA,
    )
    case = parse_case(_planted_case(kernel, 1, 1))
    return run_cases(built, [case], _planted_workspace).failures.get(case, [])


def test_fences_stand_on_every_core(tmp_path: Path) -> None:
    """A read behind a buffer is a fault with either form of memory protection."""
    for target in TARGETS:
        said = _alone(tmp_path, target, "tt_conv2d_s8_read")
        assert [line.split()[0:2] for line in said] == [["a", "fault"], ["the", "fence"]], target


def test_unaligned_vectors_are_found(tmp_path: Path) -> None:
    (said,) = _alone(tmp_path, "mps3-an547", "tt_conv2d_s8_vector")
    assert said.startswith("an unaligned vector access in tt_conv2d_s8_vector at ")


@pytest.mark.parametrize(
    ("kernel", "place"),
    [
        ("tt_conv2d_s8_pages", None),
        ("tt_conv2d_s8_page_end", r"load_at_the_end_of_a_page at 0x\w+[37bf]fc"),
        ("tt_conv2d_s8_two_pages", r"load_across_two_pages at 0x\w+[37bf]fe"),
    ],
)
def test_where_code_lies_makes_no_difference(
    tmp_path: Path, kernel: str, place: str | None
) -> None:
    """A vector access ends a page of QEMU's translator, or lies in two; one of bytes follows."""
    said = _alone(tmp_path, "mps3-an547", kernel)
    if place is None:
        assert not said
    else:
        assert len(said) == 1 and re.fullmatch(f"an unaligned vector access in {place}", said[0])


def test_cases_are_read_as_they_are_printed() -> None:
    for contract in CONTRACTS:
        for case in random_cases(f"tt_{contract}_dsp", 1, 50):
            assert parse_case(str(case)) == case

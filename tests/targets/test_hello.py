"""Programs on every emulated machine and on the host: start-up, files, counts, faults, exit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.emulated_programs import EMULATED, execute
from tinytrain.target import load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.footprint import footprint

INPUT = bytes(range(256))


@pytest.mark.parametrize("name", [*EMULATED, "host"])
def test_hello(name: str, program_folder: Callable[..., Path], tmp_path: Path) -> None:
    target = load_target(name)
    program = build(program_folder("hello", target), target)
    place = tmp_path / "run"
    place.mkdir()
    (place / "in.bin").write_bytes(INPUT)
    run = execute(program, target, place)

    assert run.code == 42, run
    assert run.errors == ""
    assert (place / "out.bin").read_bytes() == INPUT
    values = {line.split()[0]: int(line.split()[1], 16) for line in run.lines}
    assert values["data"] == 0x12345678
    assert values["bss"] == 0
    assert values["part"] == 314
    for check in ("missing", "read", "beyond", "closed", "written", "appended"):
        assert values[check] == 1, check
    assert values["third"] == 0x3EAAAAAB
    assert values["unfused"] == 0
    assert ("vector" in values) == (target.isa == "mve")
    if target.isa == "mve":
        assert values["vector"] == (-15 * 16) & 0xFFFFFFFF
    if target.is_host:
        assert values["count"] == values["long"] == values["stack"] == 0
        return
    assert 0 < values["stack"] <= footprint(program, target).stack_bytes
    if not target.instructions_per_tick:
        assert values["count"] == values["long"] == 0
        return
    # The loop's 3,000,000 instructions, the readings' own, and a tick of uncertainty.
    counts = [int(line.split()[1], 16) for line in run.lines if line.startswith("count")]
    assert len(counts) == 3
    for count in counts:
        assert 3_000_000 - 64 <= count <= 3_000_000 + 200
    assert values["backward"] == 0
    long = values["long"]
    assert long > 2**24 * target.instructions_per_tick
    assert 20000 * 72_000 <= long <= 20000 * (72_000 + 150)


@pytest.mark.parametrize("name", EMULATED)
def test_fault_tells_where_and_fails(
    name: str, program_folder: Callable[..., Path], tmp_path: Path
) -> None:
    target = load_target(name)
    run = execute(build(program_folder("fault", target), target), target, tmp_path / "run")
    assert run.lines == ["before"]
    assert run.code == 99
    assert run.errors.startswith("tinytrain: fault, exception 0x0000000")
    assert ", pc 0x" in run.errors


@pytest.mark.parametrize("name", ["mps2-an505", "mps3-an547"])
def test_stack_limit_of_armv8m(
    name: str, program_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """A stack that grows into .bss is a fault; older cores have no such limit."""
    target = load_target(name)
    run = execute(build(program_folder("overflow", target), target), target, tmp_path / "run")
    assert run.lines == ["before"]
    assert run.code == 99
    # UFSR.STKOF, bit 20 of the configurable fault status.
    assert "cfsr 0x00100000" in run.errors

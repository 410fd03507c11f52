"""The benchmark's counts: exact, complete, and attributed to the right work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.counting import Block, Instruction, executions, read_counts
from bench.cycles import classify, estimate
from bench.kernels import LAYERS, TRAINED, count_kernels
from bench.nodes import PARTS, macs
from bench.training_step import READING, check_sums, profile_step
from examples.digits.demo import story
from tinytrain.errors import ToolchainError
from tinytrain.ir.graph import Node
from tinytrain.target import load_target


@pytest.mark.parametrize("target", [pytest.param("mps2-an500", marks=pytest.mark.slow), "m0"])
def test_parts_add_up_to_what_the_counter_saw(target: str, tmp_path: Path) -> None:
    digits = story()
    np.savez(tmp_path / "calibration.npz", x=digits.calibration[0])
    profile = profile_step(
        digits.model,
        digits.scheme,
        target,
        tmp_path / "work",
        calibration=tmp_path / "calibration.npz",
    )
    check_sums(profile)
    total = profile.total()
    assert 0 <= profile.counter - total.instructions <= READING + profile.tick
    assert sum(profile.total(part).instructions for part in PARTS) == total.instructions
    for part in PARTS[:3]:
        work = profile.total(part)
        assert work.macs >= work.inner_macs > 0
        assert work.instructions > profile.floor(part) > 0
    # Nothing but the code around the kernels belongs to no layer.
    loose = profile.layers["step"]["other"].instructions
    assert 0 < loose < 0.1 * total.instructions
    assert profile.flash["runtime"] == sum(profile.code.values())
    assert profile.cycles.low <= profile.cycles.high
    assert sum(profile.cycles.by_class.values()) == total.instructions
    profile.layers["step"]["other"].instructions += int(0.002 * total.instructions) + 100
    with pytest.raises(ToolchainError, match="add up"):
        check_sums(profile)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["mps2-an500", "mps3-an547"])
def test_kernels_beside_each_other(target: str, tmp_path: Path) -> None:
    """Naive loops and kernels of the instruction set compute what portable kernels do."""
    counts = count_kernels(load_target(target), tmp_path, None)
    assert not any(count.different for count in counts)
    naive = [count for count in counts if count.candidate.by == "naive"]
    pointwise = sum(LAYERS[layer].groups == 1 for layer in TRAINED)
    assert len(naive) == len(LAYERS) + len(TRAINED) + pointwise


def test_no_counts_without_plugins(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no counts"):
        read_counts(tmp_path / "missing.txt")


def test_macs_of_a_window_at_the_border() -> None:
    """3x3 over 4x5 with padding 1 and stride 2: rows meet 2 and 3 taps, columns 2, 3 and 2."""

    class Shaped:
        def __init__(self, *shape: int) -> None:
            self.type = self
            self.shape = shape

    attrs = {"strides": (2, 2), "dilation": (1, 1), "padding": (1, 1, 1, 1), "groups": 1}
    values = Shaped(1, 4, 5, 8), Shaped(6, 3, 3, 8)
    node = Node("conv2d", values, (Shaped(1, 2, 3, 6),), attrs)  # type: ignore[arg-type]
    assert macs(node) == (2 * 3 * 9 * 8 * 6, (2 + 3) * (2 + 3 + 2) * 8 * 6)
    assert macs(Node("add", values, ())) == (0, 0)  # type: ignore[arg-type]


CLASSES = {
    "ldr.w r1, [r2, #4]": "load",
    "ldrsbne.w r1, [r2]": "load",
    "strd r0, r1, [r2]": "several",
    "ldmia.w r1!, {r4, r5, r6}": "several",
    "smlad r0, r1, r2, r0": "multiply",
    "smlal r0, r1, r2, r3": "long multiply",
    "mlsne r0, r1, r2, r3": "multiply-add",
    "udiv r0, r1, r2": "divide",
    "bne.n 44 <f>": "branch",
    "bic.w r0, r1, #3": "simple",
    "blx r3": "call",
    "bls.n 44 <f>": "branch",
    "le lr, 38000000 <f>": "loop",
    "itte eq": "if-then",
    "vldrb.s16 q0, [r0]": "vector",
    "vpst": "vector",
    "vldr s0, [r0]": "float memory",
    "vmla.f32 s0, s1, s2": "float",
    "movs r0, #1": "simple",
    "sxtb16 r0, r1": "simple",
}


@pytest.mark.parametrize("text", CLASSES)
def test_classes_of_instructions(text: str) -> None:
    mnemonic, _, operands = text.partition(" ")
    assert classify(Instruction(0, mnemonic, operands)) == CLASSES[text]


LOOP = {
    0: Instruction(0, "ldr", "r1, [r0]"),
    2: Instruction(2, "ldr", "r2, [r0, #4]"),
    4: Instruction(4, "subs", "r3, #1"),
    6: Instruction(6, "bne.n", "0 <f>"),
    8: Instruction(8, "bx", "lr"),
}
RUNS = [Block(0, 0, 4, ran=10, left=9), Block(0, 8, 1, ran=1, left=1)]


def test_cycles_of_a_loop() -> None:
    """Ten rounds of two loads, an addition and a branch that is taken nine times."""
    ran, taken = executions(RUNS, LOOP)
    assert ran == {0: 10, 2: 10, 4: 10, 6: 10, 8: 1}
    assert taken == {6: 9, 8: 1}
    m4, m0 = (estimate(core, RUNS, LOOP) for core in ("cortex-m4", "cortex-m0"))
    assert (m4.low, m4.high) == (10 * (2 + 1 + 1 + 1) + 1 + 10, 10 * (2 + 2 + 1 + 1) + 1 + 30)
    assert m0.low == m0.high == 10 * (2 + 2 + 1 + 1) + 9 * 2 + 3
    assert m4.by_class == {"load": 20, "branch": 10, "simple": 10, "call": 1}

"""The Pico's program, from its UF2 file, in rp2040js: boot stage, UART, equal weights, cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

import tinytrain
from tests.support.onnx_models import save
from tests.support.rp2040 import PICO, Rp2040Engine, simulator
from tinytrain.plan.speed import CYCLES_PER_INSTRUCTION
from tinytrain.simulation.engine import ignore_progress
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.session import plan_session
from tinytrain.target import load_target

STEPS = 6


def test_a_pico_learns_what_this_machine_learns(tmp_path: Path) -> None:
    simulator()
    rng = np.random.default_rng(0)
    w, v = (rng.normal(size=size).astype(np.float32) / 3 for size in ((2, 1, 3, 3), (32, 3)))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["y"]),
    ]
    model = save(tmp_path / "own.onnx", nodes, {"w": w, "v": v}, inputs={"x": (1, 1, 4, 4)})
    x = rng.normal(size=(40, 1, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(40) % 3)
    np.savez(tmp_path / "few.npz", x=x[:5], y=np.arange(5) % 3)
    own = tmp_path / "own"
    tinytrain.compile_model(model, output=own, calibration=x, target=PICO, scheme="full")
    folder = open_folder(own)
    data = tmp_path / "data.npz"
    stream = plan_session(folder, data=data, eval=tmp_path / "few.npz", steps=STEPS)
    engine = Rp2040Engine(folder)
    there = engine.run(stream, ignore_progress)
    here = HostEngine(folder).run(stream, ignore_progress)
    assert there.weights == here.weights and there.saved == here.saved
    assert there.losses.tobytes() == here.losses.tobytes()
    for one, other in ((there.before, here.before), (there.after, here.after)):
        assert one.predictions == other.predictions
    assert there.stack_used is not None and there.stack_used <= folder.manifest.ram["stack"]
    assert len(engine.cycles) == STEPS and min(engine.cycles) > 10_000
    # QEMU counts the same step's instructions on an M0, whose set is the same.
    counted = QemuEngine(folder, icount=True, target=load_target("m0"))
    instructions = counted.run(stream, ignore_progress).step_instructions
    ratio = float(np.median(np.divide(engine.cycles, instructions)))
    print(f"cycles {engine.cycles}, instructions {list(instructions)}, {ratio:.2f} cycles each")
    least, most = CYCLES_PER_INSTRUCTION["cortex-m0plus"]
    assert 0.75 * least < ratio < 1.25 * most

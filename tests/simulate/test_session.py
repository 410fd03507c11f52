"""Whole sessions of a hand-made model: firmware on the host and under emulation equals NumPy."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.emulated_programs import EMULATED
from tests.support.fake_engine import INPUT_SIZE, OUTPUT_SIZE, FakeEngine
from tinytrain.errors import DataError, ModelError, ToolchainError, UsageError
from tinytrain.simulation.engine import Engine, Evaluation, RawOutcome, ignore_progress
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.result import SimulationResult, summarize
from tinytrain.simulation.session import plan_session, simulate
from tinytrain.target import load_target

MakeFolder = Callable[..., Path]

needs_emulator = pytest.mark.skipif(
    not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")),
    reason="needs qemu-system-arm and arm-none-eabi-gcc",
)
PLACES = ["host", pytest.param("qemu", marks=needs_emulator)]


@pytest.fixture
def samples(tmp_path: Path) -> Callable[[int, int], Path]:
    """Writes a file of samples that a linear model can learn."""

    def write(classes: int, count: int = 60) -> Path:
        generator = np.random.default_rng(5)
        w = generator.normal(size=(INPUT_SIZE, OUTPUT_SIZE)).astype(np.float32) / 16
        x = generator.normal(size=(count, INPUT_SIZE)).astype(np.float32)
        path = tmp_path / f"samples-{classes}-{count}.npz"
        np.savez(path, x=x, y=np.argmax(x @ w, axis=1) if classes else x @ w)
        return path

    return write


def expected(folder: Path, classes: int, **arguments: object) -> SimulationResult:
    opened = open_folder(folder)
    plan = plan_session(opened, **arguments)  # type: ignore[arg-type]
    engine: Engine = FakeEngine(classes)
    return summarize(opened, plan, engine.run(plan, ignore_progress), on="host")


def same(got: SimulationResult, reference: SimulationResult) -> bool:
    """All but what only firmware knows."""
    blank = {"on": "", "stack_used": None}
    return dataclasses.replace(got, **blank) == dataclasses.replace(reference, **blank)


@pytest.mark.parametrize("on", PLACES)
@pytest.mark.parametrize("classes", [OUTPUT_SIZE, 0])
def test_firmware_equals_reference(
    make_folder: MakeFolder, samples: Callable[..., Path], on: str, classes: int
) -> None:
    folder = make_folder(classes=classes)
    arguments = {
        "data": samples(classes),
        "eval": samples(classes, 30),
        "steps": 150,
        "seed": 9,
        "learning_rate": 0.125,
    }
    got = simulate(folder, on=on, **arguments)  # type: ignore[arg-type]
    assert same(got, expected(folder, classes, **arguments))
    assert got.steps == len(got.losses) == 150
    assert got.saved is not None
    assert got.loss_first is not None and got.loss_last is not None
    assert got.loss_last < got.loss_first
    if classes:
        assert got.accuracy_before is not None and got.accuracy_after is not None
        assert got.accuracy_after > got.accuracy_before + 0.3
        assert got.mse_before is None
    else:
        assert got.mse_before is not None and got.mse_after is not None
        assert got.mse_after < 0.6 * got.mse_before
        assert got.accuracy_before is None
    assert (got.stack_used is None) == (on == "host")
    assert got.instructions_per_step is None


@pytest.mark.parametrize("on", PLACES)
@pytest.mark.parametrize(("classes", "rate"), [(OUTPUT_SIZE, 0.125), (0, 0.9)])
def test_evaluations_between_steps_and_early_stop(
    make_folder: MakeFolder, samples: Callable[..., Path], on: str, classes: int, rate: float
) -> None:
    folder = make_folder(classes=classes)
    shown: list[tuple[str, int, int, str]] = []
    arguments = {
        "data": samples(classes),
        "eval": samples(classes, 30),
        "steps": 900,
        "seed": 9,
        "learning_rate": rate,
        "evaluate_every": 20,
        "patience": 2,
    }
    got = simulate(folder, on=on, progress=lambda *call: shown.append(call), **arguments)  # type: ignore[arg-type]
    assert same(got, expected(folder, classes, **arguments))
    # It was better for a while, then twice in a row it was not.
    assert got.stopped_at is not None and got.best is not None
    assert got.stopped_at < 900 and got.stopped_at == got.best.step + 40
    assert got.steps == got.stopped_at
    assert [point.step for point in got.curve] == list(range(20, got.stopped_at + 1, 20))
    told = [note for stage, _, _, note in shown if stage == "evaluate"]
    assert len(told) == len(got.curve)
    assert told[0].startswith("step 20: loss ") and told[-1].endswith(", stop")
    assert ("accuracy" in told[0]) == bool(classes)
    assert ("train", 20, 900, "evaluating 30/30") in shown
    figures = json.loads(got.to_json())
    assert figures["stopped_at"] == got.stopped_at
    assert figures["best"]["step"] == got.best.step
    assert figures["curve"][0]["loss"] == got.curve[0].loss
    # The evaluations changed nothing, and without patience nothing stops.
    arguments |= {"steps": got.steps, "patience": 0, "evaluate_every": 30}
    whole = simulate(folder, on=on, **arguments)  # type: ignore[arg-type]
    assert whole.weights_sha256 == got.weights_sha256
    assert whole.stopped_at is None and len(whole.curve) == got.steps // 30


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("gcc", ("-O0",)),
        ("gcc", ("-O3", "-DNDEBUG")),
        ("clang", ("-O0",)),
        ("clang", ("-O3",)),
        ("gcc", ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")),
    ],
)
@pytest.mark.parametrize("classes", [OUTPUT_SIZE, 0])
def test_compilers_agree(
    make_folder: MakeFolder,
    samples: Callable[..., Path],
    classes: int,
    compiler: str,
    flags: tuple[str, ...],
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    folder = open_folder(make_folder(classes=classes))
    plan = plan_session(folder, data=samples(classes), eval=samples(classes, 5), steps=30)
    engine: Engine = HostEngine(
        folder, compiler=compiler, optimise=flags[0], cflags_extra=flags[1:], variant="special"
    )
    got = summarize(folder, plan, engine.run(plan, ignore_progress), on="host")
    reference = FakeEngine(classes).run(plan, ignore_progress)
    assert got == summarize(folder, plan, reference, on="host")


@needs_emulator
@pytest.mark.parametrize("classes", [OUTPUT_SIZE, 0])
@pytest.mark.parametrize("target", [name for name in EMULATED if name != "mps2-an500"])
def test_machines_agree(
    make_folder: MakeFolder, samples: Callable[..., Path], classes: int, target: str
) -> None:
    folder = open_folder(make_folder(classes=classes, target=target))
    plan = plan_session(folder, data=samples(classes), eval=samples(classes, 5), steps=30)
    got = summarize(
        folder, plan, QemuEngine(folder, icount=True).run(plan, ignore_progress), on="qemu"
    )
    reference = summarize(
        folder, plan, FakeEngine(classes).run(plan, ignore_progress), on="reference"
    )
    counts = load_target(target).instructions_per_tick > 0
    assert (got.instructions_per_step is not None) == counts and got.stack_used is not None
    counted = {"instructions_per_step": None, "instructions_per_inference": None}
    assert same(dataclasses.replace(got, **counted), reference)


def test_board_without_emulator(make_folder: MakeFolder, samples: Callable[..., Path]) -> None:
    folder = make_folder(classes=0, target="nucleo-h743zi")
    with pytest.raises(UsageError, match="nothing emulates target 'nucleo-h743zi'"):
        simulate(folder, on="qemu", data=samples(0), steps=1)
    assert simulate(folder, on="host", data=samples(0), steps=1).steps == 1


@pytest.mark.parametrize("on", PLACES)
def test_second_session_goes_on_from_the_first(
    make_folder: MakeFolder, samples: Callable[..., Path], tmp_path: Path, on: str
) -> None:
    folder = make_folder(classes=OUTPUT_SIZE)
    data = samples(OUTPUT_SIZE)
    first = simulate(folder, on=on, data=data, eval=data, steps=60, learning_rate=0.5)
    assert first.saved is not None
    saved = tmp_path / "saved.bin"
    saved.write_bytes(first.saved)
    arguments = {"data": data, "eval": data, "steps": 5, "load": saved}
    second = simulate(folder, on=on, **arguments)  # type: ignore[arg-type]
    assert second.accuracy_before == first.accuracy_after
    assert same(second, expected(folder, OUTPUT_SIZE, **arguments))
    still = simulate(folder, on=on, data=data, steps=0, load=saved)
    assert still.weights_sha256 == first.weights_sha256
    assert still.saved == first.saved


@needs_emulator
def test_instructions_are_counted_and_repeatable(
    make_folder: MakeFolder, samples: Callable[..., Path]
) -> None:
    folder = make_folder(classes=0)
    data = samples(0)
    first = simulate(folder, on="qemu", data=data, eval=data, steps=20, icount=True)
    again = simulate(folder, on="qemu", data=data, eval=data, steps=20, icount=True)
    assert first == again
    assert first.instructions_per_inference is not None
    assert first.instructions_per_step is not None
    # One multiply-accumulate for each weight, and two visits of each weight in a step.
    macs = INPUT_SIZE * OUTPUT_SIZE
    assert macs < first.instructions_per_inference < 20 * macs
    assert 2 * macs < first.instructions_per_step < 60 * macs


@pytest.mark.parametrize("on", PLACES)
def test_progress_arrives_for_each_event(
    make_folder: MakeFolder, samples: Callable[..., Path], on: str
) -> None:
    calls: list[tuple[str, int, int, str]] = []
    simulate(
        make_folder(classes=0),
        on=on,
        data=samples(0),
        eval=samples(0, 3),
        steps=4,
        progress=lambda *call: calls.append(call),
    )
    steps = [call for call in calls if call[0] == "train"]
    assert [(done, total) for _, done, total, _ in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(note.startswith("loss ") for *_, note in steps)
    assert [call[0] for call in calls if call[1] == call[2]] == [
        "build",
        "prepare",
        "evaluate before",
        "train",
        "evaluate after",
    ]


def test_no_steps_and_no_evaluation(make_folder: MakeFolder, samples: Callable[..., Path]) -> None:
    got = simulate(make_folder(classes=OUTPUT_SIZE), data=samples(OUTPUT_SIZE), steps=0)
    assert (got.loss_first, got.loss_last, got.accuracy_before, got.accuracy_after) == (None,) * 4
    assert got.weights_sha256 == hashlib.sha256(bytes(4 * INPUT_SIZE * OUTPUT_SIZE)).hexdigest()


def test_saved_parameters_of_another_model(
    make_folder: MakeFolder, samples: Callable[..., Path], tmp_path: Path
) -> None:
    other = simulate(make_folder(classes=0), data=samples(0), steps=0)
    assert other.saved is not None
    saved = tmp_path / "saved.bin"
    saved.write_bytes(other.saved)
    folder = make_folder(classes=OUTPUT_SIZE)
    arguments = {"data": samples(OUTPUT_SIZE), "steps": 0, "load": saved}
    with pytest.raises(DataError, match="belong to another model"):
        simulate(folder, **arguments)  # type: ignore[arg-type]
    saved.write_bytes(other.saved[:-1] + b"?")
    with pytest.raises(DataError, match="damaged"):
        simulate(folder, **arguments)  # type: ignore[arg-type]
    saved.unlink()
    with pytest.raises(DataError, match="the saved parameters cannot be read"):
        simulate(folder, **arguments)  # type: ignore[arg-type]


def test_model_with_other_sizes_than_the_manifest(
    make_folder: MakeFolder, samples: Callable[..., Path]
) -> None:
    folder = make_folder(classes=0)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["output"]["classes"] = OUTPUT_SIZE
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ToolchainError, match="TT_ERROR_MODEL in 'stream'"):
        simulate(folder, data=samples(OUTPUT_SIZE), steps=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"on": "moon"}, "on= must be host, qemu or serial:PORT, got 'moon'"),
        ({"icount": True}, "instructions are counted on an emulator only"),
        ({"steps": -1}, "steps= must be between 0 and 10000000, got -1"),
        ({"seed": -1}, r"seed= must be between 0 and 2\^32 - 1, got -1"),
        ({"seed": 2**32}, r"seed= must be between 0 and 2\^32 - 1, got 4294967296"),
        ({"learning_rate": -0.5}, "learning_rate= must be between 0 and 1024, got -0.5"),
        ({"learning_rate": float("nan")}, "learning_rate= must be between 0 and 1024, got nan"),
        ({"learning_rate": 1025.0}, "learning_rate= must be between 0 and 1024, got 1025"),
        ({"learning_rate": 2.0}, r"the model does not take a learning rate of 2\.0"),
    ],
)
def test_senseless_options(
    make_folder: MakeFolder, samples: Callable[..., Path], change: dict[str, object], message: str
) -> None:
    arguments = {"data": samples(0), "steps": 1, **change}
    with pytest.raises(UsageError, match=message):
        simulate(make_folder(classes=0), **arguments)  # type: ignore[arg-type]


def test_source_that_does_not_compile(
    make_folder: MakeFolder, samples: Callable[..., Path]
) -> None:
    folder = make_folder(classes=0, source="#error broken on purpose\n")
    with pytest.raises(ToolchainError, match="broken on purpose"):
        simulate(folder, data=samples(0), steps=1)


@pytest.mark.parametrize("on", PLACES)
def test_crashing_model(make_folder: MakeFolder, samples: Callable[..., Path], on: str) -> None:
    source = (Path(__file__).parent / "fake_model" / "fake.c").read_text()
    crash = "    __builtin_trap();\n    memset(state, 0"
    assert "    memset(state, 0" in source
    folder = make_folder(classes=0, source=source.replace("    memset(state, 0", crash))
    with pytest.raises(ToolchainError, match=r"crashed \(signal|fault") as caught:
        simulate(folder, on=on, data=samples(0), steps=1)
    assert "model fake" in str(caught.value)


def test_changed_folder_is_refused(make_folder: MakeFolder, samples: Callable[..., Path]) -> None:
    folder = make_folder(classes=0)
    (folder / "port" / "main.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(ModelError, match="was changed after it was compiled"):
        simulate(folder, data=samples(0), steps=1)


def test_json(make_folder: MakeFolder, samples: Callable[..., Path]) -> None:
    result = simulate(make_folder(classes=0), data=samples(0), eval=samples(0), steps=3)
    figures = json.loads(result.to_json())
    assert set(figures) >= {
        "steps",
        "loss_first",
        "loss_last",
        "accuracy_before",
        "accuracy_after",
        "weights_sha256",
        "instructions_per_step",
        "ram_bytes",
        "flash_bytes",
    }
    assert figures["steps"] == 3 and figures["ram_bytes"] == 5000
    assert figures["mse_before"] == result.mse_before
    diverged = dataclasses.replace(result, loss_last=float("inf"))
    assert json.loads(diverged.to_json())["loss_last"] is None


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(1, 0.0, 0.0), (2, 0.0, 1.0), (5, 0.5, 3.5), (101, 24.5, 75.5), (200, 24.5, 174.5)],
)
def test_window_of_the_mean_loss(
    make_folder: MakeFolder,
    samples: Callable[..., Path],
    count: int,
    first: float,
    last: float,
) -> None:
    folder = open_folder(make_folder(classes=0))
    plan = plan_session(folder, data=samples(0), steps=count)
    losses = np.arange(count, dtype=np.float32)
    counts = (10**9, *range(count - 1))
    outcome = RawOutcome(losses, (), Evaluation(), Evaluation(), b"", step_instructions=counts)
    result = summarize(folder, plan, outcome, on="host")
    assert (result.loss_first, result.loss_last) == (first, last)
    assert result.instructions_per_step == (None if count < 2 else round((count - 2) / 2))


def test_data_that_is_scaled_otherwise_is_told_before_the_session(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    x = np.random.default_rng(5).normal(size=(60, INPUT_SIZE)).astype(np.float32)
    folder = make_folder(classes=0)
    spec = open_folder(folder).spec
    assert spec.scale is not None
    x *= 30 * spec.scale
    for name, factor in (("same", 1.0), ("large", 255.0), ("small", 1e-6)):
        np.savez(tmp_path / f"{name}.npz", x=x * np.float32(factor), y=x[:, :OUTPUT_SIZE])
    said: list[str] = []
    result = simulate(
        folder,
        data=tmp_path / "large.npz",
        eval=tmp_path / "small.npz",
        steps=2,
        warn=said.append,
        progress=lambda *call: said.append("progress") if said[-1:] != ["progress"] else None,
    )
    assert said == [*result.warnings, "progress"] and len(result.warnings) == 2
    assert "of large.npz lie outside the range that the model was calibrated for" in said[0]
    assert "of small.npz take a single one of the 256 steps of the range" in said[1]
    figures = json.loads(result.to_json())
    assert figures["warnings"] == said[:2]
    assert figures["clipped_inputs"] == result.clipped_inputs > 0.95
    assert figures["clipped_eval_inputs"] == 0.0
    well = simulate(folder, data=tmp_path / "same.npz", steps=2)
    assert well.warnings == () and well.clipped_eval_inputs is None

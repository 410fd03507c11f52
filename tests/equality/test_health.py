"""Health counters: the same everywhere, and each kind of trouble, planted, is counted."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.sessions import assert_equal, make_stream, opened, reference_engine, run
from tests.support.stems import random_stem
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.data import quantize_input
from tinytrain.passes.base import Runner
from tinytrain.reference.health import HEALTH_STEPS, InputHealth
from tinytrain.reference.machine import Scale
from tinytrain.simulation.health import HealthReport, health_report
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.protocol import STATUS
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target

STEPS = HEALTH_STEPS + 2
"""The first step and one more are looked at."""

CORES = ("mps2-an500", "mps3-an547")
"""With DSP instructions, and with MVE."""


def compiled_step(**options: object) -> Compiled:
    given = Options(scheme="full", seed=11, **options)  # type: ignore[arg-type]
    return build_step(GRAPHS["signal"](), given, Runner())


def written(compiled: Compiled, folder: Path, target: str) -> Product:
    return write_folder(compiled, folder / "model", target=load_target(target))


def counted(
    compiled: Compiled, folder: Path, rate: float, *, cores: tuple[str, ...] = ()
) -> HealthReport:
    """What reference, host and emulated cores agree on; the folder is built for the first core."""
    product = written(compiled, folder, cores[0] if cores else "host")
    generated = opened(product)
    stream = replace(make_stream(generated, folder / "data.npz", STEPS), learning_rate=rate)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None and wanted.health is not None
    state = wanted.saved[len(wanted.weights) :]
    cores_of = [QemuEngine(generated, target=load_target(core)) for core in cores]
    for engine in (HostEngine(generated, optimise="-O1"), *cores_of):
        assert_equal(run(engine, stream), wanted, state)
    report = health_report(
        product.manifest.health,
        wanted.health,
        rule=product.manifest.rounding,
        fraction_bits=product.manifest.fraction_bits,
    )
    assert report is not None and report.steps == STEPS and report.skipped == 0
    return report


def test_updates_lost_to_nearest_rounding(tmp_path: Path) -> None:
    report = counted(compiled_step(update="nearest"), tmp_path, 2.0**-60, cores=CORES)
    assert all(update.lost == update.seen > 0 for update in report.updates)
    # Random inputs reach nearly every weight, and there were two looks.
    assert sum(update.seen for update in report.updates) > sum(u.elements for u in report.updates)
    # Nothing is learned, so that some classes are never predicted.
    sentence, *_ = report.advice
    assert all("been predicted less than" in other for other in report.advice[1:])
    assert "are lost to rounding: use stochastic rounding or more fraction bits" in sentence


def test_a_velocity_is_finer_than_what_it_moves(tmp_path: Path) -> None:
    rate = 2.0**-10
    for name in ("plain", "velocity"):
        (tmp_path / name).mkdir()
    plain = counted(compiled_step(update="nearest", fraction_bits=0), tmp_path / "plain", rate)
    velocity = compiled_step(update="nearest", fraction_bits=0, momentum=0.5, accumulate=4)
    finer = counted(velocity, tmp_path / "velocity", rate)
    assert [u.elements for u in finer.updates] == [u.elements for u in plain.updates]
    assert sum(u.lost for u in finer.updates) < sum(u.lost for u in plain.updates)


def test_weights_at_the_end_of_their_range(tmp_path: Path) -> None:
    report = counted(compiled_step(rate_limit=1024.0), tmp_path, 64.0, cores=CORES)
    crowded = report.crowded()
    assert crowded and all(update.at_end > update.elements / 8 for update in crowded)
    assert any("the end of their range: use a smaller learning rate" in s for s in report.advice)


def test_scales_that_are_too_fine_and_too_coarse(tmp_path: Path) -> None:
    compiled = compiled_step()

    def shifted(places: int) -> HealthReport:
        scales = {
            name: Scale(scale.exponent + places, scale.running_max)
            for name, scale in compiled.scales.items()
        }
        folder = tmp_path / str(places)
        folder.mkdir()
        return counted(replace(compiled, scales=scales), folder, 2.0**-10)

    # One that is too fine is put right by the step that it cuts, one that is too coarse by decay.
    assert all(found.saturated > 0 and found.rises > 0 for found in shifted(-4).gradients)
    assert all(found.saturated == 0 and found.falls > 0 for found in shifted(4).gradients)


def test_without_health_the_same_is_learned_in_less_memory(tmp_path: Path) -> None:
    products = [
        written(compiled_step(health=health), tmp_path / str(health), "mps2-an500")
        for health in (True, False)
    ]
    with_health, without = products
    assert with_health.compiled.graph.parameters.keys() == without.compiled.graph.parameters.keys()
    names = with_health.manifest.health
    assert names is not None and without.manifest.health is None
    classes = with_health.manifest.output.classes
    assert names.classes == classes > 0
    counters = 8 + 8 + 8 * len(names.gradients) + 8 * len(names.updates) + 8 * classes
    extra = with_health.memory.ram["other state"] - without.memory.ram["other state"]
    assert counters <= extra < counters + 8  # the arena begins at a multiple of 8
    stream = make_stream(opened(without), tmp_path / "data.npz", 3)
    found = [run(HostEngine(opened(product), optimise="-O1"), stream) for product in products]
    assert found[1].health is None and found[0].health is not None
    assert found[0].saved == found[1].saved
    header = (without.directory / "src" / "model_signal.h").read_text()
    assert "health" not in header.replace("tt_health", "")
    assert np.array_equal(found[0].losses, found[1].losses)


class CHealth(ctypes.Structure):
    """tt_health."""

    _fields_ = (
        ("steps", ctypes.c_uint32),
        ("skipped", ctypes.c_uint32),
        ("gradients", ctypes.c_void_p),
        ("updates", ctypes.c_void_p),
        ("seen", ctypes.c_uint32),
        ("clipped", ctypes.c_uint32),
    )


@pytest.mark.parametrize("feed", ["whole", "rows"])
def test_inputs_that_are_clipped_are_counted(feed: str, tmp_path: Path) -> None:
    graph = random_stem(5)
    compiled = build_step(graph, Options(scheme="head", feed=feed), Runner())
    product = written(compiled, tmp_path, "host")
    model, spec = product.manifest.interface, opened(product).spec
    library = ctypes.CDLL(str(build_library(product.directory, model, tmp_path)))
    state = (ctypes.c_uint64 * (library[f"{model.name}_library_size"]() // 8 + 1))()
    library[f"{model.name}_init"](state)

    def health() -> CHealth:
        found = CHealth()
        library[f"{model.name}_health"](state, ctypes.byref(found))
        return found

    assert spec.scale is not None and (health().seen, health().clipped) == (0, 0)
    wanted, rng = InputHealth(), np.random.default_rng(0)
    for factor in (1.0, 30.0, 1000.0):
        x = (rng.normal(size=spec.shape) * factor).astype(np.float32)
        x.flat[:3] = np.nan, np.inf, -np.inf
        data = x.ctypes.data_as(ctypes.c_void_p)
        if feed == "rows":
            rows = spec.shape[1]
            assert library[f"{model.name}_feed_real_rows"](state, data, rows) == 0
            assert library[f"{model.name}_feed_real_rows"](state, data, 1) == STATUS.index(
                "TT_ERROR_ROWS"
            )
            library[f"{model.name}_feed_restart"](state)
        else:
            library[f"{model.name}_quantize_input"](state, data)
        wanted.count(x, spec.scale, spec.zero_point)
        assert (health().seen, health().clipped) == (wanted.seen, wanted.clipped)
    assert 9 < wanted.clipped < wanted.seen
    library[f"{model.name}_health_reset"](state)
    assert (health().seen, health().clipped) == (0, 0)


def test_real_rows_give_the_sample_that_s8_rows_give(tmp_path: Path) -> None:
    """The prediction and output of a sample fed as reals are those of its integers."""
    compiled = build_step(random_stem(5), Options(scheme="head", feed="rows"), Runner())
    product = written(compiled, tmp_path, "host")
    model, spec = product.manifest.interface, opened(product).spec
    library = ctypes.CDLL(str(build_library(product.directory, model, tmp_path)))
    state = (ctypes.c_uint64 * (library[f"{model.name}_library_size"]() // 8 + 1))()
    library[f"{model.name}_init"](state)
    assert spec.scale is not None
    x = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    outputs = []
    for given, name in (
        (quantize_input(x, spec.scale, spec.zero_point), "feed_rows"),
        (x, "feed_real_rows"),
    ):
        data = given.ctypes.data_as(ctypes.c_void_p)
        assert library[f"{model.name}_{name}"](state, data, spec.shape[1]) == 0
        output = np.zeros(spec.output_size, np.float32)
        place = output.ctypes.data_as(ctypes.c_void_p)
        assert library[f"{model.name}_infer"](state, place, None) == 0
        outputs.append(output)
    assert np.any(outputs[0]) and np.array_equal(outputs[0], outputs[1])

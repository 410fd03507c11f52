"""K is what a step does to the outputs, by the rule that the device follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.chosen_rate import enforced_limit, initial_rate, option_warnings
from tinytrain.compiler.guidance import Guidance, guide
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, select_trainable
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine, run_forward
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.tangent import Tangent

CLASSES = 5


def sample_of(name: str) -> np.ndarray:
    shape = GRAPHS[name]().inputs[0].type.shape
    return np.random.default_rng(5).integers(-100, 101, shape).astype(np.int8)


def selected(name: str, scheme: str) -> Graph:
    graph, _ = select_trainable(
        GRAPHS[name](), Options(scheme=scheme, classes=CLASSES, fraction_bits=8), Runner()
    )
    return graph


@pytest.mark.parametrize(
    ("name", "scheme", "error"),
    [("convolutions", "head", 0.03), ("signal", "head", 0.03), ("signal", "full", 0.25)],
)
def test_a_step_moves_the_outputs_along_their_error_by_rate_k(
    name: str, scheme: str, error: float
) -> None:
    """Of a head exactly; of layers before it up to the rounding of the activations between."""
    sample = sample_of(name)
    kernel = guide(selected(name, scheme), "cross_entropy", sample, 0).kernel
    compiled = build_step(
        GRAPHS[name](),
        Options(scheme, CLASSES, learning_rate=0.2 / kernel, gradient="f32", fraction_bits=8),
        Runner(),
        sample,
    )
    graph = compiled.graph
    (slope,) = (node.outputs[1] for node in graph.nodes if graph.outputs[0] in node.outputs)
    machine = Machine(graph, rate=compiled.rate)
    inputs = {"x": sample, "label": np.array([0], np.int32)}
    before, after = machine.run(inputs), machine.run(inputs)
    e = before[slope].astype(np.float64).ravel()
    change = (after[graph.outputs[1]] - before[graph.outputs[1]]).astype(np.float64).ravel()
    assert -(change @ e) / (e @ e) == pytest.approx(0.2, rel=error)


@pytest.mark.parametrize("name", ["convolutions", "signal"])
def test_k_of_a_head_is_the_norm_of_what_it_reads(name: str) -> None:
    graph, sample = selected(name, "head"), sample_of(name)
    head = next(node for node in reversed(graph.nodes) if node.op == "conv2d")
    x, w, _ = head.inputs
    known = run_forward(graph, {"x": sample})[x].astype(np.float64)
    read = scale_of(x) * (known - zero_of(x))
    assert w.type.quantization is not None
    unit = w.type.quantization.scale[0]

    def kernel(**options: object) -> float:
        return guide(graph, "cross_entropy", sample, 0, **options).kernel  # type: ignore[arg-type]

    squares = float(np.sum(read**2))
    assert kernel() == pytest.approx(squares + 1.0, rel=1e-4)
    assert kernel(rates={head.layer: 0.25}) == pytest.approx(0.25 * (squares + 1.0), rel=1e-4)
    # Without QAS the integers take the step: weights are short of unit², biases of (s_x·unit)².
    unscaled = unit**2 * (squares + scale_of(x) ** 2)
    assert kernel(qas=False) == pytest.approx(unscaled, rel=1e-4)


def test_momentum_shortens_the_suggestion_by_as_much_as_it_prolongs_steps() -> None:
    graph, sample = selected("signal", "head"), sample_of("signal")
    plain = guide(graph, "cross_entropy", sample, 0)
    rolling = guide(graph, "cross_entropy", sample, 0, momentum=0.9)
    assert plain.suggested is not None and rolling.suggested is not None
    assert rolling.suggested == pytest.approx(0.1 * plain.suggested, rel=0.06)


def test_the_curvature_of_a_squared_error_counts() -> None:
    graph, sample = selected("signal", "head"), sample_of("signal")
    guidance = guide(graph, "mean_squared_error", sample, 0)
    assert guidance.curvature == 2.0 / CLASSES
    assert guidance.suggested is not None
    wanted = 0.5 / (guidance.kernel * guidance.curvature)
    assert guidance.suggested == pytest.approx(wanted, rel=0.05)


def test_share_of_the_gradient_in_updates_below_half_a_unit() -> None:
    """Bins are a quarter of an octave wide, so that the edges here fall between them."""
    energy = np.zeros(1024)
    energy[4 * 128] = 3.0  # moves of 1 to 1.19 units at rate 1
    energy[4 * (128 + 6)] = 1.0  # of 64
    tangent = Tangent({"head": np.ones(1)}, energy, 1.0, 1)
    assert tangent.lost(1.0, 0) == 0.0
    assert tangent.lost(0.1, 0) == 0.75
    assert tangent.lost(0.1, 4) == 0.0
    assert tangent.lost(0.001, 0) == 1.0
    assert tangent.lost(0.001, 4) == 0.75


def test_the_limit_that_is_enforced() -> None:
    samples = Guidance(Tangent({"head": np.full(7, 40.0)}, np.zeros(1024), 1.0, 7), 0.5, "samples")
    assert (samples.suggested, samples.limit) == (0.025, 0.1)
    assert enforced_limit(Options(), samples) == 0.1
    # One that was chosen stays possible; a guess may be four times too low.
    assert enforced_limit(Options(learning_rate=0.3), samples) == 0.3
    assert enforced_limit(Options(rate_limit=0.01), samples) == 0.01
    assert initial_rate(Options(rate_limit=0.01), samples) == 0.01
    assert enforced_limit(Options(), replace(samples, source="noise")) == 0.4
    with pytest.raises(UsageError, match=r"learning_rate=0\.3 is above rate_limit=0\.2"):
        Options(learning_rate=0.3, rate_limit=0.2)


def test_a_scheme_asks_for_a_multiple_of_the_suggestion() -> None:
    """What it asks for is the limit then: no warning of what was tried."""
    plain = Guidance(Tangent({"head": np.full(7, 40.0)}, np.zeros(1024), 1.0, 7), 0.5, "samples")
    twice, ten = (replace(plain, factor=factor) for factor in (2.0, 10.0))
    assert (twice.suggested, twice.limit, twice.share) == (0.05, 0.1, 1.0)
    assert (ten.suggested, ten.limit) == (0.25, 0.25)
    assert enforced_limit(Options(), ten) == 0.25
    assert ten.warnings(0.25, "nearest", 4) == ()
    assert "0.26 is above 0.25" in ten.warnings(0.26, "nearest", 4)[0]
    assert initial_rate(Options(learning_rate=0.01), ten) == 0.01
    # The cap on a network that has not learned is of the suggestion, and momentum is still in it.
    assert replace(twice, largest=0.01).suggested == 0.02
    assert replace(twice, momentum=0.5).suggested == 0.025
    assert (replace(twice, is_adam=True).suggested, replace(ten, is_adam=True).suggested) == (
        0.006,
        0.03,
    )
    nothing = replace(twice, tangent=Tangent({"head": np.zeros(0)}, np.zeros(1024), 0.0, 0))
    assert nothing.suggested is None and nothing.limit is None


def test_nothing_to_measure_is_no_suggestion() -> None:
    nothing = Guidance(Tangent({"head": np.zeros(0)}, np.zeros(1024), 0.0, 0), 0.5, "noise")
    assert nothing.suggested is None and nothing.limit is None
    assert nothing.warnings(0.5, "nearest", 0) == ()
    assert initial_rate(Options(learning_rate=0.5), nothing) == 0.5
    assert option_warnings(Options(learning_rate=0.5), nothing) == ()
    assert initial_rate(Options(), nothing) == 0.003
    assert enforced_limit(Options(), nothing) == 1024.0
    assert initial_rate(Options(rate_limit=0.001), nothing) == 0.001
    assert enforced_limit(Options(rate_limit=0.001), nothing) == 0.001
    assert option_warnings(Options(), nothing) == (
        "no learning rate can be suggested, as the loss of every sample has no gradient: it is "
        "0.003; give --learning-rate, or --calibration with samples of the model's own kind",
    )

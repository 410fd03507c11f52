"""Gradients of the emitted graph against PyTorch in double precision; planted mistakes show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, SOME_WEIGHTS, shared_weights, steep_curves
from tests.support.mirror import F32_ERROR, SLOPE_ERROR, Mirror, prepared
from tests.support.two_inputs import two_inputs
from tinytrain.autodiff import derivatives
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import stored_in
from tinytrain.ir.types import DType
from tinytrain.passes.base import Runner
from tinytrain.reference import convolution, elementwise, gradients, update
from tinytrain.reference.interpret import Machine


def run_step(
    compiled: Compiled, seed: int, warm: int = 0
) -> tuple[dict[Value, np.ndarray], Mapping[Value, np.ndarray]]:
    """Real gradients of all trained tensors in a step at learning rate 0, and all its values."""
    sums: dict[Value, np.ndarray] = {}
    roots = stored_in(compiled.graph)

    def add(value: Value, found: np.ndarray) -> None:
        # Of what layers share each applies a part.
        root = roots.get(value, value)
        sums[root] = sums.get(root, 0.0) + found

    machine = Machine(compiled.graph, rate=0.0)
    for key, scale in compiled.scales.items():
        machine.scales[key] = replace(scale)

    def observe(node: Node, known: Mapping[Value, np.ndarray]) -> None:
        if node.op == "conv2d_grad_weight_sgd":
            x, g, w = node.inputs[:3]
            geometry = {k: node.attrs[k] for k in ("strides", "padding", "dilation", "groups")}
            zero = x.type.quantization.zero_point
            raw = convolution.conv2d_grad_weight(
                known[x], known[g], zero, node.attrs["kernel"], **geometry
            )
            add(w, raw * node.attrs["input_scale"] * _unit(machine, g))
        elif node.op == "bias_grad_sgd":
            g, b = node.inputs
            add(b, convolution.bias_grad(known[g]) * _unit(machine, g))

    inputs = _inputs(compiled.graph, seed)
    for _ in range(warm):
        machine.run(inputs)
    sums.clear()
    machine._observer = observe
    known = machine.run(inputs)
    return sums, known


def _unit(machine: Machine, g: Value) -> float:
    if g.type.dtype is DType.F32:
        return 1.0
    return 2.0 ** (machine.exponent(g) + machine.step.normaliser)


def _inputs(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = graph.target
    assert target is not None
    wanted = np.array([seed % graph.outputs[1].type.size], np.int32)
    if target.type.dtype is DType.F32:
        wanted = rng.normal(size=target.type.shape).astype(np.float32)
    given = {x.name: rng.integers(-100, 101, x.type.shape).astype(np.int8) for x in graph.sample}
    return {**given, target.name: wanted}


def worst_error(found: Mapping[Value, np.ndarray], wanted: Mapping[Value, np.ndarray]) -> float:
    """Largest error of a tensor's gradient, relative to the gradient's norm."""
    assert set(found) == set(wanted)
    return max(
        float(np.linalg.norm(found[v] - wanted[v]) / max(np.linalg.norm(wanted[v]), 1e-9))
        for v in wanted
    )


def compare_f32(name: str, **options: object) -> float:
    return worst_of_steps(prepared(name, gradient="f32", **options), 3)


def worst_of_steps(compiled: Compiled, seeds: int) -> float:
    """The worst error of steps on so many inputs, against autograd."""
    errors = []
    for seed in range(seeds):
        found, known = run_step(compiled, seed)
        errors.append(worst_error(found, Mirror(compiled.graph, known).gradients()))
    return max(errors)


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("scheme", ["full", "bias", "head", "last-2"])
@pytest.mark.parametrize("name", GRAPHS)
def test_f32_gradients_equal_autograd(name: str, scheme: str, loss: str) -> None:
    bound = SLOPE_ERROR if name == "mixture" else F32_ERROR
    assert compare_f32(name, scheme=scheme, loss=loss) < bound


@pytest.mark.parametrize("scheme", ["full", "bias", "head", "last-1", "part"])
def test_f32_gradients_of_shared_weights_are_the_sum(scheme: str, tmp_path: Path) -> None:
    if scheme == "part":
        (tmp_path / "part.toml").write_text("biases = 1\n[weights]\nconv_1 = 0.5\n")
        scheme = str(tmp_path / "part.toml")
    options = Options(gradient="f32", fraction_bits=0, scheme=scheme)
    assert worst_of_steps(build_step(shared_weights(), options, Runner()), 2) < F32_ERROR


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "huber"])
def test_f32_gradients_of_other_losses_equal_autograd(loss: str) -> None:
    assert compare_f32("signal", loss=loss) < F32_ERROR


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_f32_gradients_of_expressions_and_steep_curves(loss: str) -> None:
    options = Options(gradient="f32", fraction_bits=0, loss=loss)
    assert worst_of_steps(build_step(steep_curves(), options, Runner()), 2) < SLOPE_ERROR


@pytest.mark.parametrize("scheme", ["full", "last-2"])
def test_f32_gradients_behind_two_inputs_equal_autograd(scheme: str) -> None:
    options = Options(gradient="f32", fraction_bits=0, scheme=scheme)
    assert worst_of_steps(build_step(two_inputs(), options, Runner()), 2) < F32_ERROR


def test_f32_gradients_of_chosen_channels_equal_autograd(tmp_path) -> None:
    scheme = tmp_path / "some.toml"
    scheme.write_text("biases = 2\n" + SOME_WEIGHTS)
    assert compare_f32("convolutions", scheme=str(scheme)) < F32_ERROR


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_f32_gradients_of_smoothed_labels_equal_autograd(smoothing: float) -> None:
    assert compare_f32("signal", label_smoothing=smoothing) < F32_ERROR


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_f32_gradients_of_weighted_classes_equal_autograd(smoothing: float) -> None:
    options = {"class_weights": "0.5,2,0.25,4", "label_smoothing": smoothing}
    assert compare_f32("signal", **options) < F32_ERROR


def test_f32_gradients_of_weighted_positives_equal_autograd() -> None:
    options = {"class_weights": "0.5,2,0.25,4", "loss": "binary_cross_entropy"}
    assert compare_f32("signal", **options) < F32_ERROR


def test_fresh_head() -> None:
    assert compare_f32("signal", classes=7) < F32_ERROR


@pytest.mark.parametrize(("gradient", "bound"), [("s8", 0.2), ("s16", 2e-3)])
@pytest.mark.parametrize("name", GRAPHS)
def test_integer_gradients_stay_near_f32(name: str, gradient: str, bound: float) -> None:
    """Each rounding errs by at most half a unit.

    The largest entry has 64 to 127 units (s8) or 2^14 to 2^15 (s16), and at most ten
    roundings lie in a row. The worst of s8 are biases of first layers, sums in which large entries
    cancel.
    """
    real = prepared(name, gradient="f32")
    integer = prepared(name, gradient=gradient)
    for seed in range(3):
        wanted, _ = run_step(real, seed)
        found, _ = run_step(integer, seed, warm=60)
        by_name = {value.name: data for value, data in wanted.items()}
        for value, data in found.items():
            error = np.linalg.norm(data - by_name[value.name])
            assert error <= bound * np.linalg.norm(by_name[value.name]) + 1e-9, (value.name, seed)


def test_branches_are_rounded_without_bias() -> None:
    """Halving a sum of integers is all ties: rounded up, they shift the mean by a quarter unit."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-20, 21, 10_000).astype(np.int8) for _ in range(2))
    sums, exponent = elementwise.grad_add(a, b, 0, 0)
    halved, _ = gradients.rescale(sums, 8, exponent, 1, np.int8)
    error = halved - (a.astype(float) + b) / 2
    assert abs(error.mean()) < 0.02
    assert abs(error[error != 0]).max() == 0.5


def test_planted_dropped_branch_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_side(build, node, g, wanted):
        return {min(wanted): g}

    monkeypatch.setitem(derivatives.DERIVATIVES, "add", one_side)
    with pytest.raises((AssertionError, KeyError)):
        assert compare_f32("convolutions") < F32_ERROR


def test_planted_assigned_branch_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinytrain.autodiff.backward import Sweep

    monkeypatch.setattr(Sweep, "_branches", lambda self, node, a, b: b)
    with pytest.raises(AssertionError):
        assert compare_f32("convolutions") < F32_ERROR


def test_planted_missing_zero_point_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    true = convolution.conv2d_grad_weight
    monkeypatch.setattr(
        convolution,
        "conv2d_grad_weight",
        lambda x, g, zero, kernel, **geometry: true(x, g, 0, kernel, **geometry),
    )
    with pytest.raises(AssertionError):
        assert compare_f32("convolutions") < F32_ERROR


def _mean_update(rule: str, runs: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Mean change of the head's weights over many one-step runs, and what the gradient asks for."""
    compiled = prepared("signal", update=rule, scheme="head")
    head = next(v for v in compiled.graph.parameters if v.type.dtype is DType.S8)
    sums, _ = run_step(compiled, 1)
    rate = 2.0**-7
    scale = np.array(head.type.quantization.scales(head.type.shape[0])).reshape(-1, 1, 1, 1)
    wanted = -rate * sums[head] / scale
    total = np.zeros(head.type.shape)
    for run in range(runs):
        machine = Machine(compiled.graph, rate=rate, seed=run)
        for key, state in compiled.scales.items():
            machine.scales[key] = replace(state)
        machine.run(_inputs(compiled.graph, 1))
        total += machine.parameters[head].astype(float) - compiled.graph.parameters[head]
    return total / runs, wanted


def _bias_of_update(rule: str) -> float:
    found, wanted = _mean_update(rule)
    inside = np.abs(wanted) < 20
    return float(np.abs(np.mean((found - wanted)[inside] * np.sign(wanted[inside]))))


def test_stochastic_rounding_is_unbiased() -> None:
    assert _bias_of_update("stochastic") < 0.005


def test_planted_truncation_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    true = update.deltas

    def truncated(sums, multiplier, shift, step, exponent, q, r):
        up = true(sums, multiplier, shift, step, exponent, q, np.zeros_like(r))
        down = -true(-sums, multiplier, shift, step, exponent, q, np.zeros_like(r))
        return np.where(sums >= 0, up, down)

    monkeypatch.setattr(update, "deltas", truncated)
    assert _bias_of_update("stochastic") > 0.02

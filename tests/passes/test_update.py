"""`update`: which nodes apply a gradient, to what, and with what constants."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.options import GRADIENTS, Options
from tinytrain.compiler.pipeline import selection, training
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType, TensorType
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.update import Update, UpdateRule
from tinytrain.scheme.scheme import Scheme, Share

SCHEME = Scheme("own", ("conv_2",), {"conv_2": Share(0.5)})
RULES = {
    "plain": UpdateRule(),
    "nearest": UpdateRule(Rounding.NEAREST, fraction_bits=0),
    "decay": UpdateRule(weight_decay=0.25, fraction_bits=8),
    "momentum": UpdateRule(momentum=0.5, fraction_bits=2),
    "accumulate": UpdateRule(accumulate=3),
    "clip": UpdateRule(clip_norm=2.0, weight_decay=0.5),
    "unscaled": UpdateRule(qas=False),
}


def before_update(rule: UpdateRule, gradient: str = "s8") -> Graph:
    """A graph as the pass gets it."""
    options = Options(fraction_bits=rule.fraction_bits, gradient=gradient)
    first = training(options, SCHEME)[0]
    assert first.name == "differentiate"
    return Runner().run(GRAPHS["signal"](), [*selection(options, SCHEME), first])


def updated(graph: Graph, rule: UpdateRule, **rates: float) -> Graph:
    found = Update(rule, rates)(graph)
    verify(found, "update")
    return found


def by_op(graph: Graph, *ops: str) -> list[Node]:
    return [node for node in graph.nodes if node.op in ops]


def in_order(graph: Graph) -> list[tuple[Value, Value]]:
    """Parameters and their gradients as the backward pass forms them."""
    places = {value: k for k, node in enumerate(graph.nodes) for value in node.outputs}
    pairs = ((parameter, total) for parameter, (total,) in graph.gradients.items())
    return sorted(pairs, key=lambda pair: places[pair[1]])


def test_only_these_make_gradients_wait() -> None:
    waiting = {name for name, rule in RULES.items() if rule.has_velocity}
    assert waiting == {"momentum", "accumulate", "clip"}
    assert not UpdateRule(accumulate=1).has_velocity and UpdateRule(accumulate=2).has_velocity


@pytest.mark.parametrize("name", RULES)
def test_each_gradient_is_applied_right_behind_it(name: str) -> None:
    rule = RULES[name]
    graph = before_update(rule)
    assert graph.gradients
    found = updated(graph, rule)
    nodes = list(found.nodes)
    old = list(graph.nodes)
    assert [node for node in nodes if node in old] == old
    for parameter, (total,) in graph.gradients.items():
        gradient = graph.producers()[total]
        update = nodes[nodes.index(gradient) + 1]
        is_bias = parameter.type.dtype is DType.S32
        assert update.op == ("sgd_bias" if is_bias else "sgd_weight")
        assert update.inputs[0] == total
        assert (update.layer, update.where) == (gradient.layer, gradient.where)
        assert update.attrs["exponent"] == total.type.exponent
        assert update.attrs["rule"] == rule.rounding
        conv = next(n for n in by_op(graph, "conv2d") if n.layer == gradient.layer)
        assert update.attrs["input_scale"] == conv.inputs[0].type.quantization.scale[0]
        assert update.attrs.get("unscaled", False) is not rule.qas
        assert [v.type for v in update.outputs] == [v.type for v in update.inputs[1:]]
        has_fraction = rule.fraction_bits and not is_bias
        trained = [parameter, *([found.fractions[parameter]] if has_fraction else [])]
        if not rule.has_velocity:
            assert list(update.inputs[1:]) == trained
            assert update.attrs["fraction_bits"] == (0 if is_bias else rule.fraction_bits)
            assert update.attrs["resolution"] == update.attrs["fraction_bits"]
        else:
            assert update.attrs["fraction_bits"] == (0 if is_bias else 4)
            assert update.attrs["resolution"] == 8
    assert found.gradients == {} and found.outputs == graph.outputs[:2]
    assert found.accumulate == rule.accumulate


@pytest.mark.parametrize("name", RULES)
def test_every_parameter_is_updated_by_the_last_node_that_writes_it(name: str) -> None:
    graph = updated(before_update(RULES[name]), RULES[name])
    assert set(graph.updates) == set(graph.parameters)
    last = {}
    for node in by_op(graph, "sgd_weight", "sgd_bias", "apply_weight", "apply_bias"):
        for before, after in zip(node.inputs[-len(node.outputs) :], node.outputs, strict=True):
            root = next((p for p, value in last.items() if value == before), before)
            last[root] = after
    assert dict(graph.updates) == last


@pytest.mark.parametrize("name", ["momentum", "accumulate", "clip"])
def test_a_velocity_stands_beside_each_trained_tensor(name: str) -> None:
    rule = RULES[name]
    before = before_update(rule)
    graph = updated(before, rule)
    assert len(graph.parameters) > len(before.parameters)
    nodes = {node.inputs[0]: node for node in by_op(graph, "sgd_weight", "sgd_bias")}
    for parameter, (total,) in before.gradients.items():
        velocity, *below = nodes[total].inputs[1:]
        assert velocity.type == parameter.type and velocity not in before.parameters
        if parameter.type.dtype is DType.S32:
            assert not below
            continue
        (fraction,) = below
        assert fraction.type == TensorType(((parameter.type.size + 1) // 2,), DType.U8)
    for value in set(graph.parameters) - set(before.parameters):
        assert not graph.parameters[value].any()
        assert graph.parameters[value].shape == value.type.shape


@pytest.mark.parametrize("name", ["decay", "momentum", "accumulate", "clip"])
def test_what_waits_is_applied_at_the_end(name: str) -> None:
    rule = RULES[name]
    before = before_update(rule)
    graph = updated(before, rule)
    tail = graph.nodes[len(before.nodes) + len(before.gradients) :]
    velocities = {}
    for parameter, total in in_order(before):
        update = next(n for n in by_op(graph, "sgd_weight", "sgd_bias") if n.inputs[0] == total)
        velocities[parameter] = update.outputs
    if rule.clip_norm is not None:
        clip, *tail = tail
        assert clip.op == "clip_factor" and clip.attrs == {"limit": rule.clip_norm}
        assert clip.inputs == tuple(v for outputs in velocities.values() for v in outputs)
        assert clip.output.type == TensorType((1,), DType.S32)
        assert clip.layer == by_op(graph, "sgd_weight", "sgd_bias")[-1].layer
    biases = [p for p in before.gradients if p.type.dtype is DType.S32]
    applied = [p for p in velocities if rule.has_velocity or p not in biases]
    assert len(tail) == len(applied)
    for node, parameter in zip(tail, applied, strict=True):
        is_bias = parameter in biases
        assert node.op == ("apply_bias" if is_bias else "apply_weight")
        wanted = {
            "rule": rule.rounding,
            "velocity": rule.has_velocity,
            "clip": rule.clip_norm is not None,
            "momentum": rule.momentum,
            "decay": 0.0 if is_bias else rule.weight_decay,
        }
        if not is_bias:
            wanted["fraction_bits"] = rule.fraction_bits
        assert node.attrs == wanted
        gradient = before.producers()[before.gradients[parameter][0]]
        assert (node.layer, node.where) == (gradient.layer, gradient.where)
        fraction = before.fractions.get(parameter)
        trained = (parameter, *([fraction] if fraction and not is_bias else []))
        inputs = trained + velocities[parameter] if rule.has_velocity else velocities[parameter]
        assert node.inputs[node.attrs["clip"] :] == inputs
        assert (node.inputs[0].name == "clip_factor") is node.attrs["clip"]


def test_without_velocity_and_decay_nothing_is_applied_at_the_end() -> None:
    for name in ("plain", "nearest", "unscaled"):
        graph = updated(before_update(RULES[name]), RULES[name])
        assert not by_op(graph, "apply_weight", "apply_bias", "clip_factor")


def test_a_layer_has_the_rate_that_the_scheme_gives_it() -> None:
    rule = RULES["plain"]
    graph = updated(before_update(rule), rule, conv_2=0.5, dense_0=1.0)
    rates = {
        (node.layer, node.op): node.attrs.get("layer_rate")
        for node in by_op(graph, "sgd_weight", "sgd_bias")
    }
    assert rates == {
        ("conv_2", "sgd_weight"): 0.5,
        ("conv_2", "sgd_bias"): 0.5,
        ("dense_0", "sgd_weight"): None,
        ("dense_0", "sgd_bias"): None,
    }


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_gradient_in_floats_has_no_exponent(gradient: str) -> None:
    rule = RULES["plain"]
    graph = updated(before_update(rule, gradient), rule)
    exponents = {node.attrs["exponent"] for node in by_op(graph, "sgd_weight", "sgd_bias")}
    assert ("" in exponents) is (gradient == "f32")
    assert (exponents == {""}) is (gradient == "f32")
    assert np.all([isinstance(e, str) for e in exponents])

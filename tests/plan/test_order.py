"""The order of nodes: least memory on small graphs, by brute force; the same bits in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from tests.support.graphs import GRAPHS, Net, at_scale
from tests.support.random_networks import OPTIONS, network
from tests.support.steps import inputs_of, plain_step, step_of
from tinytrain.compiler.compiled import Compiled
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import frozen_count, loss_index, role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.liveness import storages
from tinytrain.plan.order import OrderSearch
from tinytrain.plan.place import live_bytes
from tinytrain.plan.schedule import ScheduleNodes, fixed_pairs, movable

SEEDS = range(8)
SMALL = (0, 1, 7, 13, 19, 23)
"""Networks with a run of few valid orders."""


POINT = {"kernel": (1, 1), "padding": (0, 0, 0, 0)}


def pooled(net: Net, x: Value) -> Graph:
    """Ends a network with few inputs of its last layer, whose workspace would be the peak."""
    x = net.pool("avg_pool2d", x, x.type.shape[1:3], (1, 1), count_include_pad=False)
    return net.finish(net.dense(net.flat(x), 3))


def breadth_first() -> Graph:
    """Branches that widen and narrow again, written side by side as a careless exporter does."""
    net = Net((1, 8, 8, 2), 5, "breadth_first")
    x = net.conv(net.x, 3, clamp="relu")
    parts = [net.conv(x, 48, **POINT) for _ in range(3)]
    parts = [net.pool("avg_pool2d", p, (2, 2), (2, 2), count_include_pad=False) for p in parts]
    parts = [parts[0], *(at_scale(net, p, parts[0].type.quantization) for p in parts[1:])]
    joined = net.emit("concatenate", "concatenate", parts, (1, 4, 4, 144), scaled=False, axis=3)
    return pooled(net, joined)


def early_shortcut() -> Graph:
    """A wide shortcut, computed before a long branch through fewer channels and read after it."""
    net = Net((1, 8, 8, 2), 6, "early_shortcut")
    x = net.conv(net.x, 2, clamp="relu")
    shortcut = net.conv(x, 48, **POINT)
    y = net.conv(net.activation(net.conv(x, 96, **POINT), "relu6"), 2, **POINT)
    return pooled(net, net.add(net.conv(y, 48, **POINT), shortcut))


NAIVE = {"breadth_first": breadth_first, "early_shortcut": early_shortcut}


def plain_and_scheduled(graph: Graph, **options: object) -> tuple[Graph, Compiled]:
    """A training graph as it was before the schedule looked for orders, and what came of it."""
    plain: list[Graph] = []

    class Spy(ScheduleNodes):
        def __call__(self, graph: Graph) -> Graph:
            plain.append(self.plain(graph))
            return super().__call__(graph)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinytrain.compiler.pipeline.ScheduleNodes", Spy)
        compiled = step_of(graph, **options)
    return plain[0], compiled


def peak(graph: Graph, span: range, isa: str) -> int:
    return max(live_bytes(storages(graph, choose_kernels(graph, isa)), span))


def moved(graph: Graph, span: range, order: list[int]) -> Graph:
    nodes = list(graph.nodes)
    nodes[span.start : span.stop] = [graph.nodes[span.start + k] for k in order]
    return replace(graph, nodes=tuple(nodes))


def before(graph: Graph, span: range) -> list[set[int]]:
    """For each node of a run which others of it run earlier, whatever the order."""
    writer = {value: k for k, node in enumerate(graph.nodes) for value in node.outputs}
    found = [{writer[v] for v in graph.nodes[k].inputs if v in writer} for k in span]
    for a, b in fixed_pairs(graph):
        if b in span:
            found[b - span.start].add(a)
    return [{k - span.start for k in one if k in span} for one in found]


def orders(needs: list[set[int]]) -> Iterator[list[int]]:
    """All valid orders."""

    def grow(done: list[int]) -> Iterator[list[int]]:
        if len(done) == len(needs):
            yield list(done)
        for k, need in enumerate(needs):
            if k not in done and need.issubset(done):
                yield from grow([*done, k])

    return grow([])


def least(graph: Graph, span: range, isa: str) -> int:
    """The peak of the best of all valid orders."""
    return min(peak(moved(graph, span, o), span, isa) for o in orders(before(graph, span)))


def is_small(graph: Graph, span: range, most: int) -> bool:
    return sum(1 for _ in islice(orders(before(graph, span)), most + 1)) <= most


@pytest.mark.parametrize("name", NAIVE)
def test_branches_run_in_the_order_that_needs_least(name: str) -> None:
    plain = inference(plain_and_scheduled(NAIVE[name](), scheme="last-1")[0])
    span = range(0, len(plain.nodes))
    assert is_small(plain, span, 3000)
    naive, best = peak(plain, span, "portable"), least(plain, span, "portable")
    assert best < naive
    order = OrderSearch(plain, span, [], choose_kernels(plain)).better_order(naive)
    assert order is not None
    assert peak(moved(plain, span, order), span, "portable") == best


@pytest.mark.parametrize("name", NAIVE)
def test_branches_that_train_get_smaller(name: str) -> None:
    plain, compiled = plain_and_scheduled(NAIVE[name](), scheme="bias")
    whole = range(len(plain.nodes))
    for isa in ISAS:
        assert peak(compiled.graph, whole, isa) < peak(plain, whole, isa)


def inference(graph: Graph) -> Graph:
    nodes = tuple(n for n in graph.nodes[: loss_index(graph)] if role_of(n) is not Role.TRAINING)
    return replace(graph, nodes=nodes, updates={})


@pytest.mark.parametrize("seed", SMALL)
def test_no_order_of_a_small_run_needs_less(seed: int) -> None:
    plain, _ = plain_and_scheduled(network(seed), **OPTIONS[seed % len(OPTIONS)])
    tried = 0
    for span in movable(plain):
        if not is_small(plain, span, 600):
            continue
        tried += 1
        naive, best = peak(plain, span, "dsp"), least(plain, span, "dsp")
        choices = choose_kernels(plain, "dsp")
        search = OrderSearch(plain, span, fixed_pairs(plain), choices)
        assert search.floor() <= best
        order = search.better_order(naive)
        assert (naive if order is None else peak(moved(plain, span, order), span, "dsp")) == best
    assert tried


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_needs_no_more_anywhere_and_gives_the_same_bits(seed: int) -> None:
    plain, compiled = plain_and_scheduled(network(seed), **OPTIONS[seed % len(OPTIONS)])
    graph = compiled.graph
    whole = range(len(graph.nodes))
    assert sorted(n.name for n in graph.nodes) == sorted(n.name for n in plain.nodes)
    assert all(peak(graph, whole, isa) <= peak(plain, whole, isa) for isa in ISAS)
    # What the rest of the compiler relies on.
    loss, frozen = loss_index(graph), frozen_count(plain, plain.nodes[: loss_index(plain)])
    assert graph.nodes[:frozen] == plain.nodes[:frozen]
    assert graph.nodes[loss : loss + 2] == plain.nodes[loss : loss + 2]
    assert {n.name for n in graph.nodes[:loss]} == {n.name for n in plain.nodes[:loss]}
    for is_kept in (lambda n: traits_of(n).overwrites, lambda n: role_of(n) is Role.APPLY):
        names = [[n.name for n in g.nodes if is_kept(n)] for g in (graph, plain)]
        assert names[0] == names[1]
    applied = [role_of(n) is Role.APPLY for n in graph.nodes]
    assert applied == sorted(applied)
    # Rounding is stochastic: other draws would be other bits.
    inputs = inputs_of(graph)
    found, wanted = plain_step(compiled, inputs), plain_step(replace(compiled, graph=plain), inputs)
    assert found.weights_bytes() == wanted.weights_bytes()
    assert found.scales == wanted.scales


@pytest.mark.parametrize("name", GRAPHS)
def test_any_valid_order_gives_the_same_bits(name: str) -> None:
    plain, compiled = plain_and_scheduled(GRAPHS[name](), momentum=0.5)
    inputs, rng = inputs_of(plain), random.Random(3)
    wanted = plain_step(replace(compiled, graph=plain), inputs)
    for span in movable(plain):
        needs = before(plain, span)
        for _ in range(3):
            order: list[int] = []
            while len(order) < len(needs):
                ready = [k for k in range(len(needs)) if k not in order and needs[k] <= {*order}]
                order.append(rng.choice(ready))
            found = plain_step(replace(compiled, graph=moved(plain, span, order)), inputs)
            assert found.weights_bytes() == wanted.weights_bytes()
            assert found.scales == wanted.scales

"""`fuse_updates`: a sum that only its update reads is never stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import selection, training
from tinytrain.ir.graph import Graph
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.fuse_updates import FuseUpdates
from tinytrain.scheme.scheme import Scheme, Share

SCHEMES = {
    "convolutions": Scheme("half", ("conv_3",), {"conv_3": Share(0.5), "conv_4": Share(0.25)}),
    "mixture": Scheme("two", ("conv_2",), {"conv_2": Share()}),
    "signal": Scheme("head"),
    "differences": Scheme("head"),
    "layouts": Scheme("one", ("conv_1",), {"conv_1": Share()}),
    "embedding": Scheme("one", ("conv_1",), {"conv_1": Share()}),
}


def before_fusing(graph: Graph, scheme: Scheme, **options: object) -> Graph:
    """A graph as the pass gets it."""
    chosen = Options(**options)  # type: ignore[arg-type]
    first = training(chosen, scheme)[:2]
    assert [step.name for step in first] == ["differentiate", "update"]
    return Runner().run(graph, [*selection(chosen, scheme), *first])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_sum_is_formed_and_applied_in_one_node(name: str, momentum: float) -> None:
    graph = before_fusing(GRAPHS[name](), SCHEMES[name], momentum=momentum)
    fused = FuseUpdates()(graph)
    verify(fused, "fuse_updates")
    old = {node.name: node for node in graph.nodes}
    forms = {"conv2d_grad_weight": "sgd_weight", "bias_grad": "sgd_bias"}
    assert not any(node.op in {*forms, *forms.values()} for node in fused.nodes)
    for node in fused.nodes:
        if not node.op.endswith("_sgd"):
            assert node is old[node.name]
            continue
        update = old[node.name]
        gradient = graph.producers()[update.inputs[0]]
        assert node.op == f"{gradient.op}_sgd" and forms[gradient.op] == update.op
        assert node.inputs == (*gradient.inputs, *update.inputs[1:])
        assert node.outputs == update.outputs
        assert node.attrs == {**gradient.attrs, **update.attrs}
    left = [node.name for node in graph.nodes if node.op not in forms]
    assert [node.name for node in fused.nodes] == left, "at the place of the update"


def test_a_sum_that_something_else_reads_stays() -> None:
    graph = before_fusing(GRAPHS["signal"](), Scheme("head"))
    sums = [node for node in graph.nodes if node.op in ("conv2d_grad_weight", "bias_grad")]
    assert len(sums) == 2
    as_output = replace(graph, outputs=(*graph.outputs, sums[0].output))
    flat = replace(
        sums[1],
        op="reshape",
        inputs=(sums[1].output,),
        outputs=(replace(sums[1].output, name="flat"),),
        attrs={},
        name="reader",
    )
    fused = FuseUpdates()(replace(as_output, nodes=(*graph.nodes, flat)))
    verify(fused, "fuse_updates")
    assert {sums[0].name, sums[1].name} <= {node.name for node in fused.nodes}

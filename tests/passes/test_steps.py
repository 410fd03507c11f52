"""What the passes of a training step promise together."""

from __future__ import annotations

from tests.support.graphs import GRAPHS
from tests.support.steps import step_of


def test_each_update_comes_before_the_next_gradient() -> None:
    """No sum waits: an update follows its gradient and the last reader of its weights."""
    nodes = step_of(GRAPHS["signal"](), scheme="full").graph.nodes
    order = [node.op for node in nodes if node.layer == "conv_2"]
    assert (
        order.index("bias_grad_sgd")
        < order.index("conv2d_grad_input")
        < order.index("conv2d_grad_weight_sgd")
    )
    position = {node.name: k for k, node in enumerate(nodes)}
    following = next(n for n in nodes if n.layer == "conv_1" and n.op == "conv2d_grad_input")
    update = next(n for n in nodes if n.layer == "conv_2" and n.op == "conv2d_grad_weight_sgd")
    assert position[update.name] < position[following.name]

"""The part of a training step that infers: what a device runs that takes what another one learned.

It has the parameters of the whole, and the hash of the whole, so that the saved files of one are
those of the other.
"""

from __future__ import annotations

from dataclasses import replace

from tinytrain.ir.graph import Graph, needed_for
from tinytrain.ir.operations import loss_index


def inferring(graph: Graph) -> Graph:
    """The nodes up to the loss, without what only the backward pass reads.

    Args:
        graph: a training step.
    """
    loss = graph.nodes[loss_index(graph)]
    outputs = (loss.outputs[0], loss.inputs[0])
    nodes, live = needed_for(graph, outputs)
    return replace(
        graph,
        nodes=nodes,
        outputs=outputs,
        updates={},
        gradients={},
        constants={value: data for value, data in graph.constants.items() if value in live},
    )

"""What the model's template writes for nodes: comments, and the lines of C below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytrain.emit import (
    calls_convolution,  # noqa: F401  (fills the table)
    calls_elementwise,  # noqa: F401  (fills the table)
    calls_layout,  # noqa: F401  (fills the table)
    calls_loss,  # noqa: F401  (fills the table)
    calls_normalize,  # noqa: F401  (fills the table)
    calls_pooling,  # noqa: F401  (fills the table)
    calls_update,  # noqa: F401  (fills the table)
)
from tinytrain.emit.calls import CALLS
from tinytrain.emit.calls_update import step_of
from tinytrain.emit.channel_tiling import round_lines, tile_lines
from tinytrain.emit.context import EmitContext
from tinytrain.emit.line_buffer import ChainText
from tinytrain.emit.portions import part_lines
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import loss_index, role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.text import format_type
from tinytrain.plan.channel_tiling_kernels import ROUNDED

StepText = dict[str, object]
"""`comment`, `lines`, and `training_only`: whether inference leaves it out. For a step in portions
also `name`, `parts`, `cost` of the largest part, and `changes`: whether it changes what trains."""


def node_steps(context: EmitContext, node: Node) -> list[StepText]:
    """What the template writes for a node: nothing for one that only renames or views."""
    training_only = role_of(node) is Role.TRAINING
    context.layer = node.layer
    cut = context.cut_of(node)
    calls = CALLS[node.op](context, node) if cut is None else part_lines(context, node, cut)
    if not calls:
        return []
    if context.portions is not None and step_of(node) == "&unit_step":
        calls = ["const tt_step unit_step = unit_step_of(state);", *calls]
    # Literals live until their block ends: without one of its own, each call's stay on the stack.
    block = any("(const tt_" in line or line.startswith("const tt_") for line in calls)
    lines = ["{", *(f"    {line}" for line in calls), "}"] if block else calls
    if context.switching is not None:
        lines = context.switching.lines(node, lines, context.fields)
    comment = f"{node.name}: {node.op} -> {format_type(node.outputs[0].type)}"
    step = _step(context, comment, lines, [node])
    return [{**step, "training_only": training_only}]


def frozen_steps(
    context: EmitContext,
    nodes: Sequence[Node],
    chains: Sequence[ChainText],
    observe: Mapping[str, Sequence[str]],
) -> list[StepText]:
    """What the template writes for the frozen nodes; a chain stands where its first node does.

    Args:
        observe: by the name of a node that follows drift, the lines that take a sample in.
    """
    begins = {chain.first: chain for chain in chains}
    chained = {k for chain in chains for k in range(chain.first, chain.last + 1)}
    steps: list[StepText] = []
    for index, node in enumerate(nodes):
        if index in begins:
            steps += _chain_steps(context, begins[index], nodes)
        if node.name in observe:
            lines = ["if (following) {", *(f"    {line}" for line in observe[node.name]), "}"]
            title = f"{node.name}: what its channels have become"
            steps.append(_step(context, title, lines, [node]))
        if index not in chained:
            steps += node_steps(context, node)
    return steps


def backward_steps(context: EmitContext, nodes: Sequence[Node]) -> list[StepText]:
    """What the template writes for the backward nodes; a loop stands where its first node does."""
    graph = context.graph
    begins = {graph.nodes[tiling.first].name: tiling for tiling in context.plan.tilings}
    tiled = {
        node.name
        for tiling in begins.values()
        for node in graph.nodes[tiling.first : tiling.last + 1]
    }
    steps: list[StepText] = []
    for node in nodes:
        if node.name in begins:
            tiling = begins[node.name]
            first, last = graph.nodes[tiling.first], graph.nodes[tiling.last]
            title = f"{first.name} to {last.name}: {tiling.count} tiles of {tiling.size} channels"
            within = graph.nodes[tiling.first : tiling.last + 1]
            steps.append(_step(context, title, tile_lines(context, tiling), within))
            for other in graph.nodes[tiling.first : tiling.last + 1]:
                steps += node_steps(context, other) if other.name in tiling.deferred else []
            if tiling.total is not None:
                title = f"{tiling.total.name}: from its sums"
                rounded = _step(context, title, round_lines(context, tiling), [])
                steps.append({**rounded, "cost": ROUNDED * tiling.total.type.size})
        elif node.name not in tiled:
            steps += node_steps(context, node)
    return steps


def _chain_steps(context: EmitContext, chain: ChainText, nodes: Sequence[Node]) -> list[StepText]:
    """The loop over the steps of a chain, or one of them; nothing if they run as rows arrive."""
    if chain.feed is not None:
        return []
    within = nodes[chain.first : chain.last + 1]
    lines = chain.loop() if context.portions is None else [f"{chain.name}(state, part);"]
    return [_step(context, chain.title, lines, within)]


def _step(context: EmitContext, comment: str, lines: list[str], nodes: Sequence[Node]) -> StepText:
    """What the template writes for nodes that run together; they are cut like the first of them."""
    step: StepText = {"comment": comment, "lines": lines, "training_only": False}
    if context.portions is None:
        return step
    name = nodes[0].name if nodes else comment.split(":")[0]
    cut = context.portions.cuts[name] if nodes else None
    return {
        **step,
        "name": name,
        "parts": cut.parts if cut else 1,
        "cost": cut.cost if cut else 0,
        "changes": any(context.updates_in(node) for node in nodes),
    }


def split_at_loss(graph: Graph) -> tuple[list[Node], list[Node]]:
    """Nodes before the loss, and from the loss on, which quantize_gradient follows."""
    index = loss_index(graph)
    rest = list(graph.nodes[index:])
    if graph.updates and (len(rest) < 2 or rest[1].op != "quantize_gradient"):
        raise InternalError("the loss is not followed by quantize_gradient")
    return list(graph.nodes[:index]), rest

"""Liveness: which tensors share storage, and when each storage is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import role_of, stored_in, traits_of
from tinytrain.ir.ops import Role
from tinytrain.kernel.choose import Choice
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.storage import ArenaStorage
from tinytrain.plan.tiling import ChannelTiling


def in_arena(graph: Graph) -> list[Value]:
    """Values that lie in the arena: inputs, and results that are no scalar, view or parameter."""
    written_in_place = stored_in(graph)
    # Label and target are arguments of the training step: the caller holds them.
    values = [value for value in graph.inputs if value != graph.target]
    for node in graph.nodes:
        if role_of(node) is Role.VIEW:
            continue
        outputs = node.outputs[1:] if role_of(node) is Role.LOSS else node.outputs
        values += [value for value in outputs if value not in written_in_place]
    return values


# house(function): one sweep over the nodes with shared state
def storages(
    graph: Graph,
    choices: Mapping[str, Choice],
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> list[ArenaStorage]:
    """All storages of a scheduled graph, in order of first use.

    Args:
        choices: the kernel of each node that has a choice; its workspace is a storage too.
        chains: line-buffered chains.
        tilings: runs that work on a tile of channels at a time.
    """
    last = last_use(graph)
    arena = set(in_arena(graph))
    root: dict[Value, Value] = {value: value for value in arena}
    members: dict[Value, list[Value]] = {value: [value] for value in arena}
    first = dict.fromkeys(graph.inputs, 0)
    nbytes = {value: value.type.nbytes for value in arena}
    chained = {index for chain in chains for index in range(chain.first, chain.last + 1)}
    for tiling in tilings:
        for node in graph.nodes[tiling.first : tiling.last + 1]:
            # Every tile reads the values from outside of the run.
            for value in node.inputs:
                if value not in tiling.wide:
                    last[value] = max(last[value], tiling.last)
        nbytes.update((value, tiling.nbytes(value)) for value in tiling.wide)

    for index, node in enumerate(graph.nodes):
        for value in node.outputs:
            first[value] = index
        target = node.outputs[-1]
        # In a chain the input is still read after the first rows of the output are written.
        if target not in arena or index in chained:
            continue
        for source in reusable_inputs(node, choices.get(node.name)):
            if source not in arena:
                continue
            group = members[root[source]]
            dies = all(last[value] <= index for value in group)
            fits = target.type.nbytes <= max(value.type.nbytes for value in group)
            if traits_of(node).same_bytes or (dies and fits):
                group.append(target)
                members.pop(target)
                root[target] = root[source]
                break

    for tiling in tilings:
        if tiling.total is not None:
            # Sums are rounded after the loop, into the storage of a tile.
            first[tiling.total] = tiling.last
            held = next(value for value in tiling.wide if last[value] == tiling.last)
            members[root[held]] += members.pop(tiling.total)

    for chain in chains:
        _stretch(chain, graph, first, last, nbytes)
    found = [
        ArenaStorage(
            group[0].name,
            tuple(group),
            max(nbytes[value] for value in group),
            min(first[value] for value in group),
            max(last[value] for value in group),
        )
        for group in members.values()
    ]
    for index, node in enumerate(graph.nodes):
        if node.name in choices and choices[node.name].workspace:
            found.append(ArenaStorage(node.name, (), choices[node.name].workspace, index, index))
    found += [
        ArenaStorage(tiling.sums_name, (), tiling.sums, tiling.first, tiling.last)
        for tiling in tilings
        if tiling.sums_name is not None
    ]
    return sorted(found, key=lambda storage: (storage.first, storage.last, storage.name))


def _stretch(
    chain: LineBufferedChain,
    graph: Graph,
    first: dict[Value, int],
    last: dict[Value, int],
    nbytes: dict[Value, int],
) -> None:
    """Makes whatever a step leaves for the next one live as long as the chain."""
    whole = [graph.nodes[chain.last].output]
    if chain.feed is None:
        whole.append(chain.source)
    carried = [buffer.value for buffer in chain.buffers if buffer.carries]
    for value in (*whole, *carried):
        first[value] = min(first[value], chain.first)
        last[value] = max(last[value], chain.last)
    for buffer in chain.buffers:
        nbytes[buffer.value] = buffer.nbytes


def reusable_inputs(node: Node, choice: Choice | None) -> list[Value]:
    """The inputs whose storage the last output may reuse in place, if they die here."""
    if choice is not None and choice.in_place:
        return [node.inputs[0]]
    return [node.inputs[position] for position in traits_of(node).in_place]

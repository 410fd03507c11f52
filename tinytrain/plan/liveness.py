"""Which tensors share storage, and from when to when each storage is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.ops import OPS
from tinytrain.ir.ops_training import LOSS_OPS
from tinytrain.ir.ops_update import stored_in
from tinytrain.kernel.choose import Choice
from tinytrain.plan.channel_tiling import Slices
from tinytrain.plan.line_buffer import Stream


@dataclass(frozen=True)
class Storage:
    """Bytes that are needed from node `first` to node `last`, both included.

    `values` hold one another's place in turn: a reshape is the same bytes under another shape, an
    in-place operation overwrites its input. Scratch has no values; its name is that of its node.
    A rolling buffer has one value, of which it holds a few rows. Sums to which slices add have none
    either; they are named after the node that adds to them.
    """

    name: str
    values: tuple[Value, ...]
    nbytes: int
    first: int
    last: int


def in_arena(graph: Graph) -> list[Value]:
    """Values with a place in the arena: inputs, results that are no scalar, view or parameter."""
    written_in_place = stored_in(graph)
    # Label and target are arguments of the training step: the caller holds them.
    values = [value for value in graph.inputs if value != graph.target]
    for node in graph.nodes:
        if node.op == "merge_channels":
            continue
        outputs = node.outputs[1:] if node.op in LOSS_OPS else node.outputs
        values += [value for value in outputs if value not in written_in_place]
    return values


def storages(
    graph: Graph,
    choices: Mapping[str, Choice],
    streams: Sequence[Stream] = (),
    slices: Sequence[Slices] = (),
) -> list[Storage]:
    """All storages of a scheduled graph, in order of first use.

    Args:
        choices: the kernel of each node that has a choice; its scratch is a storage too.
        streams: chains that run row by row.
        slices: runs that work on a slice of channels at a time.
    """
    last = last_use(graph)
    arena = set(in_arena(graph))
    root: dict[Value, Value] = {value: value for value in arena}
    members: dict[Value, list[Value]] = {value: [value] for value in arena}
    first = dict.fromkeys(graph.inputs, 0)
    nbytes = {value: value.type.nbytes for value in arena}
    streamed = {index for chain in streams for index in range(chain.first, chain.last + 1)}
    for run in slices:
        for node in graph.nodes[run.first : run.last + 1]:
            # Every slice reads what comes from outside.
            for value in node.inputs:
                if value not in run.wide:
                    last[value] = max(last[value], run.last)
        nbytes.update((value, run.nbytes(value)) for value in run.wide)

    for index, node in enumerate(graph.nodes):
        for value in node.outputs:
            first[value] = index
        target = node.outputs[-1]
        # In a chain an input is still read when the first rows of the output are written.
        if target not in arena or index in streamed:
            continue
        for source in takeover(node, choices.get(node.name)):
            if source not in arena:
                continue
            group = members[root[source]]
            dies = all(last[value] <= index for value in group)
            fits = target.type.nbytes <= max(value.type.nbytes for value in group)
            if node.op == "reshape" or (dies and fits):
                group.append(target)
                members.pop(target)
                root[target] = root[source]
                break

    for run in slices:
        if run.total is not None:
            # Sums are rounded behind the loop, where a slice was.
            first[run.total] = run.last
            held = next(value for value in run.wide if last[value] == run.last)
            members[root[held]] += members.pop(run.total)

    for chain in streams:
        _stretch(chain, graph, first, last, nbytes)
    found = [
        Storage(
            group[0].name,
            tuple(group),
            max(nbytes[value] for value in group),
            min(first[value] for value in group),
            max(last[value] for value in group),
        )
        for group in members.values()
    ]
    for index, node in enumerate(graph.nodes):
        if node.name in choices and choices[node.name].scratch:
            found.append(Storage(node.name, (), choices[node.name].scratch, index, index))
    found += [
        Storage(run.sums_name, (), run.sums, run.first, run.last)
        for run in slices
        if run.sums_name is not None
    ]
    return sorted(found, key=lambda storage: (storage.first, storage.last, storage.name))


def _stretch(
    chain: Stream,
    graph: Graph,
    first: dict[Value, int],
    last: dict[Value, int],
    nbytes: dict[Value, int],
) -> None:
    """What a turn leaves for the next lives as long as the chain."""
    whole = [graph.nodes[chain.last].output]
    if chain.feed is None:
        whole.append(chain.source)
    carried = [buffer.value for buffer in chain.buffers if buffer.carries]
    for value in (*whole, *carried):
        first[value] = min(first[value], chain.first)
        last[value] = max(last[value], chain.last)
    for buffer in chain.buffers:
        nbytes[buffer.value] = buffer.nbytes


def takeover(node: Node, choice: Choice | None) -> list[Value]:
    """Inputs whose storage the last output may take over, if they die here."""
    if choice is not None and choice.in_place:
        return [node.inputs[0]]
    return [node.inputs[position] for position in OPS[node.op].in_place]

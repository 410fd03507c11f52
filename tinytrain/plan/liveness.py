"""Liveness: which tensors share storage, and when each storage is live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    lifetimes = _Lifetimes(graph)
    for tiling in tilings:
        lifetimes.tile(tiling)
    groups = _StorageGroups(lifetimes, choices, chains)
    for tiling in tilings:
        groups.add_total(tiling)
    for chain in chains:
        lifetimes.buffer(chain)
    found = [lifetimes.storage(values) for values in groups.all()]
    found += [
        ArenaStorage(node.name, (), choice.workspace, index, index)
        for index, node in enumerate(graph.nodes)
        if (choice := choices.get(node.name)) is not None and choice.workspace
    ]
    found += [
        ArenaStorage(tiling.sums_name, (), tiling.sums, tiling.first, tiling.last)
        for tiling in tilings
        if tiling.sums_name is not None
    ]
    return sorted(found, key=lambda storage: (storage.first, storage.last, storage.name))


class _Lifetimes:
    """For each value its first and its last node, and for those in the arena the bytes there."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.first = dict.fromkeys(graph.inputs, 0)
        for index, node in enumerate(graph.nodes):
            self.first.update(dict.fromkeys(node.outputs, index))
        self.last = last_use(graph)
        self.nbytes = {value: value.type.nbytes for value in in_arena(graph)}

    def tile(self, tiling: ChannelTiling) -> None:
        """Only a tile of each wide gradient exists; every tile reads the values from outside."""
        for node in self.graph.nodes[tiling.first : tiling.last + 1]:
            for value in node.inputs:
                if value not in tiling.wide:
                    self.last[value] = max(self.last[value], tiling.last)
        self.nbytes.update((value, tiling.nbytes(value)) for value in tiling.wide)
        if tiling.total is not None:
            # Its sums are rounded after the loop.
            self.first[tiling.total] = tiling.last

    def buffer(self, chain: LineBufferedChain) -> None:
        """Whatever a step of a chain leaves for the next one lives as long as the chain."""
        kept = [buffer.value for buffer in chain.buffers if buffer.carries]
        kept.append(self.graph.nodes[chain.last].output)
        if chain.feed is None:
            kept.append(chain.source)
        for value in kept:
            self.first[value] = min(self.first[value], chain.first)
            self.last[value] = max(self.last[value], chain.last)
        self.nbytes.update((buffer.value, buffer.nbytes) for buffer in chain.buffers)

    def storage(self, values: Sequence[Value]) -> ArenaStorage:
        """The storage that some values share."""
        return ArenaStorage(
            values[0].name,
            tuple(values),
            max(self.nbytes[value] for value in values),
            min(self.first[value] for value in values),
            max(self.last[value] for value in values),
        )


@dataclass
class _StorageGroup:
    """Values that share a storage one after another.

    Attributes:
        last: index of the last node that reads one of them.
        nbytes: of the largest of them as a whole.
    """

    values: list[Value]
    last: int
    nbytes: int


class _StorageGroups:
    """The values in the arena, in groups.

    Args:
        chains: in a chain the input is still read after the first rows of the output are written,
            so nothing is reused in place there.
    """

    def __init__(
        self,
        lifetimes: _Lifetimes,
        choices: Mapping[str, Choice],
        chains: Sequence[LineBufferedChain],
    ) -> None:
        self._last = lifetimes.last
        self._group = {
            value: _StorageGroup([value], lifetimes.last[value], value.type.nbytes)
            for value in lifetimes.nbytes
        }
        chained = {index for chain in chains for index in range(chain.first, chain.last + 1)}
        for index, node in enumerate(lifetimes.graph.nodes):
            if index not in chained and node.outputs[-1] in self._group:
                self._reuse(index, node, choices.get(node.name))

    def all(self) -> Iterable[list[Value]]:
        """The values of each group."""
        return (group.values for group in {id(g): g for g in self._group.values()}.values())

    def _reuse(self, index: int, node: Node, choice: Choice | None) -> None:
        """Puts the output of a node where an input lies that it may reuse in place."""
        target = node.outputs[-1]
        for source in reusable_inputs(node, choice):
            group = self._group.get(source)
            if group is None:
                continue
            fits = group.last <= index and target.type.nbytes <= group.nbytes
            if traits_of(node).same_bytes or fits:
                self._join(group, self._group[target])
                return

    def add_total(self, tiling: ChannelTiling) -> None:
        """Puts the total of a tiling where the last tile lay."""
        if tiling.total is not None:
            held = next(value for value in tiling.wide if self._last[value] == tiling.last)
            self._join(self._group[held], self._group[tiling.total])

    def _join(self, group: _StorageGroup, other: _StorageGroup) -> None:
        """Adds the values of a group to another one."""
        group.values += other.values
        group.last, group.nbytes = max(group.last, other.last), max(group.nbytes, other.nbytes)
        self._group.update(dict.fromkeys(other.values, group))


def reusable_inputs(node: Node, choice: Choice | None) -> list[Value]:
    """The inputs whose storage the last output may reuse in place, if they die here."""
    if choice is not None and choice.in_place:
        return [node.inputs[0]]
    return [node.inputs[position] for position in traits_of(node).in_place]

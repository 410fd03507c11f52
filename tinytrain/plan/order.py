"""Searches for the order of nodes with the smallest peak, the largest sum of live bytes.

What is live depends on which nodes have run, not on their order, so all partial orders of the same
nodes are one state. States are visited by the number of nodes that have run, and each keeps the
smallest peak of any order that leads to it. If more than `_WIDTH` states have run the same number
of nodes, those with the smallest peaks are kept: the search is exact up to there, and a beam search
from there on.

Sources: Ahn et al., "Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired Neural Networks
for Edge Devices", MLSys 2020, for the dynamic programme and for the peak of a known order as a
budget; Liu, "An Application of Generalized Tree Pebbling to Sparse Matrix Factorization", 1987, for
running a node at once if it leaves no more live than it found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.kernel.choose import Choice
from tinytrain.plan.liveness import in_arena, reusable_inputs, storages
from tinytrain.plan.place import aligned

_WIDTH = 200
"""States of the same number of nodes that are kept."""

_WORK = 200_000
"""States that are kept in all: of more than a thousand nodes each number has fewer, `_LEAST_WIDTH`
at least. Work is counted instead of time, so that a model gets the same order on every machine."""

_LEAST_WIDTH = 8


@dataclass(frozen=True)
class _Item:
    """The effect of running one node. Nodes are bits of a mask; a place holds a value and its
    reshapes.

    Attributes:
        before: mask of the nodes that run earlier.
        touched: places that it reads or writes.
        opened: places that it is the first to write.
        target: the place of its last output if it is one of `opened`, else -1.
        reusable: places whose storage `target` may reuse in place.
        workspace: in bytes.
        mortal: of `touched`, those that nothing outside the span needs, each with a mask of the
            nodes that touch it.
        around: mask of all those nodes.
    """

    before: int
    touched: tuple[int, ...]
    opened: tuple[int, ...]
    target: int
    reusable: tuple[int, ...]
    workspace: int
    mortal: tuple[tuple[int, int], ...]
    around: int


@dataclass(frozen=True, eq=False)
class _State:
    """The nodes that have run: those of `parent`, then `node`.

    Attributes:
        done: mask of the nodes.
        live: bytes that are live after them.
        larger: (place, bytes) of each place whose reused storage is larger than it needs; nothing
            else that is live depends on the order.
        peak: the largest sum of live bytes so far.
        ready: nodes that can run next, ascending.
    """

    done: int
    live: int
    larger: tuple[tuple[int, int], ...]
    peak: int
    node: int
    parent: _State | None
    ready: tuple[int, ...]


_Effect = tuple[int, int, tuple[tuple[int, int], ...]]
"""What running a node makes of the `peak`, `live` and `larger` of a state, the last in any order;
or the bytes by which it raises the first two."""


class OrderSearch:
    """Looks for other orders of some nodes, while all nodes around them stay where they are.

    Args:
        graph: in a valid order.
        span: indices of the nodes to reorder.
        after: pairs of indices of which the first runs before the second, beside the order that
            values demand.
        choices: the kernel of each node that has a choice, for its workspace.
    """

    def __init__(
        self,
        graph: Graph,
        span: range,
        after: Sequence[tuple[int, int]],
        choices: Mapping[str, Choice],
    ) -> None:
        self._place = _places(graph)
        count = max(self._place.values(), default=-1) + 1
        self._needs = [0] * count
        for value, place in self._place.items():
            self._needs[place] = max(self._needs[place], value.type.nbytes)
        self._sizes = [aligned(nbytes) for nbytes in self._needs]
        self._touch, self._kept, begun = [0] * count, [False] * count, [False] * count
        for place in self._places_of(graph.inputs):
            begun[place] = True
        for index, node in enumerate(graph.nodes):
            for place in self._places_of(node.inputs + node.outputs):
                if index < span.start:
                    begun[place] = True
                elif index < span.stop:
                    self._touch[place] |= 1 << (index - span.start)
                else:
                    self._kept[place] = True
        self._found = [
            place
            for place in range(count)
            if begun[place] and (self._kept[place] or self._touch[place])
        ]
        held = {v: s.nbytes for s in storages(graph, choices) for v in s.values}
        sizes = {place: held[value] for value, place in self._place.items()}
        self._larger = tuple(
            (place, sizes[place]) for place in self._found if sizes[place] > self._needs[place]
        )
        self._live = sum(aligned(sizes[place]) for place in self._found)
        nodes = graph.nodes[span.start : span.stop]
        writer = {value: k for k, node in enumerate(nodes) for value in node.outputs}
        earlier: dict[int, set[int]] = {}
        for a, b in after:
            if a in span:
                earlier.setdefault(b, set()).add(a - span.start)
        self._effects: dict[tuple[object, ...], _Effect] = {}
        self._items: list[_Item] = []
        self._after: list[list[int]] = [[] for _ in nodes]
        for k, node in enumerate(nodes):
            before = {writer[value] for value in node.inputs if value in writer}
            before |= earlier.get(span.start + k, set())
            self._items.append(self._item(node, before, begun, choices.get(node.name)))
            for earlier_node in before:
                self._after[earlier_node].append(k)

    def _places_of(self, values: Sequence[Value]) -> list[int]:
        return sorted({self._place[value] for value in values if value in self._place})

    def _item(
        self, node: Node, before: set[int], begun: list[bool], choice: Choice | None
    ) -> _Item:
        opened = [place for place in self._places_of(node.outputs) if not begun[place]]
        for place in opened:
            begun[place] = True
        target = self._place.get(node.outputs[-1], -1)
        touched = self._places_of(node.inputs + node.outputs)
        mortal = {place: self._touch[place] for place in touched if not self._kept[place]}
        return _Item(
            sum(1 << k for k in before),
            tuple(touched),
            tuple(opened),
            target if target in opened else -1,
            tuple(
                self._place[value]
                for value in reusable_inputs(node, choice)
                if value in self._place
            ),
            aligned(0 if choice is None else choice.workspace),
            tuple(mortal.items()),
            reduce(or_, mortal.values(), 0),
        )

    def floor(self) -> int:
        """Lower bound of all peaks, in bytes: a node's places, its workspace, what stays live."""
        always = {place for place in self._found if self._kept[place]}
        beside = sum(aligned(self._needs[place]) for place in always)
        least = self._live if not self._items else 0
        for item in self._items:
            places = {place for place in item.touched if place not in always}
            total = beside + sum(aligned(self._needs[place]) for place in places)
            if item.reusable and item.target >= 0:
                total -= aligned(self._needs[item.target])
            least = max(least, total + item.workspace)
        return least

    def better_order(self, budget: int) -> list[int] | None:
        """An order with a peak below `budget` bytes; None if none is found.

        Returns:
            Indices into the span.
        """
        floor = self.floor()
        if floor >= budget or not self._items:
            return None
        ready = tuple(k for k, item in enumerate(self._items) if not item.before)
        start = _State(0, self._live, self._larger, floor, -1, None, ready)
        width = min(_WIDTH, max(_WORK // len(self._items), _LEAST_WIDTH))
        layers: list[dict[object, _State]] = [{} for _ in range(len(self._items) + 1)]
        layers[0][None] = start
        for layer in layers[:-1]:
            kept = sorted(layer.values(), key=lambda state: (state.peak, state.live))[:width]
            layer.clear()
            for state in kept:
                for node in state.ready:
                    effect = self._effect(state, node)
                    # What is settled afterwards does not change the peak.
                    if effect[0] >= budget:
                        continue
                    grown = self._settled(self._after_running(state, node, effect))
                    there = layers[grown.done.bit_count()]
                    known = there.setdefault((grown.done, grown.larger), grown)
                    if grown.peak < known.peak:
                        there[grown.done, grown.larger] = grown
        ends = list(layers[-1].values())
        if not ends:
            return None
        end = min(ends, key=lambda end: end.peak)
        order = []
        while end.parent is not None:
            order.append(end.node)
            end = end.parent
        return order[::-1]

    def _settled(self, state: _State) -> _State:
        """Also runs nodes that neither raise the peak nor leave more live than they found.

        Any order that continues from here can run such a node first: what ran before it then finds
        no more live than it did.
        """
        while True:
            for node in state.ready:
                effect = self._effect(state, node)
                if effect[0] <= state.peak and effect[1] <= state.live:
                    state = self._after_running(state, node, effect)
                    break
            else:
                return state

    def _effect(self, state: _State, node: int) -> _Effect:
        """What running a node that is ready does to what is live."""
        item = self._items[node]
        near = [(place, size) for place, size in state.larger if place in item.touched]
        key = node, state.done & item.around, *near
        known = self._effects.get(key)
        if known is None:
            known = self._effects[key] = self._effect_on(item, state.done | 1 << node, dict(near))
        most, live, larger = known
        far = tuple(each for each in state.larger if each not in near) if near else state.larger
        return max(state.peak, state.live + most), state.live + live, larger + far

    def _effect_on(self, item: _Item, done: int, larger: dict[int, int]) -> _Effect:
        """The same as a difference; `larger` are those of the places that the node touches."""
        dying = [place for place, touch in item.mortal if not touch & ~done]
        most = sum(self._sizes[place] for place in item.opened)
        if item.target >= 0:
            needed = self._needs[item.target]
            for place in item.reusable:
                if place in dying and needed <= larger.get(place, self._needs[place]):
                    dying.remove(place)
                    most -= self._sizes[item.target]
                    size = larger.pop(place, self._needs[place])
                    if size > needed:
                        larger[item.target] = size
                    break
        live = most
        for place in dying:
            live -= aligned(larger.pop(place)) if place in larger else self._sizes[place]
        return most + item.workspace, live, tuple(larger.items())

    def _after_running(self, state: _State, node: int, effect: _Effect) -> _State:
        """The state after a node that is ready, whose effect is known."""
        done = state.done | 1 << node
        freed = [k for k in self._after[node] if not self._items[k].before & ~done]
        ready = tuple(sorted([*(k for k in state.ready if k != node), *freed]))
        peak, live, larger = effect
        return _State(done, live, tuple(sorted(larger)), peak, node, state, ready)


def _places(graph: Graph) -> dict[Value, int]:
    """The place of each value in the arena; a value and its reshapes share one."""
    places = {value: k for k, value in enumerate(in_arena(graph))}
    for node in graph.nodes:
        if traits_of(node).same_bytes and node.inputs[0] in places:
            places[node.output] = places[node.inputs[0]]
    return places

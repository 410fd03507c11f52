"""The frozen part of a step: the layers before the first one that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import frozen_count
from tinytrain.plan.plan import Plan


@dataclass(frozen=True)
class FrozenPart:
    """What the same input gives in every step, and what of it the rest of the step reads.

    Attributes:
        nodes: how many of the forward nodes belong to it, the first ones.
        spans: (offset, bytes) in the arena that later nodes read, apart; in the order of the graph,
            which does not depend on the plan.
        values: what lies there, each with where it begins in all spans, one after the other.
    """

    nodes: int
    spans: tuple[tuple[int, int], ...]
    values: tuple[tuple[Value, int], ...] = ()

    @property
    def nbytes(self) -> int:
        """Of all spans."""
        return sum(size for _, size in self.spans)

    def whole_values(self) -> tuple[Value, ...] | None:
        """The values whose bytes are the spans, in their order; None where a span is no value."""
        held = {(start, value.type.nbytes): value for value, start in reversed(self.values)}
        sizes = [size for _, size in self.spans]
        starts = accumulate(sizes, initial=0)
        found = [held.get(place) for place in zip(starts, sizes, strict=False)]
        return tuple(value for value in found if value is not None) if all(found) else None


def frozen_part(graph: Graph, plan: Plan, forward: Sequence[Node]) -> FrozenPart:
    """The nodes before the first that reads a parameter, or that inference leaves out.

    Args:
        forward: the nodes before the loss, which are the first of the graph.
    """
    count = frozen_count(graph, forward)
    last = last_use(graph)
    made = [*graph.inputs, *(value for node in forward[:count] for value in node.outputs)]
    kept = [value for value in made if value in plan.offsets and last[value] >= count]
    read = [(plan.offsets[value], value.type.nbytes) for value in kept]
    # Values are found in their span by where they begin: the first one decides its place.
    order = [offset for offset, _ in read]
    spans = sorted(
        joined(read),
        key=lambda span: min(k for k, offset in enumerate(order) if span[0] <= offset < sum(span)),
    )
    starts = dict(zip(spans, accumulate((size for _, size in spans), initial=0), strict=False))
    values = [
        (value, start + offset - span[0])
        for value, offset in zip(kept, order, strict=True)
        for span, start in starts.items()
        if span[0] <= offset < sum(span)
    ]
    return FrozenPart(count, tuple(spans), tuple(values))


def joined(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans that share bytes as one: a reshape is its input under another name."""
    found: list[tuple[int, int]] = []
    for start, size in sorted(spans):
        if found and start < sum(found[-1]):
            first = found[-1][0]
            found[-1] = first, max(sum(found[-1]), start + size) - first
        else:
            found.append((start, size))
    return tuple(found)

"""What the manifest says of a step in portions."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.manifest.schema import Count, Positive


@dataclass(frozen=True, kw_only=True)
class PortionsRecord:
    """A training step in portions (docs/portions.md).

    Attributes:
        count: portions of a step.
        instructions: estimated instructions of all of them, each node's parts counted as its
            largest.
        worst: estimated instructions of the largest portion.
        worst_node: name of the node that it belongs to.
        concurrent: estimated instructions of an inference between portions; 0 where none may run.
    """

    count: Positive
    instructions: Positive
    worst: Count
    worst_node: str
    concurrent: Count

    def sentence(self) -> str:
        """How many there are, and the longest."""
        share = self.worst / self.instructions
        inference = f"; an inference in between, about {self.concurrent:,}"
        return (
            f"{self.count:,}; the longest, of {self.worst_node}, takes about {self.worst:,} "
            f"instructions ({share:.1%} of a step){inference if self.concurrent else ''}"
        )

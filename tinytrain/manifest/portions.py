"""What the manifest says of a step in portions."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.manifest.schema import Count, Positive


@dataclass(frozen=True, kw_only=True)
class PortionsRecord:
    """A training step in portions (docs/portions.md).

    Attributes:
        count: portions of a step, of whichever kind has most.
        instructions: estimated instructions of the kind of step that takes most, each node's parts
            counted as its largest.
        worst: estimated instructions of the largest portion of any step.
        worst_node: name of the node that it belongs to; "a kept sample" where it keeps a sample for
            later, or takes one that was kept.
        kept: estimated instructions of a step on a sample of the replay buffer or of the rehearsal
            set; 0 where there is neither.
        concurrent: estimated instructions of an inference between portions; 0 where none may run.
    """

    count: Positive
    instructions: Positive
    worst: Count
    worst_node: str
    kept: Count
    concurrent: Count

    def sentence(self) -> str:
        """How many there are, and the longest."""
        share = self.worst / self.instructions
        kept = f"; a step on a kept sample, about {self.kept:,}" if self.kept else ""
        inference = f"; an inference in between, about {self.concurrent:,}"
        return (
            f"{self.count:,}; the longest, of {self.worst_node}, takes about {self.worst:,} "
            f"instructions ({share:.1%} of a step){kept}{inference if self.concurrent else ''}"
        )

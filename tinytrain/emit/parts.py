"""What the templates write for a step in portions: its nodes with their numbers and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinytrain.manifest.portions import PortionsRecord
from tinytrain.plan.cuts import Portions

Steps = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class StepParts:
    """A step in portions, as the templates see it.

    Attributes:
        nodes: in the order in which they run: `number`, `comment`, `lines`, `training_only`,
            `parts` and `cost`, the instructions of the largest part. The loss has no lines.
        rest: number of the first node behind the frozen ones.
        loss: number of the loss.
        apply: number of the first node that applies what waits in velocities.
        first_change: number of the first node that changes what is trained.
        record: what the manifest says.
    """

    nodes: tuple[Mapping[str, Any], ...]
    rest: int
    loss: int
    apply: int
    first_change: int
    record: PortionsRecord

    @staticmethod
    def of(
        portions: Portions | None,
        loss: str,
        frozen: Steps,
        forward: Steps,
        backward: Steps,
        apply: Steps,
        concurrent: int = 0,
    ) -> StepParts | None:
        """The nodes of a step, from what the templates write for them.

        Args:
            loss: name of its node.
            concurrent: estimated instructions of an inference in between; 0 where none may run.
        """
        if portions is None:
            return None
        cut = portions.cuts[loss]
        turn = {
            "comment": loss,
            "lines": [],
            "training_only": False,
            "parts": 1,
            "cost": cut.cost,
            "name": loss,
            "changes": False,
        }
        steps = [*frozen, *forward, turn, *backward, *apply]
        nodes = tuple({**step, "number": number} for number, step in enumerate(steps))
        behind = len(frozen) + len(forward)
        changes = [node["number"] for node in nodes if node["changes"]]
        worst = max(nodes, key=lambda node: node["cost"])
        record = PortionsRecord(
            count=sum(node["parts"] for node in nodes),
            instructions=sum(node["parts"] * node["cost"] for node in nodes),
            worst=worst["cost"],
            worst_node=worst["name"],
            concurrent=concurrent,
        )
        first = min(changes, default=len(nodes))
        return StepParts(nodes, len(frozen), behind, behind + 1 + len(backward), first, record)

    @property
    def has_parts(self) -> bool:
        """Whether any node has more than one."""
        return any(node["parts"] > 1 for node in self.nodes)

    @property
    def per_256th(self) -> int:
        """Instructions of a 256th of a step, rounded up."""
        return -(-self.record.instructions // 256)

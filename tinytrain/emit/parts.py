"""What the templates write for a step in portions: its nodes with their numbers and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinytrain.emit.kept import KeptPortion
from tinytrain.manifest.portions import PortionsRecord
from tinytrain.plan.cuts import Portions

Steps = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class StepParts:
    """A step in portions, as the templates see it.

    Attributes:
        nodes: in the order in which they run: `number`, `comment`, `lines`, `training_only`,
            `parts` and `cost`, the instructions of the largest part. The loss has no lines, nor has
            the portion that keeps a sample.
        slot: number of the portion that keeps a sample, or takes one that is kept; None where
            nothing is kept.
        rest: number of the first node that a step on a kept sample runs.
        loss: number of the loss.
        apply: number of the first node that applies what waits in velocities.
        first_change: number of the first node that changes what is trained.
        record: what the manifest says.
    """

    nodes: tuple[Mapping[str, Any], ...]
    slot: int | None
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
        kept: KeptPortion | None = None,
    ) -> StepParts | None:
        """The nodes of a step, from what the templates write for them.

        Args:
            loss: name of its node.
            concurrent: estimated instructions of an inference in between; 0 where none may run.
            kept: the portion that keeps a sample, if the model keeps any.
        """
        if portions is None:
            return None
        slot = [] if kept is None else [_without_lines("a kept sample", kept.cost)]
        turn = _without_lines(loss, portions.cuts[loss].cost)
        steps = [*frozen, *slot, *forward, turn, *backward, *apply]
        nodes = tuple({**step, "number": number} for number, step in enumerate(steps))
        rest = len(frozen) + len(slot)
        behind = rest + len(forward)
        changes = [node["number"] for node in nodes if node["changes"]]
        worst = max(nodes, key=lambda node: node["cost"])
        of_kept = nodes[len(frozen) :] if slot else ()
        with_new = nodes if kept and kept.remembers else (*nodes[: len(frozen)], *nodes[rest:])
        record = PortionsRecord(
            count=max(_count(with_new), _count(of_kept)),
            instructions=max(_instructions(with_new), _instructions(of_kept)),
            worst=worst["cost"],
            worst_node=worst["name"],
            kept=_instructions(of_kept),
            concurrent=concurrent,
        )
        return StepParts(
            nodes,
            slot=len(frozen) if slot else None,
            rest=rest,
            loss=behind,
            apply=behind + 1 + len(backward),
            first_change=min(changes, default=len(nodes)),
            record=record,
        )

    @property
    def frozen(self) -> int:
        """Number of the first node behind the frozen ones."""
        return self.rest if self.slot is None else self.slot

    @property
    def has_parts(self) -> bool:
        """Whether any node has more than one."""
        return any(node["parts"] > 1 for node in self.nodes)

    @property
    def per_256th(self) -> int:
        """Instructions of a 256th of a step, rounded up."""
        return -(-self.record.instructions // 256)

    @property
    def kept_per_256th(self) -> int:
        """The same of a step on a kept sample."""
        return -(-self.record.kept // 256)


def _without_lines(name: str, cost: int) -> dict[str, Any]:
    """What runs by a function of its own, and is not cut."""
    return {
        "comment": name,
        "lines": [],
        "training_only": False,
        "parts": 1,
        "cost": cost,
        "name": name,
        "changes": False,
    }


def _count(nodes: Steps) -> int:
    return sum(node["parts"] for node in nodes)


def _instructions(nodes: Steps) -> int:
    return sum(node["parts"] * node["cost"] for node in nodes)

"""The rehearsal set of a model: its arrays in flash, and what it adds to the state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinytrain.emit.context import EmitContext
from tinytrain.emit.frozen import FrozenPart
from tinytrain.emit.replay import StateField
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph
from tinytrain.manifest.rehearsal import RehearsalRecord
from tinytrain.reference.interpret import Machine
from tinytrain.reference.packed import unpacked
from tinytrain.reference.rehearsal import RehearsalSet


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal set as the C has it.

    Attributes:
        slots: number of samples.
        sample_bytes: of a sample as the frozen layers leave it for the others.
        nbytes: of all arrays in flash.
        counts: number of samples of each group.
        samples, first, labels, targets: names of the arrays. Of the last two there is one: the
            label of each group, or the target of each sample.
    """

    slots: int
    sample_bytes: int
    nbytes: int
    counts: tuple[int, ...]
    samples: str
    first: str
    labels: str
    targets: str

    @property
    def groups(self) -> int:
        """Classes that the set has; 1 where nothing is a label."""
        return len(self.counts)

    @property
    def slot_bytes(self) -> int:
        """Of a sample with its target, rounded up."""
        return -(-self.nbytes // self.slots)

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it: how many steps were on samples of the set."""
        return (StateField("rehearsed", "uint32_t", 1, 4),)

    def record(self, held: RehearsalSet) -> RehearsalRecord:
        """What the manifest says of it."""
        return RehearsalRecord(
            slots=self.slots,
            sample_bytes=self.sample_bytes,
            nbytes=self.nbytes,
            crc=held.crc,
            classes={str(label): n for label, n in zip(held.labels, self.counts, strict=False)},
        )


def put_rehearsal(
    context: EmitContext, held: RehearsalSet | None, part: FrozenPart
) -> Rehearsal | None:
    """Puts a rehearsal set among the constants of a model; None where there is none."""
    if held is None:
        return None
    context.layer = ""
    # A step that does not fit is emitted anew, with another plan and the same samples.
    left = tuple((value.name, at) for value, at in part.values)
    if left not in held.encoded:
        held.encoded[left] = frozen_bytes(context.graph, part, held.inputs)
    samples = held.encoded[left]
    first = np.array(held.first, np.uint16)
    is_label = held.targets.ndim == 1
    targets = np.array(held.labels, np.uint16) if is_label else held.targets
    return Rehearsal(
        slots=len(held),
        sample_bytes=part.nbytes,
        nbytes=samples.nbytes + first.nbytes + targets.nbytes,
        counts=tuple(np.diff(held.first).tolist()),
        samples=context.array("rehearsal_samples", samples),
        first=context.array("rehearsal_first", first),
        labels=context.array("rehearsal_labels", targets) if is_label else "",
        targets="" if is_label else context.array("rehearsal_targets", targets),
    )


def frozen_bytes(graph: Graph, part: FrozenPart, inputs: np.ndarray) -> np.ndarray:
    """What `NAME_keep_frozen` of the C gives for samples, from the reference.

    Args:
        graph: of the plan.
        inputs: int8 [N, ...], packed.

    Returns:
        uint8 [N, part.nbytes].
    """
    nodes = graph.nodes[: part.nodes]
    frozen = replace(graph, inputs=graph.sample, target=None, nodes=nodes, updates={})
    machine = Machine(replace(frozen, outputs=tuple(value for value, _ in part.values)))
    found = np.zeros((len(inputs), part.nbytes), np.uint8)
    for row, sample in zip(found, inputs, strict=True):
        known = machine.run(unpacked(graph.sample, sample[None]))
        for value, at in part.values:
            data = np.frombuffer(np.ascontiguousarray(known[value]).tobytes(), np.uint8)
            if data.size != value.type.nbytes:
                raise InternalError(f"{value} has another size than in the arena")
            row[at : at + data.size] = data
    return found

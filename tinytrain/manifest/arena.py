"""What the manifest says of a step's memory and time: the arena, its steps, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from tinytrain.manifest.schema import AtLeast, Count, OneOf, Positive, Signed, key, wrong

KINDS = ("input", "activation", "saved", "gradient", "scratch")
"""What a storage holds. `saved` is what the forward pass leaves for the backward pass: activations,
masks of one bit per element, winners of a pooling. A rematerialized value is an `activation`."""

PASSES = ("forward", "loss", "backward")
"""Parts of a step, in order; updates belong to the backward pass."""

Span = tuple[Annotated[float, AtLeast(0)], Annotated[float, AtLeast(0)]]
"""The least and the most."""


@dataclass(frozen=True, kw_only=True)
class StorageRecord:
    """A part of the arena that holds one thing from step `first` to step `last`.

    Attributes:
        name: first tensor in it, or the node whose workspace it is.
        kind: what it holds.
        layer: layer that writes it first; empty for the input.
        nbytes: size in bytes.
        offset: offset in the arena, in bytes.
        first: first step in which it is live, an index into `arena.steps`.
        last: last step in which it is live.
    """

    name: str
    kind: Annotated[str, OneOf(KINDS)]
    layer: str
    nbytes: Count = field(metadata=key("bytes"))
    offset: Count
    first: Count
    last: Count

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise wrong(f"is no step from {self.first} on", "last")


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A node of the schedule.

    Attributes:
        name: name of the node.
        op: its operation.
        layer: layer that it belongs to; empty if it belongs to none.
        part: part of the training step.
        live_bytes: bytes of the storages that are live while it runs, rounded up to the alignment.
        instructions: estimated instructions; null without an estimate.
    """

    name: str
    op: str
    layer: str
    part: Annotated[str, OneOf(PASSES)] = field(metadata=key("pass"))
    live_bytes: Count
    instructions: Count | None


@dataclass(frozen=True, kw_only=True)
class OptimizationRecord:
    """A memory optimization of the plan (docs/memory.md).

    Attributes:
        name: name of the optimization.
        detail: what it was applied to.
        saved_bytes: by how much it lowers the arena's lower bound, after the optimizations before
            it.
        instructions: estimated instructions that it adds to a step.
    """

    name: str = field(metadata=key("way"))
    detail: str
    saved_bytes: Signed
    instructions: Signed


@dataclass(frozen=True, kw_only=True)
class ChainRecord:
    """A line-buffered chain.

    Attributes:
        nodes: its nodes, in the order of execution.
        source: tensor that it reads.
        rows: rows of the source per step of the chain.
        turns: steps of the chain.
        buffers: bytes of each line buffer, by tensor.
    """

    nodes: tuple[str, ...]
    source: str
    rows: Positive
    turns: Positive
    buffers: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True)
class TilingRecord:
    """A channel tiling.

    Attributes:
        nodes: its nodes, in the order of execution.
        channels: channels per slice.
        slices: number of slices.
        sums: bytes of the sums that all slices add to; 0 if there are none.
    """

    nodes: tuple[str, ...]
    channels: Positive
    slices: Positive
    sums: Count


@dataclass(frozen=True, kw_only=True)
class ArenaRecord:
    """The arena and the schedule of one training step.

    Attributes:
        nbytes: size in bytes.
        lower_bound: largest `live_bytes` of a step; no placement is smaller.
        placement: what is proved of the size, and what found the placement.
        peak: name of the step where the lower bound is reached.
        peak_step: index of that step in `steps`.
        alignment: alignment of storages, in bytes.
        storages: what lies in the arena, where and when.
        steps: nodes in the order of execution.
        optimizations: memory optimizations of the plan.
        chains: line-buffered chains.
        tilings: channel tilings.
        rematerialized: nodes that run again in the backward pass.
    """

    nbytes: Count = field(metadata=key("bytes"))
    lower_bound: Count
    placement: str
    peak: str
    peak_step: Count
    alignment: Positive
    storages: tuple[StorageRecord, ...]
    steps: tuple[StepRecord, ...]
    optimizations: tuple[OptimizationRecord, ...] = field(metadata=key("ways"))
    chains: tuple[ChainRecord, ...]
    tilings: tuple[TilingRecord, ...] = field(metadata=key("slices"))
    rematerialized: tuple[str, ...] = field(metadata=key("again"))

    def __post_init__(self) -> None:
        order = [PASSES.index(step.part) for step in self.steps]
        if not order or order != sorted(order):
            raise wrong("are not a forward pass, a loss and a backward pass", "steps")
        if self.peak_step >= len(order):
            raise wrong(f"is none of the {len(order)} steps", "peak_step")
        if self.steps[self.peak_step].name != self.peak:
            raise wrong("is not the name of the step at the peak", "peak")
        if self.lower_bound > self.nbytes:
            raise wrong(f"is above the {self.nbytes:,} bytes of the arena", "lower_bound")
        for index, storage in enumerate(self.storages):
            if storage.offset + storage.nbytes > self.nbytes:
                where = f"lies outside the arena of {self.nbytes:,} bytes"
                raise wrong(where, f"storages[{index}]")
            if storage.last >= len(order):
                raise wrong(f"is none of the {len(order)} steps", f"storages[{index}].last")

    @property
    def gap(self) -> int:
        """Bytes of the arena above its lower bound."""
        return self.nbytes - self.lower_bound

    def at_peak(self) -> list[StorageRecord]:
        """Storages that are live at the peak, largest first."""
        live = [s for s in self.storages if s.first <= self.peak_step <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """What one layer takes.

    Attributes:
        name: name of the layer.
        trained_bytes: RAM for its trained parameters.
        saved_bytes: RAM for what its forward pass saves for the backward pass.
        constant_bytes: flash for its constants; equal arrays count for the first layer only.
        instructions: estimated instructions of all its nodes.
    """

    name: str
    trained_bytes: Count
    saved_bytes: Count
    constant_bytes: Count
    instructions: Count


@dataclass(frozen=True, kw_only=True)
class KernelRecord:
    """The kernel of a node that has a choice.

    Attributes:
        node: name of the node.
        kernel: the C function.
        instructions: estimated instructions.
        scratch: workspace in bytes.
        considered: estimated instructions of each kernel that fits, by name.
    """

    node: str
    kernel: str
    instructions: Count
    scratch: Count
    considered: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True)
class SpeedRecord:
    """Estimated time of a training step, without wait states of flash and cache misses.

    Attributes:
        core: core of the target.
        clock_hz: clock of the target; null if nothing fixes it.
        instructions: instructions of one training step.
        cycles_per_instruction: least and most, assumed for the core; null if unknown.
        seconds: least and most for one training step; null without a clock or cycles.
    """

    core: str
    clock_hz: Positive | None
    instructions: Count
    cycles_per_instruction: Span | None
    seconds: Span | None

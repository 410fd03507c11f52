"""A training step as the compiler hands it on: planned, proved, ready to be emitted or run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.compiler.guidance import Guidance, initial_rate, option_warnings
from tinytrain.compiler.options import Options
from tinytrain.ir.graph import Graph
from tinytrain.losses import SampleTarget, classes_of, target_of
from tinytrain.plan.plan import Plan
from tinytrain.plan.within import MemoryOptimization
from tinytrain.reference.machine import Scale


@dataclass(frozen=True, eq=False)
class Compiled:
    """A training step ready to be emitted or run by the reference.

    Attributes:
        graph: scheduled; what the device runs, node by node.
        plan: of its arena.
        optimizations: what was done to make the plan small.
        scales: initial scales of the gradients.
        options: that it was compiled with.
        guidance: what is known of the scheme before it trains.
        forward: the s8 model before anything was trained.
    """

    graph: Graph
    plan: Plan
    optimizations: tuple[MemoryOptimization, ...]
    scales: Mapping[str, Scale]
    options: Options
    guidance: Guidance
    forward: Graph

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what is known to fail, none if nothing is."""
        return option_warnings(self.options, self.guidance)

    @property
    def rate(self) -> float:
        """The learning rate that the device begins with."""
        return initial_rate(self.options, self.guidance)

    @property
    def classes(self) -> int:
        """Number of classes that a sample is labelled with; 0 where its target is no label."""
        return classes_of(self.options.loss, self.graph.outputs[1].type.shape)

    @property
    def wants(self) -> SampleTarget:
        """What the target of a sample is."""
        return target_of(self.options.loss, self.classes)

    @property
    def output_size(self) -> int:
        """Elements of the network's output."""
        return self.graph.outputs[1].type.size

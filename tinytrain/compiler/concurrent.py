"""The forward pass that may run between the portions of a step: a plan of its own arena."""

from __future__ import annotations

from dataclasses import replace

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.inference import inferring
from tinytrain.ir.graph import Graph
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.within import plan_within


def with_concurrent(compiled: Compiled) -> Compiled:
    """The step with the plan of a forward pass beside it, where its options ask for one."""
    if not compiled.options.concurrent:
        return compiled
    return replace(compiled, concurrent=concurrent_plan(compiled.graph, compiled.plan.isa))


def concurrent_plan(graph: Graph, isa: str) -> Plan:
    """The smallest plan that is found for the forward pass alone, proved.

    No activation is saved, so that layers which train can be line-buffered as well.

    Args:
        graph: a training step.
        isa: as for `plan_within`.
    """
    forward = inferring(graph)
    constants = {**forward.constants, **forward.parameters}
    plan, _ = plan_within(replace(forward, parameters={}, constants=constants), isa, 0)
    check_plan(plan)
    return replace(plan, graph=forward)

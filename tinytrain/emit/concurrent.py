"""The C of an inference between the portions of a step: a forward pass in an arena of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.emit.c_text import used_accessors
from tinytrain.emit.context import EmitContext
from tinytrain.emit.line_buffer import ChainText, chain_text
from tinytrain.emit.sample import input_texts
from tinytrain.emit.steps import StepText, frozen_steps
from tinytrain.ir.operations import loss_index
from tinytrain.plan.plan import Plan

_ARENA = "concurrent"
"""Of the state's member, and prefix of its accessors."""


@dataclass(frozen=True)
class ConcurrentText:
    """What the templates write for it.

    Attributes:
        ram_bytes: of its arena.
        inputs: as `input_texts` has them.
        output: where the network's output lies.
        chains: line-buffered ones.
        steps: nodes up to the output.
        accessors: of its arena, element type and C type.
    """

    ram_bytes: int
    inputs: Sequence[Mapping[str, object]]
    output: str
    chains: Sequence[ChainText]
    steps: Sequence[StepText]
    accessors: Sequence[tuple[str, str]]

    @staticmethod
    def of(context: EmitContext, plan: Plan | None) -> ConcurrentText | None:
        """The forward pass of a plan, with the constants and structures of the step where they are
        the same; None where there is no plan.

        Args:
            context: of the step, whose nodes have been emitted.
        """
        if plan is None:
            return None
        own = _Context(plan.graph, plan, context.prefix, arena=_ARENA)
        own.share(context)
        chains = [chain_text(own, chain) for chain in plan.chains]
        loss = loss_index(plan.graph)
        steps = frozen_steps(own, plan.graph.nodes[:loss], chains, {})
        inputs = input_texts(own, plan.graph.sample)
        output = own.place(plan.graph.nodes[loss].inputs[0])
        accessors = used_accessors(str((chains, steps, inputs, output)), _ARENA)
        return ConcurrentText(plan.nbytes, inputs, output, chains, steps, accessors)


class _Context(EmitContext):
    """One that takes what another one has defined."""

    def share(self, other: EmitContext) -> None:
        """Constants, structures, functions and names of the model are those of both."""
        self.constants, self.locals, self.functions = other.constants, other.locals, other.functions
        self.take_names(other)

    def struct(self, c_type: str, name: str, fields: Mapping[str, object]) -> str:
        """The address of an equal structure, if there is one, or of a new one."""
        body = ", ".join(f".{key} = {value}" for key, value in fields.items())
        head, tail = f"static const {c_type} ", f" = {{{body}}};"
        for line in self.locals:
            if line.startswith(head) and line.endswith(tail):
                return f"&{line[len(head) : -len(tail)]}"
        return super().struct(c_type, name, fields)

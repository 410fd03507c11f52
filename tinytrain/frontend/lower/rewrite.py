"""A walk over the calls of an imported model that replaces each by what its rule says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.frontend.refusals import Reason, of_error, refusal

RewriteRule = Callable[["Rewriter", Call], Call | None]


class Rewriter:
    """Walks the calls once, in order, and emits the rewritten ones.

    A rule returns the call that stands for the old one: a new one that it emitted, or one that
    was there already. None keeps the old one.
    """

    def __init__(self, program: Program, rules: Mapping[str, RewriteRule]) -> None:
        self.program = program
        self.rules = rules
        self.calls: list[Call] = []
        self.replaced: dict[Call, Call] = {}
        self.reasons: list[Reason] = []
        self.reads: dict[Call, int] = {program.output: 1}
        for call in program.calls:
            for arg in call.args:
                if isinstance(arg, Call):
                    self.reads[arg] = self.reads.get(arg, 0) + 1

    def run(self) -> Program:
        """Applies the rule of every call; calls without one stay as they are.

        Raises:
            ModelError: everything that a rule could not rewrite.
        """
        known: set[Call] = set(self.program.inputs)
        for call in self.program.calls:
            call.args = [
                self.replaced.get(arg, arg) if isinstance(arg, Call) else arg for arg in call.args
            ]
            start = len(self.calls)
            result = self._applied(call)
            self.replaced[call] = result
            if result is not call:
                reads = self.reads.get(call, 0)
                self.reads[result] = reads + (self.reads[result] - 1 if result in known else 0)
                if result not in known:
                    # A new call computes what the old one did, whatever it was made from.
                    result.tensor = call.tensor
            known.update(self.calls[start:])
        if self.reasons:
            raise refusal(self.program.file, self.reasons)
        output = self.replaced.get(self.program.output, self.program.output)
        return replace(self.program, calls=self.calls, output=output).live()

    def _applied(self, call: Call) -> Call:
        """What a call becomes; itself where that fails, so that all that fails can be told."""
        rule = self.rules.get(call.op)
        try:
            result = rule(self, call) if rule is not None else None
        except ModelError as error:
            self.reasons.append(of_error(error))
            result = None
        return self.emit(call) if result is None else result

    def reader(self, call: Call) -> Call | None:
        """The one call of the program that reads another; None where there is none, or several."""
        readers = [user for user in self.program.calls if call in user.args]
        return readers[0] if len(readers) == 1 else None

    def only(self, call: Call) -> bool:
        """True when nothing but the present call reads it."""
        return self.reads.get(call, 0) == 1

    def error(self, call: Call, what: str, help: str) -> ModelError:
        """An error about a call."""
        return ModelError(what, where=self.program.where(call), help=help)

    def emit(self, call: Call) -> Call:
        """Appends a call."""
        self.calls.append(call)
        return call

    def like(self, call: Call, op: str, args: list[Call | Const], **attrs: object) -> Call:
        """Appends a call with the shape and name of another."""
        return self.emit(Call(op, args, dict(attrs), call.shape, "float32", call.name))


def view(const: Const, move: Callable[[np.ndarray], np.ndarray]) -> Const:
    """The constant with its elements, scales and zero points moved alike."""
    if const.scale is None or const.zero_point is None:
        return Const(move(const.data), source=const.source)
    return Const(move(const.data), move(const.scale), move(const.zero_point), const.source)

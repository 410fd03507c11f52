"""Rounding to integers that a file does and a graph of ours leaves out, with what it can change.

Some exporters write a quantized network in floats: a product, a cast to integers, a division of
integers. Our own quantization takes the place of that rounding, so the calls go on in reals, and
the proof of the import needs to know how far the file's tensors may lie from them.
"""

from __future__ import annotations

import numpy as np

from tinytrain.frontend.program import Call, Const, Program

_BOUNDED = frozenset({"add", "subtract", "reshape", "permute", "slice", "pad"})
"""Operations whose results lie no further apart than their arguments together."""
_BOUNDED_FUNCTIONS = frozenset({"clip", "relu", "relu6"})
"""Functions of one number of which the same holds."""


class Unrounded:
    """What rounding is left out, call by call.

    A bound holds as long as the tensors that layers read are the file's own, which the proof sees
    to: behind anything but a sum, a product with a constant and a move it starts again at zero.
    """

    def __init__(self) -> None:
        self.bounds: dict[Call, float] = {}
        self.whole: set[Call] = set()
        self.other_rounding = False
        """Whether layers of the file round float activations to 8 bits, each sample by itself."""

    def leave_out(self, call: Call) -> None:
        """The file cuts the fraction off the result of a call: less than one is gone."""
        if call not in self.whole:
            self.bounds[call] = self.bounds.get(call, 0.0) + 1.0
            self.whole.add(call)

    def passes(self, call: Call) -> Call:
        """The call, with what is left of the bounds of its arguments behind it."""
        held = [self.bounds.get(arg, 0.0) for arg in call.args if isinstance(arg, Call)]
        if not any(held):
            return call
        bound = sum(held)
        constants = [np.abs(arg.real()) for arg in call.args if isinstance(arg, Const)]
        if call.op == "multiply" and constants:
            bound *= float(constants[0].max())
        elif call.op == "divide" and constants and isinstance(call.args[1], Const):
            least = float(constants[0].min())
            bound = bound / least if least else 0.0
        elif call.op == "unary" and call.attrs["function"] in _BOUNDED_FUNCTIONS:
            pass
        elif call.op not in _BOUNDED:
            return call
        self.bounds[call] = bound
        return call

    def tell(self, program: Program) -> None:
        """Sets the bounds of a program by its tensors, with a note where there are any."""
        program.other_rounding = self.other_rounding
        program.unrounded = {
            call.tensor: self.bounds[call]
            for call in program.calls
            if call.tensor is not None and call in self.bounds
        }
        count = sum(call in self.whole for call in program.calls)
        if count:
            program.notes.append(
                f"the model cuts numbers to integers in {count} places, each by less than 1; that "
                "is left out, as our own quantization takes the place of it"
            )

"""Finds expressions of one number: what makes one tensor from one other, element by element.

On the device each is one table of 256 entries, whatever it consists of. In a quantized model the
rounding between its parts is part of the expression, so that the table holds what the parts gave.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from tinytrain.frontend.lower.activations import number_of
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.ir.expression import BINARY, EXPRESSION, MOST_STEPS, Step, value_and_slope
from tinytrain.ir.unary import evaluate

_ROUNDING = frozenset({"quantize", "dequantize"})
_LAYERS = frozenset({"conv", "dense"})


def find_expressions(program: Program) -> Program:
    """The program with an `activation` in the place of each expression.

    An expression reads one tensor and numbers, and nothing else reads what is inside of it. Sums
    and products with numbers right behind a layer stay and go into the layer; so does a clip there.
    """
    finder = _Finder(program)
    roots: dict[Call, tuple[list[Call], Call]] = {}
    gone: set[Call] = set()
    for call in reversed(program.calls):
        if call in gone or call.op in _ROUNDING or not finder.is_of_one_number(call):
            continue
        found = finder.region(call)
        if found is not None:
            roots[call] = found
            gone.update(found[0])
    if not roots:
        return program
    return _replaced(program, roots, gone, finder)


def _replaced(
    program: Program,
    roots: Mapping[Call, tuple[list[Call], Call]],
    gone: Collection[Call],
    finder: _Finder,
) -> Program:
    moved: dict[Call, Call] = {}
    calls = []
    for call in program.calls:
        call.args = [moved.get(arg, arg) if isinstance(arg, Call) else arg for arg in call.args]
        if call in roots:
            region, entry = roots[call]
            attrs = _attrs(finder.steps(region, entry))
            source = moved.get(entry, entry)
            made = Call(
                "activation", [source], attrs, call.shape, "float32", call.name, call.tensor
            )
            moved[call] = made
            calls.append(made)
        elif call not in gone:
            calls.append(call)
    return replace(program, calls=calls, output=moved.get(program.output, program.output)).live()


class _Finder:
    """Grows expressions backwards from their last operation."""

    def __init__(self, program: Program) -> None:
        self.output = program.output
        self.place = {call: place for place, call in enumerate(program.calls)}
        # Of one tensor every reader may have a dequantize of its own: they are one here.
        self.first: dict[Call, Call] = {}
        seen: dict[Call, Call] = {}
        for call in program.calls:
            if call.op == "dequantize":
                self.first[call] = seen.setdefault(call.source(), call)
        self.users: dict[Call, list[Call]] = {}
        for call in program.calls:
            for arg in call.args:
                if isinstance(arg, Call):
                    self.users.setdefault(self.first.get(arg, arg), []).append(call)

    def sources(self, call: Call) -> list[Call]:
        """The calls that a call reads."""
        return [self.first.get(arg, arg) for arg in call.args if isinstance(arg, Call)]

    def is_of_one_number(self, call: Call) -> bool:
        """Whether a call works element by element, on calls of its shape and on numbers."""
        if call.op in ("activation", "clip", *_ROUNDING):
            return True
        if call.op not in BINARY or any(s.shape != call.shape for s in self.sources(call)):
            return False
        constants = [arg for arg in call.args if isinstance(arg, Const)]
        return all(number_of(const) is not None for const in constants)

    def region(self, root: Call) -> tuple[list[Call], Call] | None:
        """The calls of the largest expression that ends in `root`, and the one call that it reads.

        None where it would be no more than one operation, or what a layer takes into itself.
        """
        region = [root]
        best: tuple[list[Call], Call] | None = None
        gained = False
        counted = 0
        while True:
            gained |= self._gains(region[counted:])
            counted = len(region)
            inside = set(region)
            edge = {s for call in region for s in self.sources(call)} - inside
            if len(edge) == 1 and gained:
                (entry,) = edge
                if entry.op != "quantize":
                    best, gained = (list(region), entry), False
            last = max(edge, key=lambda call: self.place.get(call, -1))
            if not self._is_inner(last, inside) or len(region) >= MOST_STEPS:
                break
            region.append(last)
        if best is None or not self._is_worth_it(best[0]):
            return None
        return best

    def _is_inner(self, call: Call, inside: Collection[Call]) -> bool:
        read = all(self.first.get(user, user) in inside for user in self.users[call])
        return call is not self.output and read and self.is_of_one_number(call)

    def _is_worth_it(self, region: list[Call]) -> bool:
        computing = [call for call in region if call.op not in _ROUNDING]
        if len(computing) > 1:
            # Sums and products with numbers alone go into the layer behind them.
            return any(
                call.op in ("activation", "clip") or len(self.sources(call)) == 2
                for call in computing
            )
        (only,) = computing
        # A product of a tensor with itself.
        return only.op == "multiply" and len(self.sources(only)) == 2

    def _gains(self, calls: list[Call]) -> bool:
        """Whether any of the calls is more than what the layer before it takes into itself."""
        return any(
            call.op == "activation"
            or (call.op in BINARY and (len(self.sources(call)) == 2 or not self._folds(call)))
            for call in calls
        )

    def _folds(self, call: Call) -> bool:
        """Whether a sum or product with a number follows a layer that it alone reads."""
        while call.op in ("add", "multiply", "reshape") and len(self.sources(call)) == 1:
            (source,) = self.sources(call)
            if len(self.users[source]) != 1:
                return False
            call = source
        return call.op in _LAYERS

    def steps(self, region: list[Call], entry: Call) -> list[Step]:
        """What the calls of an expression compute, in order."""
        numbers = {entry: 0}
        steps: list[Step] = []
        for call in sorted(region, key=lambda inner: self.place[inner]):
            reads = tuple(numbers[source] for source in self.sources(call))
            if call.op == "dequantize":
                numbers[call] = reads[0]
                continue
            steps.append(_function(call, reads))
            numbers[call] = len(steps)
        return steps


def _function(call: Call, reads: tuple[int, ...]) -> Step:
    attrs = call.attrs
    if call.op == "activation":
        return attrs["function"], reads, attrs["alpha"], attrs["beta"]
    if call.op == "clip":
        return "clip", reads, attrs["low"], attrs["high"]
    if call.op == "quantize":
        return "quantize", reads, attrs["scale"], float(attrs["zero_point"])
    if len(reads) == 2:
        return call.op, reads, 0.0, 0.0
    number = number_of(call.args[1])
    assert number is not None
    scale, shift = (1.0, number) if call.op == "add" else (number, 0.0)
    return "linear", reads, scale, shift


_NAMED = (
    "hard_swish", "gelu", "gelu_tanh", "silu", "mish", "softsign", "tanh_shrink", "log_sigmoid",
    "selu", "square", "absolute", "sigmoid",
)  # fmt: skip
"""Functions without parameters that exporters write out."""

_NEAR, _FAR = np.linspace(-9.0, 9.0, 61), np.linspace(-300.0, 300.0, 101)
"""Where they are told apart: near zero, and far off, where a bound shows that has no name."""


def _attrs(steps: list[Step]) -> dict[str, object]:
    """An expression as attributes of an activation: by its name, where it has one.

    Constants are compared with a tolerance of 1e-5: exporters round them to float32.
    """
    for name, alpha in (*((name, 0.0) for name in _NAMED), ("softplus", 1.0)):
        if _is_alike(steps, name, alpha):
            return {"function": name, "alpha": alpha, "beta": 0.0}
    return {"function": EXPRESSION, "alpha": 0.0, "beta": 0.0, "steps": tuple(steps)}


def _is_alike(steps: list[Step], name: str, alpha: float) -> bool:
    near, _ = value_and_slope(steps, _NEAR)
    if not np.allclose(near, evaluate(name, _NEAR, alpha), rtol=1e-5, atol=1e-5):
        return False
    far, _ = value_and_slope(steps, _FAR)
    # Parts that are written out lose digits far off, or leave the range of floats.
    known = np.isfinite(far)
    return np.allclose(far[known], evaluate(name, _FAR[known], alpha), rtol=0.05, atol=1e-5)

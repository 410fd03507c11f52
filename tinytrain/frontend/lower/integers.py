"""Brings the integer side of an imported model to one form: f32 -> quantize -> dequantize -> f32.

After this step every activation integer is s8 (u8 is shifted by 128, which changes no real value;
s16 keeps its upper eight bits), every computation is between `dequantize` and `quantize`, and the
inputs of the model are f32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.frontend.program import Call, Program
from tinytrain.frontend.vocabulary import VOCABULARY

_ON_INTEGERS = frozenset({"concat", "pool", "pad", "reduce"})
"""What may stand between integers of one scale beside rows that only move elements."""


@dataclass(frozen=True)
class Affine:
    """Meaning of an s8 activation: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int

    def attrs(self) -> dict[str, float | int]:
        """As attributes of a quantize or dequantize call."""
        return {"scale": self.scale, "zero_point": self.zero_point}


@dataclass(frozen=True)
class _Width:
    """How integers of a dtype become s8: q8 = (q - shift) / step."""

    shift: int
    step: int


_WIDTHS = {"int8": _Width(0, 1), "uint8": _Width(128, 1), "int16": _Width(0, 256)}


class _Rewriter:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.calls: list[Call] = []
        self.replaced: dict[Call, Call] = {}
        self.affine: dict[Call, Affine] = {}
        self.users = program.users()
        self.narrowed = 0

    def run(self) -> Program:
        inputs = [self._input(call) for call in self.program.inputs]
        for call in self.program.calls:
            call.args = [
                self.replaced.get(arg, arg) if isinstance(arg, Call) else arg for arg in call.args
            ]
            self._rewrite(call)
        output = self.replaced.get(self.program.output, self.program.output)
        if output.dtype == "int8":
            output = self._dequantize(output)
        notes = list(self.program.notes)
        if self.narrowed:
            notes.append(
                f"{self.narrowed} activations of 16 bits were quantized to 8: their scales are 256 "
                "times as coarse"
            )
        return replace(
            self.program,
            inputs=inputs,
            calls=self.calls,
            output=output,
            notes=notes,
            other_rounding=self.program.other_rounding or self.narrowed > 0,
        )

    def _emit(self, op: str, arg: Call, affine: Affine, like: Call) -> Call:
        dtype = "int8" if op == "quantize" else "float32"
        call = Call(op, [arg], dict(affine.attrs()), arg.shape, dtype, like.name, like.tensor)
        self.calls.append(call)
        if op == "quantize":
            self.affine[call] = affine
        return call

    def _dequantize(self, call: Call) -> Call:
        return self._emit("dequantize", call, self._known(call), call)

    def _known(self, call: Call) -> Affine:
        if call not in self.affine:
            raise ModelError(
                f"the integers that '{call.op}' yields have no scale",
                where=self.program.where(call),
                help="quantize the model to int8 with scales (QDQ), or give the float model",
            )
        return self.affine[call]

    def _input(self, call: Call) -> Call:
        if call.dtype == "float32":
            return call
        if call.dtype not in _WIDTHS:
            raise ModelError(
                f"the input '{call.name}' is {call.dtype}; float32, int8, uint8 and int16 can be "
                "read",
                where=self.program.where(call),
                help="export the model with a float32 input",
            )
        found = self._meaning_of(call)
        source = Call("input", [], {}, call.shape, "float32", call.name, call.tensor)
        self.replaced[call] = self._emit("quantize", source, found, call)
        return source

    def _meaning_of(self, call: Call) -> Affine:
        """Searches forward for the dequantize that says what the integers of an input mean."""
        reached = [call]
        for item in reached:
            for user in self.users.get(item, []):
                if user.op == "dequantize":
                    return self._parameters(user, call.dtype)
                reached.append(user)
        return self._known(call)

    def _parameters(self, call: Call, dtype: str) -> Affine:
        """Scale and zero point of a quantize or dequantize of an activation, made those of s8."""
        width = _WIDTHS.get(dtype)
        if width is None:
            raise ModelError(
                f"an activation is quantized to {dtype}; int8, uint8 and int16 can be read",
                where=self.program.where(call),
                help="quantize activations to int8 or uint8",
            )
        held, point = np.iinfo(dtype), call.attrs["zero_point"]
        if not held.min <= point <= held.max:
            raise ModelError(
                f"an activation of {dtype} has the zero point {point}, which {dtype} does not hold",
                where=self.program.where(call),
                help="convert the model again; it may be damaged",
            )
        scale = float(np.float32(call.attrs["scale"] * width.step))
        if width.step > 1 and call.op == "quantize":
            self.narrowed += 1
        return Affine(scale, round((point - width.shift) / width.step))

    def _rewrite(self, call: Call) -> None:
        if call.op == "quantize":
            affine = self._parameters(call, call.dtype)
            self.replaced[call] = self._emit("quantize", call.source(), affine, call)
        elif call.op == "dequantize":
            source = call.source()
            dtype = "int8" if source in self.affine else source.dtype
            affine = self.affine.get(source) or self._parameters(call, dtype)
            self.replaced[call] = self._emit("dequantize", source, affine, call)
        elif call.dtype != "float32":
            self._integer(call)
        else:
            self.calls.append(call)

    def _integer(self, call: Call) -> None:
        sources = [arg for arg in call.args if isinstance(arg, Call)]
        if call.op == "unary" and call.attrs["function"] == "clip":
            self.replaced[call] = self._clip(call, sources[0])
            return
        able = VOCABULARY[call.op].moves or call.op in _ON_INTEGERS
        if not able or len(sources) != len(call.args):
            raise ModelError(
                f"operation '{call.op}' computes on integers without a scale",
                where=self.program.where(call),
                help="export the model with quantize and dequantize nodes around it (QDQ)",
            )
        affine = self._known(sources[0])
        reals = [self._dequantize(source) for source in sources]
        attrs = dict(call.attrs)
        if call.op == "pad":
            attrs["value"] = affine.scale * (attrs["value"] - affine.zero_point)
        moved = Call(call.op, list(reals), attrs, call.shape, "float32", call.name, call.tensor)
        self.calls.append(moved)
        self.replaced[call] = self._emit("quantize", moved, affine, call)

    def _clip(self, call: Call, source: Call) -> Call:
        """A clip of integers: nothing, or a clip of the reals that they stand for."""
        affine = self._known(source)
        width = _WIDTHS.get(call.dtype, _WIDTHS["int8"])
        low, high = ((call.attrs[bound] - width.shift) / width.step for bound in ("alpha", "beta"))
        if low <= -128 and high >= 127:
            return source
        attrs = {
            "function": "clip",
            "alpha": affine.scale * (low - affine.zero_point) if low > -128 else float("-inf"),
            "beta": affine.scale * (high - affine.zero_point) if high < 127 else float("inf"),
        }
        real = self._dequantize(source)
        clip = Call("unary", [real], attrs, call.shape, "float32", call.name, call.tensor)
        self.calls.append(clip)
        return self._emit("quantize", clip, affine, call)


def normalise_integers(program: Program) -> Program:
    """The program with s8 activations only, each written by a quantize (see above).

    Raises:
        ModelError: integers without a scale, or with one that tinytrain has no place for.
    """
    return _Rewriter(program).run()

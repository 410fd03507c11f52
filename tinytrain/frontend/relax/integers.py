"""Brings the integer side of an imported model to one form: f32 -> quantize -> dequantize -> f32.

After this step every activation integer is s8 (u8 is shifted by 128, which changes no real value),
every computation is between `dequantize` and `quantize`, and the input of the model is f32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.frontend.relax.calls import Call, Const, Program
from tinytrain.frontend.relax.fold import clip_bounds

_MOVES = frozenset(
    {"reshape", "permute_dims", "squeeze", "expand_dims", "flatten", "nn.max_pool2d", "concat"}
)
_COMPUTES = frozenset({"nn.avg_pool2d", "mean"})
_SHIFT = {"int8": 0, "uint8": 128}


@dataclass(frozen=True)
class Affine:
    """Meaning of an s8 activation: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int

    def attrs(self) -> dict[str, float | int]:
        """As attributes of a quantize or dequantize call."""
        return {"scale": self.scale, "zero_point": self.zero_point}


class _Rewriter:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.calls: list[Call] = []
        self.replaced: dict[Call, Call] = {}
        self.affine: dict[Call, Affine] = {}
        self.users = program.users()

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
        program = self.program
        return Program(inputs, self.calls, output, program.file, program.notes)

    def _emit(self, op: str, arg: Call, affine: Affine, dtype: str) -> Call:
        call = Call(op, [arg], dict(affine.attrs()), arg.shape, dtype, arg.name)
        self.calls.append(call)
        if op == "quantize":
            self.affine[call] = affine
        return call

    def _dequantize(self, call: Call) -> Call:
        return self._emit("dequantize", call, self._known(call), "float32")

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
        if call.dtype not in _SHIFT:
            raise ModelError(
                f"the input '{call.name}' is {call.dtype}; float32, int8 and uint8 can be read",
                where=self.program.where(call),
                help="export the model with a float32 input",
            )
        found = self._meaning_of(call)
        source = Call("input", [], {}, call.shape, "float32", call.name)
        self.replaced[call] = self._emit("quantize", source, found, "int8")
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
        """Scale and zero point of a quantize or dequantize of an activation, shifted to s8."""
        scale, zero_point = call.args[1:3]
        if not isinstance(scale, Const) or not isinstance(zero_point, Const):
            raise ModelError(
                "an activation is quantized with a scale computed while the model runs",
                where=self.program.where(call),
                help="use static quantization, which fixes scales from calibration data",
            )
        scales, points = np.unique(scale.data), np.unique(zero_point.data)
        if scales.size != 1 or points.size != 1:
            raise ModelError(
                "an activation is quantized per channel",
                where=self.program.where(call),
                help="quantize activations per tensor; only weights have a scale per channel",
            )
        if dtype not in _SHIFT:
            raise ModelError(
                f"an activation is quantized to {dtype}; int8 and uint8 can be read",
                where=self.program.where(call),
                help="quantize activations to int8 or uint8",
            )
        value = float(np.float32(scales[0]))
        if not (np.isfinite(value) and value > 0):
            raise ModelError(
                f"a scale is {value:g}, which is no step between numbers",
                where=self.program.where(call),
                help="quantize the model again",
            )
        return Affine(value, int(points[0]) - _SHIFT[dtype])

    def _rewrite(self, call: Call) -> None:
        if call.op == "quantize":
            affine = self._parameters(call, call.dtype)
            self.replaced[call] = self._emit("quantize", call.source(), affine, "int8")
        elif call.op == "dequantize":
            source = call.source()
            dtype = "int8" if source in self.affine else source.dtype
            affine = self.affine.get(source) or self._parameters(call, dtype)
            self.replaced[call] = self._emit("dequantize", source, affine, "float32")
        elif call.dtype in ("int8", "uint8", "int32") and call.op != "input":
            self._integer(call)
        else:
            self.calls.append(call)

    def _integer(self, call: Call) -> None:
        sources = [arg for arg in call.args if isinstance(arg, Call)]
        if call.op == "astype" and sources and sources[0] in self.affine:
            self.replaced[call] = sources[0]
            return
        if call.op == "clip" and sources:
            self.replaced[call] = self._clip(call, sources[0])
            return
        if call.op not in _MOVES | _COMPUTES or len(sources) != len(call.args):
            raise ModelError(
                f"operation '{call.op}' computes on integers without a scale",
                where=self.program.where(call),
                help="export the model with quantize and dequantize nodes around it (QDQ)",
            )
        affine = self._known(sources[0])
        reals = [self._dequantize(source) for source in sources]
        moved = Call(call.op, list(reals), call.attrs, call.shape, "float32", call.name)
        self.calls.append(moved)
        self.replaced[call] = self._emit("quantize", moved, affine, "int8")

    def _clip(self, call: Call, source: Call) -> Call:
        """A clip of integers: nothing, or a clip of the reals that they stand for."""
        affine = self._known(source)
        shift = _SHIFT.get(call.dtype, 0)
        low, high = (bound - shift for bound in clip_bounds(call))
        if low <= -128 and high >= 127:
            return source
        real = self._dequantize(source)
        bounds = tuple(
            affine.scale * (bound - affine.zero_point) if limit else limitless
            for bound, limit, limitless in (
                (low, low > -128, float("-inf")),
                (high, high < 127, float("inf")),
            )
        )
        clip = Call("clip", [real], {"plain": bounds}, call.shape, "float32", call.name)
        self.calls.append(clip)
        return self._emit("quantize", clip, affine, "int8")


def normalise_integers(program: Program) -> Program:
    """The program with s8 activations only, each written by a quantize (see above).

    Raises:
        ModelError: integers without a scale, or with one that tinytrain has no place for.
    """
    return _Rewriter(program).run()

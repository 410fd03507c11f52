"""Writes a `Program` call by call: checks each against the vocabulary, works out constants.

The readers of all formats share it. Besides `emit` it has the few spellings that every format needs
written out: a bias, a batch normalisation, a mean over a map, integers with their scales.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.constants import along_axis, dtype_of, is_finite
from tinytrain.frontend.program import MAX_ELEMENTS, Call, Const, Program, Shape
from tinytrain.frontend.refusals import constant_output
from tinytrain.frontend.unrounded import Unrounded
from tinytrain.frontend.vocabulary import VOCABULARY

Tensor = Call | Const

_BOUNDS = frozenset({"maximum", "minimum"})
"""Whose constant may be infinite: a bound that is none."""


class ProgramBuilder:
    """A program under construction.

    Attributes:
        file: name of the user's file, for errors.
        channels_last: whether the format has the channels of a map last.
        node: the node of that file that is being read; calls are named after it.
        unrounded: what rounding in the file is left out of the calls.
    """

    def __init__(self, file: str | None, channels_last: bool = False) -> None:
        self.file = file
        self.channels_last = channels_last
        self.node: str | None = None
        self.inputs: list[Call] = []
        self.calls: list[Call] = []
        self.notes: list[str] = []
        self.unrounded = Unrounded()

    # --- errors -----------------------------------------------------------------------------------

    def error(self, what: str, help: str) -> ModelError:
        """An error about the node that is being read."""
        return ModelError(what, where=Where(self.file, self.node), help=help)

    @contextmanager
    def reading(self, node: str) -> Iterator[None]:
        """Names the calls that are made inside after a node of the user's file."""
        before, self.node = self.node, node
        try:
            yield
        finally:
            self.node = before

    # --- tensors ----------------------------------------------------------------------------------

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> Call:
        """An input of the model."""
        call = Call("input", [], {}, shape, dtype, name)
        self.inputs.append(call)
        return call

    def emit(self, op: str, args: Sequence[Tensor], **attrs: Any) -> Tensor:
        """Appends a call, or works it out where all its arguments are constant.

        Raises:
            ModelError: its arguments do not fit together, or the result is larger than any target.
        """
        row = VOCABULARY[op]
        assert frozenset(attrs) == row.attrs, f"{op} takes {sorted(row.attrs)}, got {sorted(attrs)}"
        try:
            if row.evaluate is not None and all(isinstance(arg, Const) for arg in args):
                return self._worked_out(op, [a for a in args if isinstance(a, Const)], attrs)
            shape = row.shape([arg.shape for arg in args], attrs)
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            shapes = ", ".join(str(list(arg.shape)) for arg in args)
            raise self.error(
                f"operation '{op}' does not fit tensors of {shapes}",
                "export or convert the model again; it may be damaged",
            ) from error
        if any(extent < 1 for extent in shape):
            raise self.error(
                f"'{op}' yields the shape {list(shape)}, so nothing is left of the map there",
                "give the model a larger input, or look at its windows and paddings",
            )
        if int(np.prod(shape, dtype=np.int64)) > MAX_ELEMENTS:
            raise self.error(
                f"'{op}' yields {int(np.prod(shape, dtype=np.int64))} numbers, more than any "
                "target holds",
                "use a smaller model or input",
            )
        call = Call(op, list(args), dict(attrs), shape, dtype_of(op, args, attrs), self.node)
        self.calls.append(call)
        return self.unrounded.passes(call)

    def _worked_out(self, op: str, args: list[Const], attrs: dict[str, Any]) -> Const:
        row = VOCABULARY[op]
        assert row.evaluate is not None
        first = args[0]
        shape = row.shape([arg.shape for arg in args], attrs)
        if int(np.prod(shape, dtype=np.int64)) > MAX_ELEMENTS:
            raise ValueError("a constant larger than any target")
        if row.moves and first.scale is not None and first.zero_point is not None:
            data, scale, zero_point = (
                row.evaluate([held], attrs) for held in (first.data, first.scale, first.zero_point)
            )
            return Const(data, scale, zero_point, first.source)
        value = row.evaluate([arg.real() for arg in args], attrs)
        return Const(value, source=first.source if row.moves else None)

    def named(self, tensor: Tensor, name: str) -> Tensor:
        """Says which tensor of the user's file a call computes."""
        if isinstance(tensor, Call) and tensor.op != "input":
            tensor.tensor = name
        return tensor

    # --- integers ---------------------------------------------------------------------------------

    def quantize(self, x: Tensor, scale: float, zero_point: int, dtype: str) -> Tensor:
        """x in integers: clamp(round(x / scale) + zero_point), halves to even."""
        self._check_scale(scale)
        if isinstance(x, Const):
            limits = np.iinfo(dtype)
            q = np.rint(np.asarray(x.real(), dtype=np.float32) / np.float32(scale)) + zero_point
            data = np.clip(q, limits.min, limits.max).astype(dtype)
            return self._with_meaning(data, np.float32(scale), zero_point, None)
        return self.emit("quantize", [x], scale=scale, zero_point=zero_point, dtype=dtype)

    def dequantize(
        self, x: Tensor, scale: np.ndarray | float, zero_point: np.ndarray | int, axis: int = 0
    ) -> Tensor:
        """The reals that integers stand for.

        Args:
            scale, zero_point: one number, or for a constant one for each index along `axis`.
        """
        scales = np.asarray(scale, dtype=np.float32)
        points = np.asarray(zero_point, dtype=np.int64)
        if isinstance(x, Const):
            if x.scale is not None:
                return x
            return self._with_meaning(
                x.data,
                along_axis(scales, axis, x.shape),
                along_axis(points, axis, x.shape),
                x.source,
            )
        if np.unique(scales).size != 1 or np.unique(points).size != 1:
            raise self.error(
                "an activation is quantized per channel",
                "quantize activations per tensor; only weights have a scale per channel",
            )
        self._check_scale(float(scales.reshape(-1)[0]))
        return self.emit(
            "dequantize", [x],
            scale=float(scales.reshape(-1)[0]), zero_point=int(points.reshape(-1)[0]),
        )  # fmt: skip

    def _with_meaning(
        self, data: np.ndarray, scale: Any, zero_point: Any, source: str | None
    ) -> Const:
        scales = np.broadcast_to(np.asarray(scale, dtype=np.float32), data.shape)
        points = np.broadcast_to(np.asarray(zero_point, dtype=np.int64), data.shape)
        return Const(data, scales, points, source)

    def _check_scale(self, scale: float) -> None:
        if not (np.isfinite(scale) and scale > 0):
            raise self.error(
                f"a scale is {scale:g}, which is no step between numbers",
                "quantize the model again",
            )

    # --- spellings --------------------------------------------------------------------------------

    def unary(self, x: Tensor, function: str, alpha: float = 0.0, beta: float = 0.0) -> Tensor:
        """A function of one number; nothing is left of an identity or a clip without bounds."""
        if function == "identity" or (function == "clip" and alpha == -np.inf and beta == np.inf):
            return x
        return self.emit("unary", [x], function=function, alpha=float(alpha), beta=float(beta))

    def conv(
        self,
        x: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        *,
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilation: tuple[int, int],
        groups: int,
        channel_axis: int,
    ) -> Tensor:
        """A convolution with weights [O, KH, KW, I/groups], which must be constant."""
        if not isinstance(x, Call) or not isinstance(weights, Const):
            raise self.error(
                "a convolution has weights that are not constant",
                "export the model with its weights as constants",
            )
        if x.shape[channel_axis] != weights.shape[3] * groups or weights.shape[0] % groups:
            raise self.error(
                f"a convolution in {groups} groups with weights {list(weights.shape)} reads "
                f"{x.shape[channel_axis]} channels",
                "export the model again; it may be damaged",
            )
        return self.emit(
            "conv", [x, weights, self._bias(bias, weights.shape[0])],
            strides=strides, padding=padding, dilation=dilation, groups=groups,
            channel_axis=channel_axis,
        )  # fmt: skip

    def dense(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """A matrix product with weights [O, I], constant; x is [..., I] with one row.

        Raises:
            ModelError: weights that are computed, or x of several rows.
        """
        if not isinstance(weights, Const) or len(weights.shape) != 2:
            raise self.error(
                "a matrix product has no constant 2-D weights",
                "attention and products of two activations are not supported; use convolutions "
                "and dense layers",
            )
        rows = x.shape[:-1]
        if int(np.prod(rows, dtype=np.int64)) != 1:
            return self._dense_rows(x, weights, bias)
        flat = x if len(x.shape) == 2 else self.reshape(x, (1, x.shape[-1]))
        result = self.emit("dense", [flat, weights, self._bias(bias, weights.shape[0])])
        wanted = (*rows, weights.shape[0])
        return result if result.shape == wanted else self.reshape(result, wanted)

    def _dense_rows(self, x: Tensor, weights: Const, bias: Tensor | None) -> Tensor:
        """A dense layer along the last axis of a map: a 1x1 convolution."""
        rank = len(x.shape)
        if rank not in (3, 4) or x.shape[0] != 1:
            raise self.error(
                f"a dense layer is applied to {list(x.shape)}, that is to several rows at once",
                "export the model with a batch of 1",
            )
        out, per_input = weights.shape
        kernel = self.reshape(weights, (out, 1, 1, per_input))
        return self.conv(
            x, kernel, bias, strides=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1,
            channel_axis=rank - 1,
        )  # fmt: skip

    def _bias(self, bias: Tensor | None, count: int) -> Const:
        if bias is None:
            return Const(np.zeros(count, dtype=np.float32))
        if not isinstance(bias, Const) or int(np.prod(bias.shape, dtype=np.int64)) not in (
            1,
            count,
        ):
            raise self.error(
                "the bias of a layer is not constant, or has another size than its output",
                "export the model with its weights as constants",
            )
        if bias.scale is None and bias.data.size == 1 != count:
            return Const(np.full(count, bias.data.reshape(()), dtype=bias.data.dtype))
        flat = self.reshape(bias, (bias.data.size,))
        assert isinstance(flat, Const)
        return flat

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """x under another shape; itself where it has that shape."""
        return x if x.shape == shape else self.emit("reshape", [x], shape=shape)

    # --- the whole --------------------------------------------------------------------------------

    def finish(self, output: Tensor) -> Program:
        """The program, without what its output does not need.

        Raises:
            ModelError: the output does not depend on the input, or a constant is NaN or infinite.
        """
        if not isinstance(output, Call) or output.op == "input":
            raise constant_output(self.file)
        program = Program(
            self.inputs, self.calls, output, self.file, self.notes, self.channels_last
        ).live()
        self.unrounded.tell(program)
        for call in program.calls:
            if call.op in _BOUNDS:
                continue
            for arg in call.args:
                if isinstance(arg, Const) and not is_finite(arg):
                    raise ModelError(
                        "a constant of the model holds NaN or infinity",
                        where=program.where(call),
                        help="a mask or a maximum with minus infinity can be left out of what runs "
                        "on the device; weights that are not finite must be trained again",
                    )
        return program

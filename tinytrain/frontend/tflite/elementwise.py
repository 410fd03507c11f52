"""TFLite operators that work element by element, and those at the end of a classifier."""

from __future__ import annotations

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.pieces import Relation, compare, select
from tinytrain.frontend.program import Const
from tinytrain.frontend.tflite.batched import Batched
from tinytrain.frontend.tflite.operands import TfliteOperands, TfliteRow, activated, row


def _binary(op: str) -> TfliteRow:
    def read(operands: TfliteOperands) -> list[Tensor | Batched]:
        a, b = operands.held(), operands.held(1)
        result: Tensor | Batched
        if isinstance(a, Batched) and isinstance(b, Const):
            inner = operands.builder.emit(op, [a.whole, b])
            return [Batched(activated(operands, inner), a.blocks)]
        result = operands.builder.emit(op, [operands.x(), operands.x(1)])
        return [activated(operands, result)]

    # The scale of a sum of 16-bit integers is a matter of TFLite's kernels.
    return row(read, "FusedActivationFunction", "PotScaleInt16")


def _pair(op: str) -> TfliteRow:
    """An operation of two tensors without options."""
    return row(lambda operands: [operands.builder.emit(op, [operands.x(), operands.x(1)])])


def _compare(relation: Relation) -> TfliteRow:
    return row(lambda operands: [compare(operands.builder, operands.x(), operands.x(1), relation)])


def _select(operands: TfliteOperands) -> list[Tensor]:
    return [select(operands.builder, operands.x(), operands.x(1), operands.x(2))]


def _squared_difference(operands: TfliteOperands) -> list[Tensor]:
    builder = operands.builder
    difference = builder.emit("subtract", [operands.x(), operands.x(1)])
    return [builder.unary(difference, "square")]


def _unary(function: str, alpha: float = 0.0, beta: float = 0.0) -> TfliteRow:
    def read(operands: TfliteOperands) -> list[Tensor | Batched]:
        x = operands.held()
        if isinstance(x, Batched):
            return [Batched(operands.builder.unary(x.whole, function, alpha, beta), x.blocks)]
        return [operands.builder.unary(x, function, alpha, beta)]

    return row(read)


def _leaky_relu(operands: TfliteOperands) -> list[Tensor]:
    return [operands.builder.unary(operands.x(), "leaky_relu", operands.option("Alpha"))]


def _gelu(operands: TfliteOperands) -> list[Tensor]:
    function = "gelu_tanh" if operands.option("Approximate") else "gelu"
    return [operands.builder.unary(operands.x(), function)]


def _power(operands: TfliteOperands) -> list[Tensor]:
    exponent = operands.x(1)
    if not isinstance(exponent, Const) or exponent.data.size != 1:
        raise operands.builder.error(
            "a power with an exponent that is not one constant number is not supported",
            "use a square, a square root, or multiply",
        )
    return [operands.builder.unary(operands.x(), "power", float(exponent.real().reshape(())))]


def _softmax(operands: TfliteOperands) -> list[Tensor]:
    x, builder = operands.x(), operands.builder
    beta = operands.option("Beta")
    if beta != 1.0:
        x = builder.emit("multiply", [x, Const(np.full((), beta, np.float32))])
    return [builder.emit("softmax", [x], axis=len(x.shape) - 1)]


def _log_softmax(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x()
    return [operands.builder.emit("log_softmax", [x], axis=len(x.shape) - 1)]


def _argmax(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x()
    (axis,) = operands.numbers(1)
    axis %= len(x.shape)
    return [operands.builder.emit("argmax", [x], axis=axis, keep=False)]


def _same(operands: TfliteOperands) -> list[Tensor]:
    """What changes the meaning of integers alone; the reader quantizes the result as declared."""
    return [operands.x()]


def _cast(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x()
    if isinstance(x, Const):
        return [x]
    if operands.file_tensor().dtype in ("float32", "float16"):
        target = operands.model.tensors[operands.operator.outputs[0]].dtype
        if target in ("float32", "float16"):
            return [x]
    raise operands.builder.error(
        "a cast of activations between integers and floats is not supported",
        "leave the cast out: integers with a scale are read as the reals that they stand for",
    )


ELEMENTWISE: dict[str, TfliteRow] = {
    "ADD": _binary("add"),
    "SUB": _binary("subtract"),
    "MUL": _binary("multiply"),
    "DIV": _binary("divide"),
    "MAXIMUM": _pair("maximum"),
    "MINIMUM": _pair("minimum"),
    "SQUARED_DIFFERENCE": row(_squared_difference),
    "RELU": _unary("relu"),
    "RELU6": _unary("relu6"),
    "RELU_N1_TO_1": _unary("clip", -1.0, 1.0),
    "RELU_0_TO_1": _unary("clip", 0.0, 1.0),
    "LEAKY_RELU": row(_leaky_relu, "Alpha"),
    "ELU": _unary("elu", 1.0),
    "GELU": row(_gelu, "Approximate"),
    "HARD_SWISH": _unary("hard_swish"),
    "LOGISTIC": _unary("sigmoid"),
    "TANH": _unary("tanh"),
    "EXP": _unary("exp"),
    "LOG": _unary("log"),
    "SQRT": _unary("sqrt"),
    "RSQRT": _unary("rsqrt"),
    "SQUARE": _unary("square"),
    "ABS": _unary("absolute"),
    "NEG": _unary("linear", -1.0, 0.0),
    "SIN": _unary("sin"),
    "COS": _unary("cos"),
    "FLOOR": _unary("floor"),
    "CEIL": _unary("ceil"),
    "ROUND": _unary("round"),
    "SIGN": _unary("sign"),
    "POW": row(_power),
    "GREATER": _compare(">"),
    "GREATER_EQUAL": _compare(">="),
    "LESS": _compare("<"),
    "LESS_EQUAL": _compare("<="),
    # Truth is 1 or 0 here.
    "LOGICAL_NOT": _unary("linear", -1.0, 1.0),
    "LOGICAL_AND": _pair("multiply"),
    "LOGICAL_OR": _pair("maximum"),
    "SELECT": row(_select),
    "SELECT_V2": row(_select),
    "SOFTMAX": row(_softmax, "Beta"),
    "LOG_SOFTMAX": row(_log_softmax),
    "ARG_MAX": row(_argmax, "", "OutputType"),
    "QUANTIZE": row(_same),
    "DEQUANTIZE": row(_same),
    # The tensors tell both.
    "CAST": row(_cast, "", "InDataType OutDataType"),
}

"""ONNX operations that work element by element, and those at the end of a classifier."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.onnx.operands import OnnxOperands, OnnxRow, axis_of, row
from tinytrain.frontend.pieces import Relation, compare, is_whole, select
from tinytrain.frontend.program import Call, Const


def _binary(op: str) -> OnnxRow:
    return row(lambda operands: [operands.builder.emit(op, [operands.x(), operands.x(1)])])


def _many(op: str) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        result = operands.x()
        for number in range(1, len(operands.inputs)):
            result = operands.builder.emit(op, [result, operands.x(number)])
        return [result]

    return row(read)


def _mean(operands: OnnxOperands) -> list[Tensor]:
    builder, result = operands.builder, operands.x()
    for number in range(1, len(operands.inputs)):
        result = builder.emit("add", [result, operands.x(number)])
    count = Const(np.full((), float(len(operands.inputs))))
    return [builder.emit("divide", [result, count])]


def _unary(function: str, alpha: float = 0.0, beta: float = 0.0) -> OnnxRow:
    return row(lambda operands: [operands.builder.unary(operands.x(), function, alpha, beta)])


def _with_alpha(function: str, default: float) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        alpha = float(operands.get("alpha", default))
        return [operands.builder.unary(operands.x(), function, alpha)]

    return row(read, "alpha")


def _hard_sigmoid(operands: OnnxOperands) -> list[Tensor]:
    alpha, beta = float(operands.get("alpha", 0.2)), float(operands.get("beta", 0.5))
    return [operands.builder.unary(operands.x(), "hard_sigmoid", alpha, beta)]


def _selu(operands: OnnxOperands) -> list[Tensor]:
    alpha = float(operands.get("alpha", 1.67326319217681884765625))
    gamma = float(operands.get("gamma", 1.05070102214813232421875))
    elu = operands.builder.unary(operands.x(), "elu", alpha)
    return [operands.builder.unary(elu, "linear", gamma)]


def _gelu(operands: OnnxOperands) -> list[Tensor]:
    function = "gelu_tanh" if operands.get("approximate", "none") == "tanh" else "gelu"
    return [operands.builder.unary(operands.x(), function)]


def _erfc(operands: OnnxOperands) -> list[Tensor]:
    """1 - erf x, as Keras writes its GELU; no operation of ONNX, though converters write it."""
    erf = operands.builder.unary(operands.x(), "erf")
    return [operands.builder.unary(erf, "linear", -1.0, 1.0)]


def _power(operands: OnnxOperands) -> list[Tensor]:
    exponent = operands.x(1)
    if not isinstance(exponent, Const) or exponent.data.size != 1:
        raise operands.builder.error(
            "a power with an exponent that is not one constant number is not supported",
            "use a square, a square root, or multiply",
        )
    value = float(np.asarray(exponent.real()).reshape(()))
    if value == 2.0:
        return [operands.builder.unary(operands.x(), "square")]
    return [operands.builder.unary(operands.x(), "power", value)]


def _compare(relation: Relation) -> OnnxRow:
    return row(lambda operands: [compare(operands.builder, operands.x(), operands.x(1), relation)])


def _select(operands: OnnxOperands) -> list[Tensor]:
    return [select(operands.builder, operands.x(), operands.x(1), operands.x(2))]


def _clip(operands: OnnxOperands) -> list[Tensor]:
    bounds = []
    for number, name, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        if operands.has(number):
            bounds.append(float(operands.constant(number).reshape(-1)[0]))
        else:
            bounds.append(float(operands.get(name, default)))
    return [operands.builder.unary(operands.x(), "clip", *bounds)]


def _softmax(op: str) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        x = operands.x()
        axis = axis_of(operands, len(x.shape), default=-1)
        return [operands.builder.emit(op, [x], axis=axis)]

    return row(read, "axis")


def _argmax(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axis, keep = axis_of(operands, len(x.shape)), bool(operands.get("keepdims", 1))
    return [operands.builder.emit("argmax", [x], axis=axis, keep=keep)]


def _same(operands: OnnxOperands) -> list[Tensor]:
    return [operands.x()]


def _divide(operands: OnnxOperands) -> list[Tensor]:
    """a / b; integers of the file are divided as reals, and what their quotient loses is noted."""
    a, b = operands.x(), operands.x(1)
    result = operands.builder.emit("divide", [a, b])
    by_integer = isinstance(b, Const) and b.scale is None and b.data.dtype.kind in "iu"
    if by_integer and isinstance(result, Call):
        operands.builder.unrounded.leave_out(result)
    return [result]


_INTEGERS, _BOOL = frozenset({2, 3, 4, 5, 6, 7, 12, 13}), 9
"""Dtypes by number of `onnx.TensorProto.DataType`."""


def _dropout(operands: OnnxOperands) -> list[Tensor]:
    if operands.has(1):
        operands.constant(1)  # the ratio, which matters in training alone
    if operands.has(2) and operands.constant(2).any():
        raise operands.builder.error(
            "a dropout was exported in training mode: it would drop at random on the device",
            "call model.eval() before the export, or export with training=EVAL",
        )
    return [operands.x()]


def _cast(operands: OnnxOperands) -> list[Tensor]:
    """A cast of an activation: itself, whatever the dtype."""
    x, to = operands.x(), int(operands.get("to", 1))
    assert isinstance(x, Call), "constants are worked out by the reader"
    if to == _BOOL:
        raise operands.builder.error(
            "a cast of an activation to booleans is not supported",
            "end the model before it, and compare in the firmware",
        )
    if to in _INTEGERS and x.op != "argmax" and x.dtype == "float32" and not is_whole(x):
        operands.builder.unrounded.leave_out(x)
    return [x]


ELEMENTWISE: dict[str, OnnxRow] = {
    "Add": _binary("add"),
    "Sub": _binary("subtract"),
    "Mul": _binary("multiply"),
    "Div": row(_divide),
    "Max": _many("maximum"),
    "Min": _many("minimum"),
    "Sum": _many("add"),
    "Mean": row(_mean),
    "Pow": row(_power),
    "Relu": _unary("relu"),
    "LeakyRelu": _with_alpha("leaky_relu", 0.01),
    "Elu": _with_alpha("elu", 1.0),
    "Celu": _with_alpha("celu", 1.0),
    "ThresholdedRelu": _with_alpha("threshold", 1.0),
    "Selu": row(_selu, "alpha gamma"),
    "Gelu": row(_gelu, "approximate"),
    "HardSigmoid": row(_hard_sigmoid, "alpha beta"),
    "HardSwish": _unary("hard_swish"),
    "Mish": _unary("mish"),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "Softplus": _unary("softplus", 1.0),
    "Softsign": _unary("softsign"),
    "Erf": _unary("erf"),
    "Erfc": row(_erfc),
    "Exp": _unary("exp"),
    "Log": _unary("log"),
    "Sqrt": _unary("sqrt"),
    "Reciprocal": _unary("reciprocal"),
    "Neg": _unary("linear", -1.0),
    "Abs": _unary("absolute"),
    "Greater": _compare(">"),
    "GreaterOrEqual": _compare(">="),
    "Less": _compare("<"),
    "LessOrEqual": _compare("<="),
    # Truth is 1 or 0 here.
    "Not": _unary("linear", -1.0, 1.0),
    "And": _binary("multiply"),
    "Or": _binary("maximum"),
    "Where": row(_select),
    "Floor": _unary("floor"),
    "Ceil": _unary("ceil"),
    "Round": _unary("round"),
    "Sign": _unary("sign"),
    "Sin": _unary("sin"),
    "Cos": _unary("cos"),
    "Clip": row(_clip, "min max"),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    # Which of equal logits comes first is left to the device: the first.
    "ArgMax": row(_argmax, "axis keepdims", "select_last_index"),
    "Identity": row(_same),
    "Dropout": row(_dropout, "", "ratio seed"),
    "Cast": row(_cast, "to", "saturate round_mode"),
}

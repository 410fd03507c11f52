"""ATen operations that work element by element, and those at the end of a classifier."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.pieces import Relation, compare, cut, select
from tinytrain.frontend.program import Const
from tinytrain.frontend.pytorch.conversion import converted
from tinytrain.frontend.pytorch.operands import AtenOperands, AtenRow, Found, Length, row


def _sum(op: str) -> AtenRow:
    """a + alpha * b, or a - alpha * b."""

    def read(operands: AtenOperands) -> list[Tensor]:
        builder, b = operands.builder, operands.x("other")
        alpha = operands.get("alpha", 1)
        if alpha != 1:
            b = builder.emit("multiply", [b, Const(np.full((), float(alpha)))])
        return [builder.emit(op, [operands.x(), b])]

    return row(read, "self other alpha")


def _reverse_subtract(operands: AtenOperands) -> list[Tensor]:
    """other - alpha * self."""
    builder, x = operands.builder, operands.x()
    alpha = operands.get("alpha", 1)
    if alpha != 1:
        x = builder.emit("multiply", [x, Const(np.full((), float(alpha)))])
    return [builder.emit("subtract", [operands.x("other"), x])]


def _binary(op: str) -> AtenRow:
    return row(
        lambda operands: [operands.builder.emit(op, [operands.x(), operands.x("other")])],
        "self other",
    )


def _divide(operands: AtenOperands) -> list[Tensor]:
    builder, x, other = operands.builder, operands.x(), operands.values["other"]
    if isinstance(other, Length):
        if operands.has("rounding_mode"):
            raise builder.error("a rounded division", "use a plain division")
        if isinstance(other.x, type(x)) and other.x is x:
            return [builder.emit("l2_normalize", [x], axis=other.axis, epsilon=other.epsilon)]
        raise builder.error(
            "a division by the length of another tensor is not supported",
            "normalise a tensor by its own length",
        )
    if operands.has("rounding_mode"):
        if operands.get("rounding_mode") != "floor" or not isinstance(other, int | float):
            raise builder.error("a rounded division is not supported", "use a plain division")
        quotient = builder.emit("divide", [x, operands.x("other")])
        return [builder.unary(quotient, "floor")]
    return [builder.emit("divide", [x, operands.x("other")])]


def _compare(relation: Relation) -> AtenRow:
    return row(
        lambda operands: [compare(operands.builder, operands.x(), operands.x("other"), relation)],
        "self other",
    )


def _select(operands: AtenOperands) -> list[Tensor]:
    names = ("condition", "self", "other")
    return [select(operands.builder, *(operands.x(name) for name in names))]


def _unary(function: str, alpha: float = 0.0, beta: float = 0.0) -> AtenRow:
    return row(lambda operands: [operands.builder.unary(operands.x(), function, alpha, beta)])


def _named(function: str, alpha: str, default: float) -> AtenRow:
    """A function whose parameter is an argument."""
    return row(
        lambda operands: [
            operands.builder.unary(operands.x(), function, float(operands.get(alpha, default)))
        ],
        f"self {alpha}",
    )


def _clamp(low: str, high: str, default: tuple[float, float] = (-math.inf, math.inf)) -> AtenRow:
    def read(operands: AtenOperands) -> list[Found]:
        bounds = [default[0], default[1]]
        for place, name in enumerate((low, high)):
            if name and operands.has(name):
                value = operands.get(name)
                if not isinstance(value, bool | int | float):
                    value = operands.constant(name).reshape(-1)
                    if np.unique(value).size != 1:
                        raise operands.builder.error(
                            "a clamp with bounds that vary is not supported", "use one number"
                        )
                    value = value[0]
                bounds[place] = float(value)
        found = operands.values["self"]
        if isinstance(found, Length) and bounds[1] == math.inf:
            return [Length(found.x, found.axis, max(found.epsilon, bounds[0]))]
        return [operands.builder.unary(operands.x(), "clip", *bounds)]

    return row(read, " ".join(filter(None, ("self", low, high))))


def _elu(operands: AtenOperands) -> list[Tensor]:
    alpha, scale = float(operands.get("alpha", 1)), float(operands.get("scale", 1))
    inner = float(operands.get("input_scale", 1))
    if inner != 1.0:
        raise operands.builder.error("an ELU with an input scale", "use torch.nn.ELU")
    result = operands.builder.unary(operands.x(), "elu", alpha)
    return [operands.builder.unary(result, "linear", scale) if scale != 1.0 else result]


def _gelu(operands: AtenOperands) -> list[Tensor]:
    tanh = operands.get("approximate", "none") == "tanh"
    return [operands.builder.unary(operands.x(), "gelu_tanh" if tanh else "gelu")]


def _softplus(operands: AtenOperands) -> list[Tensor]:
    # Beyond the threshold PyTorch returns x, which softplus equals there to float32.
    beta, threshold = float(operands.get("beta", 1)), float(operands.get("threshold", 20))
    if threshold < 15:
        raise operands.builder.error("a softplus with a low threshold", "use its default of 20")
    return [operands.builder.unary(operands.x(), "softplus", beta)]


def _threshold(operands: AtenOperands) -> list[Tensor]:
    bound, value = float(operands.get("threshold")), float(operands.get("value"))
    return [operands.builder.unary(operands.x(), "threshold", bound, value)]


def _power(operands: AtenOperands) -> list[Tensor]:
    exponent = operands.get("exponent")
    if not isinstance(exponent, int | float):
        raise operands.builder.error(
            "a power with an exponent that is not one constant number is not supported",
            "use a square, a square root, or multiply",
        )
    if exponent == 2:
        return [operands.builder.unary(operands.x(), "square")]
    return [operands.builder.unary(operands.x(), "power", float(exponent))]


def _softmax(op: str) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        x = operands.x()
        return [operands.builder.emit(op, [x], axis=operands.axis(len(x.shape), default=-1))]

    return row(read, "self dim", "dtype half_to_float")


def _argmax(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    if not operands.has("dim"):
        x = operands.builder.reshape(x, (1, int(np.prod(x.shape))))
        return [operands.builder.emit("argmax", [x], axis=1, keep=False)]
    keep = bool(operands.get("keepdim", False))
    axis = operands.axis(len(x.shape))
    return [operands.builder.emit("argmax", [x], axis=axis, keep=keep)]


def _norm(operands: AtenOperands) -> list[Found]:
    x = operands.x()
    dims = operands.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if float(operands.get("ord", 2)) != 2.0 or not dims or len(dims) != 1:
        raise operands.builder.error(
            "a norm other than the Euclidean one along one axis is not supported",
            "use torch.nn.functional.normalize with its default p=2",
        )
    if not operands.get("keepdim", False):
        raise operands.builder.error(
            "a norm that drops its axis is not supported",
            "use torch.nn.functional.normalize",
        )
    return [Length(x, int(dims[0]) % len(x.shape))]


def _same(operands: AtenOperands) -> list[Found]:
    return [operands.values[next(iter(operands.values))]]


def _dropout(operands: AtenOperands) -> list[Found]:
    if operands.get("train", False):
        raise operands.builder.error(
            "a dropout was exported in training mode",
            "call model.eval() before torch.export.export",
        )
    return [operands.values["input"]]


def _rrelu(operands: AtenOperands) -> list[Tensor]:
    if operands.get("training", False):
        raise operands.builder.error(
            "an RReLU was exported in training mode",
            "call model.eval() before torch.export.export",
        )
    slope = (float(operands.get("lower", 1 / 8)) + float(operands.get("upper", 1 / 3))) / 2
    return [operands.builder.unary(operands.x(), "leaky_relu", slope)]


def _glu(operands: AtenOperands) -> list[Tensor]:
    """The first half of an axis, weighed by a sigmoid of the second."""
    builder, x = operands.builder, operands.x()
    axis = operands.axis(len(x.shape), default=-1)
    first, second = cut(builder, x, axis, [x.shape[axis] // 2] * 2)
    return [builder.emit("multiply", [first, builder.unary(second, "sigmoid")])]


_COPY = "dtype layout device pin_memory non_blocking memory_format copy"

ELEMENTWISE: dict[str, AtenRow] = {
    "add": _sum("add"),
    "sub": _sum("subtract"),
    "rsub": row(_reverse_subtract, "self other alpha"),
    "mul": _binary("multiply"),
    "div": row(_divide, "self other rounding_mode"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "relu": _unary("relu"),
    "relu6": _unary("relu6"),
    "hardtanh": _clamp("min_val", "max_val", (-1.0, 1.0)),
    "clamp": _clamp("min", "max"),
    "clip": _clamp("min", "max"),
    "clamp_min": _clamp("min", ""),
    "clamp_max": _clamp("", "max"),
    "leaky_relu": _named("leaky_relu", "negative_slope", 0.01),
    "elu": row(_elu, "self alpha scale input_scale"),
    "celu": _named("celu", "alpha", 1.0),
    "selu": _unary("selu"),
    "gelu": row(_gelu, "self approximate"),
    "silu": _unary("silu"),
    "mish": _unary("mish"),
    "softplus": row(_softplus, "self beta threshold"),
    "sigmoid": _unary("sigmoid"),
    "log_sigmoid": _unary("log_sigmoid"),
    "log_sigmoid_forward": _unary("log_sigmoid"),
    "hardsigmoid": _unary("hard_sigmoid", 1 / 6, 0.5),
    "hardswish": _unary("hard_swish"),
    "tanh": _unary("tanh"),
    "rrelu": row(_rrelu, "self lower upper training", "generator"),
    "glu": row(_glu, "self dim"),
    "hardshrink": _named("hard_shrink", "lambd", 0.5),
    "softshrink": _named("soft_shrink", "lambd", 0.5),
    "threshold": row(_threshold, "self threshold value"),
    "exp": _unary("exp"),
    "log": _unary("log"),
    "sqrt": _unary("sqrt"),
    "rsqrt": _unary("rsqrt"),
    "reciprocal": _unary("reciprocal"),
    "square": _unary("square"),
    "neg": _unary("linear", -1.0),
    "abs": _unary("absolute"),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "lt": _compare("<"),
    "le": _compare("<="),
    "where": row(_select, "condition self other"),
    "floor": _unary("floor"),
    "ceil": _unary("ceil"),
    "round": _unary("round"),
    "sign": _unary("sign"),
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "erf": _unary("erf"),
    "pow": row(_power, "self exponent"),
    "softmax": _softmax("softmax"),
    "_softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "_log_softmax": _softmax("log_softmax"),
    "argmax": row(_argmax, "self dim keepdim"),
    "linalg_vector_norm": row(_norm, "self ord dim keepdim", "dtype"),
    # The share that a dropout drops is of training.
    "dropout": row(_dropout, "input train", "p"),
    "feature_dropout": row(_dropout, "input train", "p"),
    "alpha_dropout": row(_dropout, "input train", "p"),
    "feature_alpha_dropout": row(_dropout, "input train", "p"),
    "contiguous": row(_same, "self", _COPY),
    "clone": row(_same, "self", _COPY),
    "detach": row(_same),
    "alias": row(_same),
    "lift_fresh_copy": row(_same),
    "to": row(converted, "self dtype", _COPY),
    "_to_copy": row(converted, "self dtype", _COPY),
    "type_as": row(_same, "self", "other"),
}

"""Operations of the domain ai.onnx.ml that scikit-learn's converters write."""

from __future__ import annotations

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.onnx.operands import OnnxOperands, OnnxRow, row
from tinytrain.frontend.program import Const


def _weights(operands: OnnxOperands, features: int) -> tuple[Const, Const]:
    """Weights [O, I] and bias [O] from the flat lists of a linear model."""
    flat = np.asarray(operands.get("coefficients"), dtype=np.float32)
    weights = flat.reshape(-1, features)
    given = operands.get("intercepts")
    bias = np.zeros(len(weights)) if given is None else np.asarray(given)
    return Const(weights), Const(bias.astype(np.float32))


def _linear_classifier(operands: OnnxOperands) -> list[Tensor]:
    """(label, scores); the scores are the logits behind the post transform."""
    builder, x = operands.builder, operands.x()
    weights, bias = _weights(operands, x.shape[-1])
    scores = builder.dense(x, weights, bias)
    transform = operands.get("post_transform", "NONE")
    if transform in ("SOFTMAX", "SOFTMAX_ZERO"):
        scores = builder.emit("softmax", [scores], axis=1)
    elif transform == "LOGISTIC":
        # One against the rest: the largest probability is that of the largest score.
        scores = builder.unary(scores, "sigmoid")
    elif transform != "NONE":
        raise builder.error(
            f"the post transform {transform} is not supported", "use SOFTMAX, LOGISTIC or NONE"
        )
    label = builder.emit("argmax", [scores], axis=1, keep=False)
    return [label, scores]


def _linear_regressor(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    if operands.get("post_transform", "NONE") != "NONE":
        raise builder.error("a regressor has a post transform", "convert the model without it")
    weights, bias = _weights(operands, x.shape[-1])
    return [builder.dense(x, weights, bias)]


def _scaler(operands: OnnxOperands) -> list[Tensor]:
    """(x - offset) * scale, a number for each feature."""
    builder, x = operands.builder, operands.x()
    offset = Const(np.asarray(operands.get("offset", [0.0]), dtype=np.float64))
    scale = Const(np.asarray(operands.get("scale", [1.0]), dtype=np.float64))
    return [builder.emit("multiply", [builder.emit("subtract", [x, offset]), scale])]


def _normalizer(operands: OnnxOperands) -> list[Tensor]:
    """Of scores that are probabilities already: what scikit-learn writes behind a classifier."""
    builder, x = operands.builder, operands.x()
    norm = operands.get("norm", "MAX")
    if norm == "L2":
        return [builder.emit("l2_normalize", [x], axis=len(x.shape) - 1, epsilon=0.0)]
    source = builder.calls[-1] if builder.calls else None
    if norm == "L1" and source is not None and x in builder.calls and _is_positive(x):
        # The largest stays the largest, and the loss works on the scores before it.
        return [x]
    raise builder.error(
        f"a normalisation by the {norm} norm is not supported",
        "use the L2 norm, or scale features before they reach the model",
    )


def _is_positive(x: Tensor) -> bool:
    if isinstance(x, Const):
        return False
    return x.op == "softmax" or (x.op == "unary" and x.attrs["function"] == "sigmoid")


def _zip_map(operands: OnnxOperands) -> list[Tensor]:
    """A dictionary of the scores, by label: the scores themselves."""
    return [operands.x()]


CLASSIC: dict[str, OnnxRow] = {
    "ai.onnx.ml.LinearClassifier": row(
        _linear_classifier,
        "coefficients intercepts post_transform",
        "classlabels_ints classlabels_strings multi_class",
    ),
    "ai.onnx.ml.LinearRegressor": row(
        _linear_regressor, "coefficients intercepts post_transform", "targets"
    ),
    "ai.onnx.ml.Scaler": row(_scaler, "offset scale"),
    "ai.onnx.ml.Normalizer": row(_normalizer, "norm"),
    "ai.onnx.ml.ZipMap": row(_zip_map, "", "classlabels_int64s classlabels_strings"),
}

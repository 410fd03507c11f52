"""A float TFLite model, written operator by operator."""

from __future__ import annotations

import numpy as np
import tflite

from tests.support.tflite_writer import TfliteWriter

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6


def small_model() -> bytes:
    """Strided convolution, depthwise with a multiplier, pools, residual, concatenation, dense."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    w = TfliteWriter()
    x = w.tensor("x", (1, 9, 8, 3))
    conv = w.operator(
        "CONV_2D",
        [x, w.constant("w0", weights(4, 3, 3, 3)), w.constant("b0", weights(4))],
        (1, 5, 4, 4), "Conv2DOptions", Padding=SAME, StrideW=2, StrideH=2,
        DilationWFactor=1, DilationHFactor=1, FusedActivationFunction=RELU,
    )  # fmt: skip
    depthwise = w.operator(
        "DEPTHWISE_CONV_2D",
        [conv, w.constant("w1", weights(1, 3, 3, 8)), w.constant("b1", weights(8))],
        (1, 5, 4, 8), "DepthwiseConv2DOptions", Padding=SAME, StrideW=1, StrideH=1,
        DepthMultiplier=2, DilationWFactor=1, DilationHFactor=1, FusedActivationFunction=RELU6,
    )  # fmt: skip
    point = w.operator(
        "CONV_2D",
        [depthwise, w.constant("w2", weights(4, 1, 1, 8)), w.constant("b2", weights(4))],
        (1, 5, 4, 4), "Conv2DOptions", Padding=VALID, StrideW=1, StrideH=1,
        DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    total = w.operator("ADD", [conv, point], (1, 5, 4, 4), "AddOptions")
    joined = w.operator(
        "CONCATENATION", [total, depthwise], (1, 5, 4, 12), "ConcatenationOptions", Axis=3
    )
    pooled = w.operator(
        "MAX_POOL_2D", [joined], (1, 3, 2, 12), "Pool2DOptions",
        Padding=SAME, StrideW=2, StrideH=2, FilterWidth=2, FilterHeight=2,
    )  # fmt: skip
    flat = w.operator("RESHAPE", [pooled, w.constant("s", np.array([1, 72], np.int32))], (1, 72),
                      "ReshapeOptions")  # fmt: skip
    dense = w.operator(
        "FULLY_CONNECTED", [flat, w.constant("w3", weights(5, 72)), w.constant("b3", weights(5))],
        (1, 5), "FullyConnectedOptions",
    )  # fmt: skip
    return w.finish(x, dense)

"""Every ONNX operation that can be read."""

from __future__ import annotations

from tinytrain.frontend.onnx.classic import CLASSIC
from tinytrain.frontend.onnx.elementwise import ELEMENTWISE
from tinytrain.frontend.onnx.layers import LAYERS
from tinytrain.frontend.onnx.moves import MOVES
from tinytrain.frontend.onnx.operands import OnnxRow
from tinytrain.frontend.onnx.quantized import QUANTIZED

OPERATIONS: dict[str, OnnxRow] = {**LAYERS, **ELEMENTWISE, **MOVES, **QUANTIZED, **CLASSIC}
"""By name; those of another domain than ONNX's own with the domain before it."""

"""Every TFLite operator that can be read."""

from __future__ import annotations

from tinytrain.frontend.tflite.elementwise import ELEMENTWISE
from tinytrain.frontend.tflite.layers import LAYERS
from tinytrain.frontend.tflite.moves import MOVES
from tinytrain.frontend.tflite.operands import TfliteRow

OPERATIONS: dict[str, TfliteRow] = {**LAYERS, **ELEMENTWISE, **MOVES}
"""By its name in the schema."""

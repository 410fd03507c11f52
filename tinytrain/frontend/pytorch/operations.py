"""Every ATen operation that can be read."""

from __future__ import annotations

from tinytrain.frontend.pytorch.elementwise import ELEMENTWISE
from tinytrain.frontend.pytorch.layers import LAYERS
from tinytrain.frontend.pytorch.moves import MOVES
from tinytrain.frontend.pytorch.operands import AtenRow
from tinytrain.frontend.pytorch.quantized import QUANTIZED

OPERATIONS: dict[str, AtenRow] = {**LAYERS, **ELEMENTWISE, **MOVES, **QUANTIZED}
"""By the name of its overload packet; one in place (`relu_`) is read like the other."""

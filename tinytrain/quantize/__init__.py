"""From f32 graphs with quantize nodes to s8 graphs, and from plain f32 graphs to those."""

from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.integerize import integerize

__all__ = ["integerize", "quantize_float"]

"""From f32 graphs with quantize nodes to s8 graphs, and from plain f32 graphs to those."""

from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.headroom import Headroom, with_headroom
from tinytrain.quantize.integerize import integerize

__all__ = ["Headroom", "integerize", "quantize_float", "with_headroom"]

"""The samples that a model takes, as its data files are checked against."""

from __future__ import annotations

import math

from tinytrain.compiler.compiled import Compiled
from tinytrain.data import Preprocess, SampleSpec
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource
from tinytrain.reference.lowering import scale_of, zero_of


def sample_spec(compiled: Compiled, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that a compiled model takes."""
    x, source = compiled.graph.inputs[0], compiled.forward.source
    shape, layout = _output(source, compiled.output_size)
    return SampleSpec(
        shape=map_shape(x.type.shape),
        source_shape=source.shape,
        source_layout=_layout(source),
        output_size=compiled.output_size,
        classes=compiled.classes,
        scale=scale_of(x),
        zero_point=zero_of(x),
        preprocess=preprocess,
        output_shape=shape,
        output_layout=layout,
        target=compiled.wants,
    )


def source_spec(model: Graph, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that an imported model takes, in its own units."""
    return SampleSpec(
        shape=map_shape(model.inputs[0].type.shape),
        source_shape=model.source.shape,
        source_layout=_layout(model.source),
        output_size=model.outputs[0].type.size,
        classes=0,
        preprocess=preprocess,
    )


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(1, H, W, C) of an input's shape; a 1-D signal has H = 1, a vector H = W = 1."""
    missing = 4 - len(shape)
    batch, *rest = shape
    padded = (batch, *(1,) * missing, *rest)
    return padded[0], padded[1], padded[2], padded[3]


def _layout(source: ModelSource) -> str:
    # A 1-D signal is a map of height 1: its length is the width.
    return source.layout.replace("L", "W")


def _output(source: ModelSource, size: int) -> tuple[tuple[int, ...], str]:
    """Shape and layout of the output; of a fresh classifier those of a vector."""
    if math.prod(source.output_shape) != size or not source.output_shape:
        return (1, size), "NC"
    return source.output_shape, source.output_layout.replace("L", "W")

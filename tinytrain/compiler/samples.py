"""The samples that a model takes, as its data files are checked against."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.model_end import end_of
from tinytrain.compiler.options import Options
from tinytrain.data import Preprocess, SampleSpec
from tinytrain.data.spec import InputPart
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.source import ModelSource
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.packed import packed_size


def sample_spec(compiled: Compiled, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that a compiled model takes."""
    return forward_spec(compiled.forward, compiled.options, preprocess)


def forward_spec(forward: Graph, options: Options, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that a model takes, before it is known what trains.

    Args:
        forward: s8 forward graph.
        options: those that it is compiled with; their loss may be auto.
    """
    inputs, source, end = forward.sample, forward.source, end_of(forward, options)
    output_shape, output_layout = _output(source, end.outputs)
    meanings = [(scale_of(value), zero_of(value)) for value in inputs]
    return SampleSpec(
        shape=sample_shape(forward),
        source_shape=source.shape,
        source_layout=_layout(source.layout),
        output_size=end.outputs,
        classes=end.classes,
        scale=meanings[0][0],
        zero_point=meanings[0][1],
        preprocess=preprocess,
        output_shape=output_shape,
        output_layout=output_layout,
        target=end.wants,
        parts=_parts(source, inputs, meanings),
        pixels=end.pixels,
        output_range=end.within,
        ending=source.ending,
    )


def source_spec(model: Graph, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that an imported model takes, in its own units."""
    inputs = model.sample
    return SampleSpec(
        shape=sample_shape(model),
        source_shape=model.source.shape,
        source_layout=_layout(model.source.layout),
        output_size=model.outputs[0].type.size,
        classes=0,
        preprocess=preprocess,
        parts=_parts(model.source, inputs, [(None, 0)] * len(inputs)),
    )


def sample_shape(graph: Graph) -> tuple[int, int, int, int]:
    """(1, H, W, C) of a graph's input; several are one vector, packed."""
    if len(graph.sample) > 1:
        return (1, 1, 1, packed_size(graph.sample))
    return map_shape(graph.sample[0].type.shape)


def _parts(
    source: ModelSource, inputs: Sequence[Value], meanings: Sequence[tuple[float | None, int]]
) -> tuple[InputPart, ...]:
    """The inputs of a model with several."""
    if not source.inputs:
        return ()
    return tuple(
        InputPart(
            name=of.name,
            shape=map_shape(value.type.shape),
            source_shape=of.shape,
            source_layout=_layout(of.layout),
            scale=scale,
            zero_point=zero,
        )
        for of, value, (scale, zero) in zip(source.inputs, inputs, meanings, strict=True)
    )


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(1, H, W, C) of an input's shape; a 1-D signal has H = 1, a vector H = W = 1."""
    missing = 4 - len(shape)
    batch, *rest = shape
    padded = (batch, *(1,) * missing, *rest)
    return padded[0], padded[1], padded[2], padded[3]


def _layout(layout: str) -> str:
    # A 1-D signal is a map of height 1: its length is the width.
    return layout.replace("L", "W")


def _output(source: ModelSource, size: int) -> tuple[tuple[int, ...], str]:
    """Shape and layout of the output; of a fresh classifier those of a vector."""
    if math.prod(source.output_shape) != size or not source.output_shape:
        return (1, size), "NC"
    return source.output_shape, _layout(source.output_layout)

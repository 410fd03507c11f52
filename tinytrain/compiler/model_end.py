"""What a model gives, and what the target of a sample is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinytrain.compiler.options import Options
from tinytrain.ir.graph import Graph
from tinytrain.losses import AUTO, SampleTarget, classes_of, target_of
from tinytrain.reference.output_range import output_range


@dataclass(frozen=True)
class ModelEnd:
    """The end of a model that trains.

    Attributes:
        outputs: elements of its output.
        wants: what the target of a sample is.
        pixels: number of pixels with a label each; 1 where the target of a sample is anything else.
        within: smallest and largest output, whatever is learned; None if nothing bounds them.
    """

    outputs: int
    wants: SampleTarget
    pixels: int
    within: tuple[float, float] | None

    @property
    def classes(self) -> int:
        """Number of classes that a sample is labelled with; 0 where its target is no label."""
        return classes_of(self.wants, self.outputs)


def end_of(forward: Graph, options: Options) -> ModelEnd:
    """The end of an s8 forward graph, its head replaced where the options say so."""
    shape = forward.outputs[0].type
    outputs, channels = shape.size, shape.shape[-1]
    # A graph whose head was never prepared came from no model file.
    within = output_range(forward) if forward.source.loss else None
    if options.classes is not None:
        outputs, channels, within = options.classes, options.classes, None
    wants = target_of(with_loss(options, forward).loss, outputs, channels)
    pixels = outputs // channels if wants is SampleTarget.PIXELS else 1
    return ModelEnd(outputs, wants, pixels, within)


def with_loss(options: Options, forward: Graph) -> Options:
    """The options with the loss that the s8 forward graph was made ready for, where it is auto."""
    if options.loss != AUTO:
        return options
    return replace(options, loss=forward.source.loss or options.objective.kind)

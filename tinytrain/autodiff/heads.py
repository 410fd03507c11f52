"""Which ends of a model a loss cannot train, and what to do about each."""

from __future__ import annotations

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.expression import value_and_slope
from tinytrain.ir.graph import Graph
from tinytrain.ir.types import TensorType
from tinytrain.losses import LOSSES, MOST_PIXEL_CLASSES

_FAR = np.array([-1e6, -1e3, -1.0, 0.0, 1.0, 1e3, 1e6])
_WIDE = 1e4
"""A function that has a bound on one side stays far from this at `_FAR`, on that side."""


def check_head(graph: Graph, loss: str) -> None:
    """Holds the end of a forward graph to what a loss can train.

    Args:
        graph: an s8 forward graph; its source names the function that ends it.
        loss: a name of `losses.LOSSES`.

    Raises:
        ModelError: training would not get anywhere, with the ways out.
    """
    if not LOSSES[loss].ends_with:
        return
    output = graph.outputs[0].type
    if loss == "cross_entropy":
        _check_outputs(output)
    if graph.source.ending and _bounded(graph):
        _refuse_ending(graph.source.ending, loss, output.size)


def _check_outputs(output: TensorType) -> None:
    *_, classes = output.shape
    if classes == 1 and output.size > 1:
        raise ModelError(
            "the model gives one output for each pixel, and cross-entropy has nothing to learn "
            "from it: a class that is alone is always right",
            help="add --loss binary_cross_entropy for a yes or no (1 and 0) of each pixel, or "
            "--loss mean_squared_error for a number",
        )
    if classes < output.size and classes > MOST_PIXEL_CLASSES:
        raise ModelError(
            f"the model gives {classes} outputs for each pixel, and a pixel's label is one of "
            f"{MOST_PIXEL_CLASSES} at most",
            help="end the model with a global pooling for one label a sample, or train with --loss "
            "mean_squared_error",
        )
    if output.size == 1:
        raise ModelError(
            "the model has one output, and cross-entropy has nothing to learn from it: a class "
            "that is alone is always right",
            help="add --loss binary_cross_entropy for a yes or no (labels 1 and 0), --classes 2 "
            "for a fresh classifier of two classes, or --loss mean_squared_error for a number",
        )


def _refuse_ending(function: str, loss: str, outputs: int) -> None:
    """The function stands behind the logits, where a loss wants them as they are."""
    binary = function == "sigmoid"
    ways = ["--loss binary_cross_entropy, which has the sigmoid in itself"] if binary else []
    ways.append(f"--classes {max(outputs, 2)} for a fresh classifier without it")
    ways.append("--loss mean_squared_error for targets in the range of the outputs")
    raise ModelError(
        f"the model ends in '{function}', and {loss.replace('_', ' ')} needs the numbers before "
        "it, which have no bounds",
        help=f"leave '{function}' out of the model, or add {', '.join(ways[:-1])} or {ways[-1]}",
    )


def _bounded(graph: Graph) -> bool:
    """Whether the function at the end has a bound on either side."""
    values, _ = value_and_slope(graph.source.ending_steps, _FAR)
    known = values[np.isfinite(values)]
    return bool(not known.size or known.min() > -_WIDE or known.max() < _WIDE)

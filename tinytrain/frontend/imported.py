"""An imported model together with what can prove it: the format's own way to run the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinytrain.frontend.lower.layout import Tensor
from tinytrain.ir.graph import Graph

Run = Callable[[Sequence[np.ndarray], Sequence[str]], Mapping[str, np.ndarray]]
"""From one sample for each input, in the model's own shape and layout, and names of tensors, to
their values, in the model's shapes; names that the runner does not know are left out."""


@dataclass(frozen=True)
class Reference:
    """The format's own reference.

    Attributes:
        name: what runs the model, with its version.
        run: runs it on one sample.
    """

    name: str
    run: Run


@dataclass(frozen=True)
class Missing:
    """Why there is no reference on this machine.

    Attributes:
        what: is missing.
        help: how to get it.
    """

    what: str
    help: str


@dataclass(frozen=True, eq=False)
class Imported:
    """A model as it was read.

    Attributes:
        graph: f32 in and out, with the model's own quantize nodes.
        tensors: for the tensors of the file that the graph computes, in order, what they became.
        nodes: for the same, the node of the file that computes each.
        reference: what it can be compared with, or why there is nothing.
    """

    graph: Graph
    tensors: Mapping[str, Tensor]
    nodes: Mapping[str, str]
    reference: Reference | Missing

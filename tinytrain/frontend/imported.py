"""An imported model together with what can prove it: the format's own way to run the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinytrain.frontend.lower.layout import Tensor
from tinytrain.ir.graph import Graph, Value

Run = Callable[[Sequence[np.ndarray], Sequence[str]], Mapping[str, np.ndarray]]
"""From one sample for each input, in the model's own shape and layout, and names of tensors, to
their values, in the model's shapes; names that the runner does not know are left out."""


@dataclass(frozen=True)
class Reference:
    """The format's own reference.

    Attributes:
        name: what runs the model. Without its version: it stands in the manifest, which does not
            depend on what is installed more than it must.
        run: runs it on one sample.
        most: multiplications with weights in one sample that it does in reasonable time; None if it
            does any number.
        otherwise: what is asked where it cannot run the model: one of a newer version, say.
    """

    name: str
    run: Run
    most: int | None = None
    otherwise: Reference | None = None


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
class ModelTensors:
    """The constants of a model's file.

    Attributes:
        held: by name, as the file has them.
        read_with: imports the file again with other numbers in the place of some of them.
        onnx: the file itself where it is ONNX, with its external data in it.
        output: the output that was chosen of several; None for the usual one.
    """

    held: Mapping[str, np.ndarray]
    read_with: Callable[[Mapping[str, np.ndarray]], Imported]
    onnx: bytes | None = None
    output: str | None = None


@dataclass(frozen=True, eq=False)
class Imported:
    """A model as it was read.

    Attributes:
        graph: f32 in and out, with the model's own quantize nodes.
        tensors: for the tensors of the file that the graph computes, in order, what they became.
        nodes: for the same, the node of the file that computes each.
        reference: what it can be compared with, or why there is nothing.
        requantized: for values of the graph that stand for weights that were quantized again, the
            file's own, which the proof computes with.
        unrounded: for tensors of the file that it rounds to integers and the graph does not, how
            far that takes them apart at most.
        sources: for weights and biases of the graph, the tensor of the file that they come from.
        file: what can be written back; None for a format that nothing goes back to.
        other_rounding: whether the file rounds float activations to 8 bits as they come, where the
            graph does not, or to 16, where the graph has 8.
    """

    graph: Graph
    tensors: Mapping[str, Tensor]
    nodes: Mapping[str, str]
    reference: Reference | Missing
    requantized: Mapping[Value, np.ndarray] = field(default_factory=dict)
    unrounded: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[Value, str] = field(default_factory=dict)
    file: ModelTensors | None = None
    other_rounding: bool = False

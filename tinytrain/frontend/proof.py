"""Compares an imported graph with the format's own reference, node by node.

The graph is evaluated in order. Each tensor that the file has too is compared with the reference's
and then replaced by it, so that every node is judged on inputs that are exactly the reference's: an
error is found where it is made, and rounding does not add up from node to node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.imported import Imported, Missing, Reference
from tinytrain.frontend.lower.layout import Tensor
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import DType
from tinytrain.ir.unary import UNARY
from tinytrain.reference.float_forward import run_float

SAMPLES = 2
"""Inputs that are compared."""

FLOAT_ERROR = 2.0**-10
"""Largest difference of reals, as a share of the tensor's largest magnitude: float32 sums of
thousands of terms in another order reach a tenth of it."""

JUMPS = 1 / 64
"""Largest share of elements that may lie on the other side of an edge of floor, round or sign."""

STEPS = 2.0
"""Largest difference of integers, in steps: the kernels of a format may round twice."""

MEAN_STEPS = 0.6
"""Largest mean difference of integers: such kernels are off by one here and there."""


@dataclass(frozen=True)
class Proof:
    """What is known of an import.

    Attributes:
        reference: what it was compared with; None if nothing was there.
        tensors: how many were compared.
        samples: on how many inputs.
        help: how to get the reference, where it is missing.
    """

    reference: str | None
    tensors: int = 0
    samples: int = 0
    help: str | None = None

    def sentence(self) -> str:
        """What a person is told."""
        if self.reference is None:
            return "import not verified"
        return f"{self.tensors} tensors equal those of {self.reference}"

    def to_json(self) -> Mapping[str, Any]:
        """For the manifest."""
        return {
            "verified": self.reference is not None,
            "reference": self.reference,
            "tensors": self.tensors,
            "samples": self.samples,
        }


def prove(imported: Imported, samples: np.ndarray | None = None) -> Proof:
    """Holds an import against its reference.

    Args:
        samples: inputs f32 [N, ...] in the model's own shape and layout; noise of the range that
            the input's quantization says, or else of deviation 1, where there are none.

    Raises:
        ModelError: they differ; it names the first node where they part.
    """
    reference = imported.reference
    if isinstance(reference, Missing):
        return Proof(None, help=f"{reference.what}: {reference.help}")
    inputs = _inputs(imported.graph, samples)
    compared = 0
    for x in inputs:
        try:
            theirs = reference.run([x], list(imported.tensors))
        # Whatever a foreign runtime stumbles over: what it cannot run it cannot judge.
        except Exception as error:
            why = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            return Proof(None, help=f"{reference.name} cannot run the model: {why}")
        compared = _compare(imported, reference, x, theirs)
    return Proof(reference.name, compared, len(inputs))


def _inputs(graph: Graph, samples: np.ndarray | None) -> list[np.ndarray]:
    shape = graph.source.shape
    if samples is not None and len(samples):
        return [np.asarray(x, dtype=np.float32)[None] for x in samples[:SAMPLES]]
    rng = np.random.default_rng(0)
    low, high = _input_range(graph)
    if low is None or high is None:
        return [rng.standard_normal(shape).astype(np.float32) for _ in range(SAMPLES)]
    return [rng.uniform(low, high, shape).astype(np.float32) for _ in range(SAMPLES)]


def _input_range(graph: Graph) -> tuple[float | None, float | None]:
    for node in graph.nodes:
        if node.op == "quantize" and node.inputs[0] in graph.inputs:
            meaning = node.output.type.quantization
            assert meaning is not None
            low, high = node.output.type.dtype.limits
            scale, zero = meaning.scale[0], meaning.zero_point
            return scale * (low - zero), scale * (high - zero)
    return None, None


def _compare(
    imported: Imported, reference: Reference, x: np.ndarray, found: Mapping[str, np.ndarray]
) -> int:
    """How many tensors were compared on one sample."""
    graph = imported.graph
    wanted = {
        tensor.value: (name, to_ours(found[name], tensor))
        for name, tensor in imported.tensors.items()
        if name in found and found[name].size == tensor.value.type.size
    }
    parted: list[ModelError] = []
    jumping = {
        node.output
        for node in graph.nodes
        if node.op == "activation" and UNARY[node.attrs["function"]].jumps
    }

    def observe(value: Value, ours: np.ndarray) -> np.ndarray | None:
        entry = wanted.get(value)
        if entry is None or parted:
            return None
        name, theirs = entry
        theirs = _integers_of(theirs, found[name].dtype, value.type.dtype)
        wrong = _difference(ours, theirs, value, value in jumping)
        if wrong is not None:
            parted.append(_error(imported, name, wrong, reference))
            return None
        return theirs.astype(ours.dtype)

    given = _to_input(graph, x)
    run_float(graph, given, observe=observe)
    if parted:
        raise parted[0]
    return len(wanted)


def _to_input(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    value, layout = graph.inputs[0], graph.source.layout
    axes = [layout.index(letter) for letter in "NHLWC" if letter in layout]
    return {value.name: x.transpose(axes).reshape(value.type.shape)}


def to_ours(theirs: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A tensor of the file as the value of ours that stands for it.

    Args:
        theirs: in the file's shape; only the number of elements has to fit.
    """
    extents = tensor.value.type.shape
    split = tuple(extents[axis] for axes in tensor.view for axis in axes)
    order = [axis for axes in tensor.view for axis in axes]
    apart = theirs.reshape(split)
    moved = apart.transpose(sorted(range(len(order)), key=lambda place: order[place]))
    return np.asarray(moved).reshape(extents)


def _integers_of(theirs: np.ndarray, dtype: np.dtype, ours: DType) -> np.ndarray:
    """Integers of the file as s8: u8 is shifted, s16 keeps its upper half."""
    if ours is not DType.S8:
        return theirs
    if dtype == np.uint8:
        return theirs.astype(np.int32) - 128
    return theirs / 256.0 if dtype == np.int16 else theirs


def _difference(ours: np.ndarray, theirs: np.ndarray, value: Value, jumps: bool) -> str | None:
    """What differs, in words; None if nothing does.

    Args:
        jumps: whether the value is a step function of what was summed, so that a sum at an edge may
            come out on either side.
    """
    if value.type.dtype is DType.F32:
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        unlike = ~(np.isclose(a, b) | (np.isnan(a) & np.isnan(b)))
        if not unlike.any():
            return None
        largest = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
        error = float(np.abs(a - b)[unlike].max())
        if error <= FLOAT_ERROR * largest:
            return None
        if jumps and unlike.mean() <= JUMPS:
            return None
        return f"it differs by {error:.3g} where the largest number is {largest:.3g}"
    steps = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    if steps.max() <= STEPS and steps.mean() <= MEAN_STEPS:
        return None
    return f"it differs by up to {steps.max():.0f} steps, {steps.mean():.2g} in the mean"


def _error(imported: Imported, name: str, wrong: str, reference: Reference) -> ModelError:
    return ModelError(
        f"the import computes the tensor '{name}' otherwise than {reference.name}: {wrong}",
        where=Where(imported.graph.source.file, imported.nodes.get(name)),
        help="please report it with the model; nothing was compiled",
    )

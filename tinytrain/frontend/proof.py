"""Compares an imported graph with the format's own reference, node by node.

The graph is evaluated in order. Each tensor that the file has too is compared with the reference's
and then replaced by it, so that every node is judged on inputs that are exactly the reference's: an
error is found where it is made, and rounding does not add up from node to node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinytrain.data.packing import packed
from tinytrain.errors import ModelError, Where
from tinytrain.frontend.difference import difference, integers_of, requantized_wrongly
from tinytrain.frontend.imported import Imported, Missing, Reference
from tinytrain.frontend.lower.layout import Tensor
from tinytrain.ir.expression import jumps
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import macs_of, traits_of
from tinytrain.ir.types import DType
from tinytrain.manifest.records import ProofRecord
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.packed import unpacked
from tinytrain.tools import how_to_get

GIVEN = 2
"""Samples that are compared, where there are some; noise of their range is one more."""

DEVIATIONS = (1.0, 4.0)
"""Of noise where nothing is known of the input: the larger reaches bounds such as that of relu6."""


CUT = 1 / 4
"""Of a tensor's largest number: where cutting it to integers may change more than that, the tensor
shows nothing."""


def prove(imported: Imported, samples: np.ndarray | None = None) -> ProofRecord:
    """Holds an import against its reference.

    Args:
        samples: packed inputs f32 [N, ...] in the layout of the graph's, [N,H,W,C] of a map; where
            there are none, noise of the range that the input's quantization says, or else of
            `DEVIATIONS`.

    Raises:
        ModelError: they differ; it names the first node where they part.
    """
    reference = imported.reference
    if isinstance(reference, Missing):
        return _not_verified(f"{reference.what}; {reference.help}")
    proof = _compared(imported, reference, _inputs(imported.graph, samples))
    if proof.reference is None and reference.otherwise is not None:
        second = _compared(imported, reference.otherwise, _inputs(imported.graph, samples))
        return proof if second.reference is None else second
    return proof


def _compared(
    imported: Imported, reference: Reference, inputs: Sequence[Sequence[np.ndarray]]
) -> ProofRecord:
    if reference.most is not None and sum(map(macs_of, imported.graph.nodes)) > reference.most:
        why = f"{reference.name} would take minutes; {how_to_get('onnxruntime')}"
        return _not_verified(why)
    compared: dict[str, Value] = {}
    shown: dict[str, bool] = {}
    for x in inputs:
        try:
            theirs = reference.run(x, list(imported.tensors))
        # Whatever a foreign runtime stumbles over: what it cannot run it cannot judge.
        except Exception as error:
            why = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            return _not_verified(f"{reference.name} cannot run the model: {why}")
        comparison = _Comparison(imported, reference, theirs)
        compared = comparison.run(x)
        shown = {name: shown.get(name, False) or now for name, now in comparison.shown.items()}
    left = _not_proved(imported.graph, set(compared.values()))
    if left is not None:
        return _not_verified(f"{reference.name} shows no result of {left}")
    if not all(shown.values()):
        name = next(name for name, now in shown.items() if not now)
        return _not_verified(
            f"the model cuts '{name}' to integers, and no input made it so large that this matters "
            "little; calibrate with real inputs, or leave the cut out of the model"
        )
    return ProofRecord(
        reference=reference.name, tensors=len(compared), samples=len(inputs), help=None
    )


def _not_verified(help: str) -> ProofRecord:
    return ProofRecord(reference=None, tensors=0, samples=0, help=help)


def _inputs(graph: Graph, samples: np.ndarray | None) -> list[list[np.ndarray]]:
    """For each sample its inputs, in the file's shape and layout."""
    if samples is None or not len(samples):
        return [_of_the_file(graph, x) for x in noise(graph, len(DEVIATIONS))]
    chosen = samples[:: max(1, len(samples) // GIVEN)][:GIVEN]
    rng, parts = np.random.default_rng(0), unpacked(graph.sample, samples).values()
    wild = packed([rng.uniform(x.min(), x.max(), (1, *x.shape[1:])) for x in parts])
    several = np.concatenate([chosen.reshape(len(chosen), -1), wild])
    return [_of_the_file(graph, x) for x in several]


def noise(graph: Graph, count: int) -> np.ndarray:
    """Packed inputs f32 [count, ...] for a graph of which nothing else is known; the same each
    time."""
    rng, ranges = np.random.default_rng(0), input_ranges(graph)
    found = []
    for value in graph.sample:
        shape, bounds = value.type.shape[1:], ranges[value]
        if bounds is not None:
            found.append(rng.uniform(*bounds, (count, *shape)))
            continue
        deviations = np.resize(DEVIATIONS, (count, *(1,) * len(shape)))
        found.append(deviations * rng.standard_normal((count, *shape)))
    return (found[0] if len(found) == 1 else packed(found)).astype(np.float32)


def input_ranges(graph: Graph) -> dict[Value, tuple[float, float] | None]:
    """What each input of a quantized model can say; None of a float one."""
    found: dict[Value, tuple[float, float] | None] = dict.fromkeys(graph.sample)
    for node in graph.nodes:
        if node.op == "quantize" and found.get(node.inputs[0], ()) is None:
            meaning = node.output.type.quantization
            assert meaning is not None
            low, high = node.output.type.dtype.limits
            scale, zero = meaning.scale[0], meaning.zero_point
            found[node.inputs[0]] = scale * (low - zero), scale * (high - zero)
    return found


def _of_inputs(graph: Graph) -> list[tuple[tuple[int, ...], str]]:
    """Shape and layout of each input of the file."""
    source = graph.source
    return [(one.shape, one.layout) for one in source.inputs] or [(source.shape, source.layout)]


def _axes(layout: str) -> list[int]:
    """The axes of an input of the file in the order of the graph's; a signal has no height."""
    return [layout.index(letter) for letter in "NHLWC" if letter in layout]


def _to_input(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of one sample as the graph takes them, by name."""
    layouts = [layout for _, layout in _of_inputs(graph)]
    return {
        value.name: x.transpose(_axes(layout)).reshape(value.type.shape)
        for value, layout, x in zip(graph.sample, layouts, inputs, strict=True)
    }


def _of_the_file(graph: Graph, sample: np.ndarray) -> list[np.ndarray]:
    """The inverse of `_to_input`, from a packed sample."""
    found = []
    parts = unpacked(graph.sample, np.asarray(sample, dtype=np.float32)[None])
    for x, (shape, layout) in zip(parts.values(), _of_inputs(graph), strict=True):
        axes = _axes(layout)
        moved = x.reshape([shape[axis] for axis in axes])
        found.append(moved.transpose(np.argsort(axes)))
    return found


class _Comparison:
    """One sample through the graph, each result held against the reference's."""

    def __init__(
        self, imported: Imported, reference: Reference, found: Mapping[str, np.ndarray]
    ) -> None:
        self.imported = imported
        self.reference = reference
        self.found = found
        self.names: dict[Value, list[str]] = {}
        for name, tensor in imported.tensors.items():
            if name in found:
                self.names.setdefault(tensor.value, []).append(name)
        self.producers = imported.graph.producers()
        self.compared: dict[str, Value] = {}
        # Of tensors that the file rounds and the graph does not: whether more is left than lost.
        self.shown: dict[str, bool] = {}

    def run(self, x: Sequence[np.ndarray]) -> dict[str, Value]:
        """Which tensors equal the reference's, and what they became.

        Raises:
            ModelError: one does not.
        """
        graph = self.imported.graph
        # What overflows in the file's numbers overflows in the reference, too.
        with np.errstate(all="ignore"):
            run_float(graph, _to_input(graph, x), observe=self.observe)
        return self.compared

    def observe(self, value: Value, ours: np.ndarray) -> np.ndarray | None:
        """Compares a value; gives what the rest computes with in its place."""
        exact = self.imported.requantized.get(value)
        if exact is not None:
            held = self.producers[value].inputs[0].type.quantization
            assert held is not None
            self.check(value, requantized_wrongly(ours, exact, held), value.name)
            return exact.astype(ours.dtype)
        wanted = None
        # Several where a tensor is another one seen otherwise: transposed, say.
        for name in self.names.get(value, ()):
            wanted = self.wanted(value, ours, name)
            self.compared[name] = value
        return wanted

    def wanted(self, value: Value, ours: np.ndarray, name: str) -> np.ndarray:
        """The reference's tensor in the place of ours, if they are equal."""
        theirs = self.found[name]
        if theirs.size != value.type.size:
            self.check(value, f"it has {value.type.size} elements, not {theirs.size}", name)
        wanted = to_ours(theirs, self.imported.tensors[name])
        if value.type.dtype is DType.S8:
            wanted = integers_of(wanted)
        apart = self.imported.unrounded.get(name, 0.0)
        if apart:
            self.shown[name] = bool(apart <= CUT * np.abs(wanted).max())
        other_rounding = self.imported.other_rounding
        self.check(value, difference(ours, wanted, apart, self.jumps(value), other_rounding), name)
        if ours.dtype.kind == "i":
            wanted = np.clip(np.rint(wanted), -128, 127)
        return wanted.astype(ours.dtype)

    def jumps(self, value: Value) -> bool:
        """Whether a value is a step function of what was summed."""
        node = self.producers[value]
        return node.op == "activation" and jumps(node.attrs)

    def check(self, value: Value, wrong: str | None, name: str) -> None:
        """Raises the error about a value, where something is wrong with it."""
        if wrong is None:
            return
        node = self.imported.nodes.get(name)
        where = self.producers[value].where if node is None else None
        file = self.imported.graph.source.file
        raise ModelError(
            f"the import computes the tensor '{name}' otherwise than {self.reference.name}: "
            f"{wrong}",
            where=where or Where(file, node),
            help="please report it with the model; nothing was compiled",
        )


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


_NOTHING_TO_PROVE = frozenset({"dequantize", "softmax"})
"""What may stand behind the last tensor of the file: its meaning, or what replaces LogSoftmax."""


def _not_proved(graph: Graph, compared: set[Value]) -> str | None:
    """The layer of a node that no compared value depends on; None where there is none."""
    needed = set(compared)
    replaced = {node.output for node in graph.nodes if node.op == "softmax"}
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
        elif node.op == "quantize" and node.inputs[0] in replaced:
            continue  # the integers of a LogSoftmax, which goes with them
        elif not traits_of(node).moves and node.op not in _NOTHING_TO_PROVE:
            return f"'{node.where.node if node.where and node.where.node else node.layer}'"
    return None

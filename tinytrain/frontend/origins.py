"""Which elements of a model's file the weights of each layer are, found by asking the importer.

A layer's weights are those of the file, moved (transposed, flattened), times what was folded in (a
batch normalisation, a scale), plus a bias that may hold further constants. Nothing records that on
the way. Instead the file is imported a few times more with numbers in the place of its
weights from which the places and the factors can be read off, and what was read off is checked with
the file's own numbers: what an importer learns to fold later can go back, too, or says that it
cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.imported import Imported, ModelTensors
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType

_BASES = {"f": 2048, "i": 100, "u": 100}
"""Digits of a place in one import, by kind of dtype: what float32 tells apart, or what fits s8."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a tensor of a layer comes from: it is factor * held[index] + offset.

    Attributes:
        source: the tensor's name in the file.
        held: the tensor in the file, of whatever shape and dtype.
        index: place of each element in the flattened `held`, int64, of the layer's shape.
        factor, offset: float64 of the layer's shape.
    """

    source: str
    held: np.ndarray
    index: np.ndarray
    factor: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerOrigin:
    """Where the tensors of a layer come from; None for one that no single tensor gives.

    Attributes:
        weights, bias: the origins.
        has_bias: whether the file has a bias for it; `bias` is None where it has not.
        is_lifted: whether the bias depends on the weights, since a shift before the layer went in.
        where: the layer's place in the file.
    """

    weights: Origin | None
    bias: Origin | None
    has_bias: bool
    is_lifted: bool
    where: Where | None


@dataclass(frozen=True, eq=False)
class _Tensors:
    """The weights and biases of a graph's layers as reals, in execution order."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]


def find_origins(imported: Imported) -> tuple[LayerOrigin, ...]:
    """The origins of all layers with weights, in execution order; none where nothing goes back."""
    if imported.file is None:
        return ()
    try:
        with np.errstate(all="ignore"):
            return _found(imported, imported.file)
    except ModelError:
        # Other numbers need not make a model: where it divides by its weights, say.
        return ()


def _found(imported: Imported, file: ModelTensors) -> tuple[LayerOrigin, ...]:
    names = [(imported.sources.get(w), imported.sources.get(b)) for w, b in _layers(imported.graph)]
    places = [node.where for node in imported.graph.nodes if traits_of(node).has_weights]
    base, probe = _reals(imported.graph), _Probe(file, names)
    ones, twos = probe.run(_constant(1), _constant(0)), probe.run(_constant(2), _constant(0))
    lifted = probe.run(_constant(1), _constant(1))
    if any(len(found.weights) != len(names) for found in (base, ones, twos, lifted)):
        return ()
    weight_places = probe.places([name for name, _ in names])
    bias_places = probe.places([name for _, name in names], biases=True)
    found = []
    for place, (weight_name, bias_name) in enumerate(names):
        factor = twos.weights[place] - ones.weights[place]
        weights = _origin(
            file,
            weight_name,
            factor,
            weight_places(place, ones.weights[place] - factor, factor),
            base.weights[place],
        )
        none = ones.biases[place]
        factor = lifted.biases[place] - none
        bias = _origin(
            file,
            bias_name,
            factor,
            bias_places(place, none, factor),
            base.biases[place],
        )
        is_lifted = not np.allclose(twos.biases[place], none, rtol=1e-5, atol=1e-6)
        has_bias = bias_name is not None or bool(np.any(base.biases[place]))
        found.append(LayerOrigin(weights, bias, has_bias, is_lifted, places[place]))
    return tuple(found)


Numbers = Callable[[np.ndarray], np.ndarray]
"""From a tensor of the file to one of its shape and dtype with other numbers."""

Places = Callable[[int, np.ndarray, np.ndarray], np.ndarray | None]
"""From a layer, and what it makes of 0 and of one more, to the places of its elements."""


class _Probe:
    """Imports a file again with other numbers as weights and biases.

    Args:
        names: of the weights and the bias of each layer; what is both is neither.
    """

    def __init__(self, file: ModelTensors, names: list[tuple[str | None, str | None]]) -> None:
        self._file = file
        weights = {name for name, _ in names if name is not None and name in file.held}
        biases = {name for _, name in names if name is not None and name in file.held}
        self._weights, self._biases = weights - biases, biases - weights

    def run(self, weights: Numbers, biases: Numbers) -> _Tensors:
        replaced = {
            name: of(self._file.held[name])
            for names, of in ((self._weights, weights), (self._biases, biases))
            for name in names
        }
        return _reals(self._file.read_with(replaced).graph)

    def places(self, names: list[str | None], *, biases: bool = False) -> Places:
        """Reads places off imports whose numbers are the digits of the places."""
        held = [self._file.held[name] for name in names if name and name in self._file.held]
        most = max((_digit_count(one) for one in held), default=0)
        tables = []
        for digit in range(most):
            coded = _digits(digit)
            found = self.run(_constant(1), coded) if biases else self.run(coded, _constant(0))
            tables.append(found.biases if biases else found.weights)

        def places(layer: int, zero: np.ndarray, one: np.ndarray) -> np.ndarray | None:
            name = names[layer]
            if name is None or name not in self._file.held or not np.all(one):
                return None
            total = np.zeros(zero.shape, np.int64)
            base = _BASES[self._file.held[name].dtype.kind]
            for digit, table in enumerate(tables):
                if len(table) != len(names) or table[layer].shape != zero.shape:
                    return None
                exact = (table[layer] - zero) / one - 1
                rounded = np.rint(exact)
                if np.abs(exact - rounded).max(initial=0.0) > 0.3:
                    return None
                total += rounded.astype(np.int64) * base**digit
            size = self._file.held[name].size
            return total if total.min() >= 0 and total.max() < size else None

        return places


def _constant(number: int) -> Numbers:
    def numbers(held: np.ndarray) -> np.ndarray:
        return np.full(held.shape, number, held.dtype)

    return numbers


def _digits(digit: int) -> Numbers:
    def numbers(held: np.ndarray) -> np.ndarray:
        base = _BASES[held.dtype.kind]
        places = np.arange(held.size).reshape(held.shape)
        coded: np.ndarray = places // base**digit % base + 1
        return coded.astype(held.dtype)

    return numbers


def _digit_count(held: np.ndarray) -> int:
    base, count = _BASES[held.dtype.kind], 1
    while base**count < held.size:
        count += 1
    return count


def _origin(
    file: ModelTensors,
    name: str | None,
    factor: np.ndarray,
    index: np.ndarray | None,
    base: np.ndarray,
) -> Origin | None:
    """The origin of a tensor; None if it is not all of one tensor of the file."""
    if name is None or index is None:
        return None
    held = file.held[name]
    # What was folded in beside it, and the zero point of integers.
    offset = base - factor * held.reshape(-1)[index].astype(np.float64)
    return Origin(name, held, index, factor, offset)


def layer_reals(graph: Graph) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases, as reals, of the layers of an imported graph in execution order."""
    found = _reals(graph)
    return found.weights, found.biases


def _layers(graph: Graph) -> list[tuple[Value, Value]]:
    return [(node.inputs[1], node.inputs[2]) for node in graph.nodes if traits_of(node).has_weights]


def _reals(graph: Graph) -> _Tensors:
    producers = graph.producers()

    def real(value: Value) -> np.ndarray:
        node = producers.get(value)
        held = value if node is None else node.inputs[0]
        data = graph.constants[held].astype(np.float64)
        if held.type.dtype is DType.F32:
            return data
        meaning = held.type.quantization
        assert meaning is not None
        scales = np.asarray(meaning.scales(data.shape[0]), dtype=np.float64)
        return data * scales.reshape((-1,) + (1,) * (data.ndim - 1))

    layers = _layers(graph)
    return _Tensors([real(w) for w, _ in layers], [real(b) for _, b in layers])

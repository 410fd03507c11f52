"""One library for all candidates: the largest scheme, of which a session says what trains.

A library takes much longer to compile than a candidate takes to train. Set to a scheme, this one
gives the bits of that scheme compiled by itself: with rounding to nearest, and where weights train
whole. Where weights train in part, stochastic rounding draws other random numbers for them, and
Adam scales their gradients by what was measured of the whole layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinytrain.compiler.chosen_rate import initial_rate
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.host_library import host_library
from tinytrain.compiler.options import GRADIENTS
from tinytrain.compiler.race_samples import with_frozen
from tinytrain.emit.frozen import joined
from tinytrain.errors import ToolchainError
from tinytrain.ir.graph import Node, Value, needed_for
from tinytrain.ir.operations import replaced, role_of, stored_in, traits_of
from tinytrain.ir.ops import Role
from tinytrain.ir.ops_update import VELOCITY_BITS
from tinytrain.ir.types import DType
from tinytrain.reference import adam, lowering
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.candidate import Candidate, Part, Resolver, key_of
from tinytrain.searches.frozen_rows import FrozenRows
from tinytrain.searches.largest import made_ready
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.library_switches import SwitchedLibrary, SwitchSetting, UpdateConstants

KEPT_BYTES = 2**29
"""Frozen activations that are kept at most."""

_Layers = tuple[int, tuple[tuple[int, int], ...]]
"""How many nodes are frozen, and what of theirs is kept."""


class Switches:
    """A library whose session trains any scheme within the largest.

    A trial trains on its samples alone: replay, rehearsal, the guard and whatever else acts beside
    a step are left out, and so is the schedule: rates come from outside.

    Args:
        compiled: with the largest scheme: the whole weights and the biases of all layers that any
            candidate trains.
        cache: folder for libraries, which other processes may use at the same time; None keeps
            nothing.
        rows: frozen activations that other processes compute, too; None shares none.

    Attributes:
        options: as they were compiled with; a trial takes its schedule from them.
        compiled: without what trials leave out.
        library: set to the largest scheme at first.

    Raises:
        SchemeError: the largest scheme trains a part of a layer, or has rates of its own.
        UsageError: an option has no place in trials.
        ToolchainError: there is no C compiler for this machine.
    """

    def __init__(
        self, compiled: Compiled, cache: Path | None = None, rows: FrozenRows | None = None
    ) -> None:
        self.options, self.compiled = compiled.options, made_ready(compiled)
        self._graph = self.compiled.plan.graph
        self._parameters = {value: place for place, value in enumerate(self._graph.parameters)}
        self._stored_in = stored_in(self._graph)
        self._gradient = GRADIENTS[self.compiled.options.gradient]
        self._updates = [node for node in self._graph.nodes if traits_of(node).overwrites]
        self._resolver = Resolver(self.compiled)
        layers = {node.layer: node for node in self._graph.nodes if traits_of(node).has_weights}
        self._layers = [layers[layer] for layer in self._resolver.layers]
        files = emit_step(self.compiled, switched=True)
        try:
            library = host_library(files, cache, kind=SwitchedLibrary)
        except ToolchainError as error:
            raise ToolchainError(
                f"candidates train on this machine, where {error.what}",
                where=error.where,
                detail=error.detail,
                help=error.help,
            ) from error
        assert isinstance(library, SwitchedLibrary)
        self.library = library
        self._rows = rows
        self._kept: dict[tuple[LibrarySamples, _Layers], LibrarySamples] = {}
        self.set(self._resolver.largest)

    def set(self, scheme: Scheme) -> None:
        """What trains from now on, from the factory state.

        Raises:
            SchemeError: the scheme trains what the largest one does not, or nothing.
        """
        setting = self._setting(scheme, self._graph.parameters)
        self.library.switch(setting, len(self._updates), len(self._parameters))
        self._layers_before = setting.frozen, tuple(setting.spans)
        self.library.init()  # what was trained may be frozen now

    def with_frozen(self, samples: LibrarySamples) -> LibrarySamples:
        """Samples with what the layers before the first that trains now make of them.

        Computed once for each such layer and kept, the latest up to `KEPT_BYTES`: the same samples
        have to come as the same object.

        Args:
            samples: with inputs; frozen activations that they have are of another scheme.
        """
        assert samples.inputs is not None, "samples without inputs"
        key = samples, self._layers_before
        size = len(samples.targets) * self.library.model.frozen_bytes
        if key not in self._kept:
            if not 0 < size <= KEPT_BYTES:
                return replace(samples, frozen=None)
            shared = None
            if self._rows is not None:
                shared = self._rows.of(self.library, self._layers_before, samples)
            self._kept[key] = (
                with_frozen(self.library, samples.inputs, samples.targets)
                if shared is None
                else replace(samples, frozen=shared)
            )
        self._kept[key] = found = self._kept.pop(key)
        while sum(_size(kept) for kept in self._kept.values()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return found

    def _setting(self, scheme: Scheme, held: Mapping[Value, np.ndarray]) -> SwitchSetting:
        """What of the step runs.

        Args:
            held: by parameter, what channels that do not train stay at.
        """
        candidate = self._resolver.resolve(scheme)
        constants = {
            place: self._constants(node, *candidate.updates[key_of(node)])
            for place, node in enumerate(self._updates)
            if key_of(node) in candidate.updates
        }
        masks, runs = self._masks(candidate), self._runs(candidate)
        return SwitchSetting(
            runs,
            constants,
            {self._parameters[value]: mask for value, mask in masks.items()},
            {self._parameters[value]: _bytes(held[value]) for value in masks},
            *self._frozen(candidate, runs),
        )

    def suggested_rate(self, scheme: Scheme) -> float:
        """The learning rate that the compiler takes for a scheme, 0 to 1024.

        From the parts that what trains has in K, measured once for the largest scheme.

        Raises:
            SchemeError: as `set`.
        """
        candidate = self._resolver.resolve(scheme)
        guidance = self.compiled.guidance
        kernels: dict[str, np.ndarray] = {}
        unseen = dict(guidance.tangent.parts)
        # Of layers that share a tensor the last one counts, as it is the first to have a gradient.
        for node in reversed(self._layers):
            found = []
            if node.layer in candidate.weights and (w := node.inputs[1].name) in unseen:
                chosen = candidate.parts.get(node.layer)
                part = unseen.pop(w)
                found.append(part if chosen is None else part[:, list(chosen.channels)])
            if node.layer in candidate.biases and (b := self._bias(node).name) in unseen:
                found.append(unseen.pop(b))
            factor = scheme.rates.get(node.layer, 1.0)
            if found:
                kernels[node.layer] = factor * np.sum([part.sum(axis=1) for part in found], axis=0)
        tangent = replace(guidance.tangent, kernels=kernels)
        return initial_rate(self.options, replace(guidance, tangent=tangent, factor=scheme.rate))

    def _bias(self, layer: Node) -> Value:
        """The parameter behind a layer's bias."""
        bias = layer.inputs[2]
        producer = self._graph.producers().get(bias)
        return bias if producer is None else producer.inputs[0]

    def _runs(self, candidate: Candidate) -> np.ndarray:
        """Of each node whether training runs it."""
        nodes = self._graph.nodes
        wanted = {
            value
            for node in self._updates
            if role_of(node) is Role.UPDATE and key_of(node) in candidate.updates
            for value in node.outputs
        }
        needed = {node.name for node in needed_for(self._graph, wanted)[0]}
        needed |= {node.name for node in nodes if role_of(node) in (Role.FORWARD, Role.LOSS)}
        runs = [
            node.name in needed
            if role_of(node) is not Role.APPLY
            else not replaced(node) or key_of(node) in candidate.updates
            for node in nodes
        ]
        return np.array(runs, np.uint8)

    def _frozen(
        self, candidate: Candidate, runs: np.ndarray
    ) -> tuple[int, tuple[tuple[int, int], ...]]:
        """How many nodes come before the first that reads what trains, and what of theirs the
        others read: (offset, bytes) in the arena."""
        nodes = self._graph.nodes
        trained = {
            value
            for node in self._layers
            for value, layers in (
                (node.inputs[1], candidate.weights),
                (self._bias(node), candidate.biases),
            )
            if node.layer in layers
        }
        count = next(k for k, node in enumerate(nodes) if not trained.isdisjoint(node.inputs))
        if count == 0:
            return 0, ()
        made = {*self._graph.sample, *(value for node in nodes[:count] for value in node.outputs)}
        read = {
            value
            for node, runs_too in zip(nodes[count:], runs[count:], strict=True)
            if runs_too
            for value in node.inputs
        }
        offsets = self.compiled.plan.offsets
        kept = [(offsets[v], v.type.nbytes) for v in offsets if v in made and v in read]
        return count, joined(kept)

    def _constants(self, node: Node, index: int, own: Node) -> UpdateConstants:
        """What an update reads: of all channels, at the rate of the scheme's own node."""
        attrs = {key: value for key, value in node.attrs.items() if key != "layer_rate"}
        if "layer_rate" in own.attrs:
            attrs["layer_rate"] = own.attrs["layer_rate"]
        node = replace(node, attrs=attrs)
        if role_of(node) is Role.UPDATE:
            target, _ = replaced(node)[0]
            # How many positions there are decides another constant only.
            rates = lowering.update_rates(attrs, target, 1, self._gradient)
            multiplier, shift = rates.multiplier.astype(np.int32), rates.shift.astype(np.int8)
            return UpdateConstants(index, multiplier, shift, rates.real)
        if not node.op.startswith("adam"):
            return UpdateConstants(index)
        trained = own.inputs[0].type
        shared = trained.size // (1 if trained.dtype is DType.S32 else trained.shape[0])
        real = lowering.adam_constants(node, self._graph.accumulate)
        return UpdateConstants(index, real=real, inverse=float(adam.inverse(shared)))

    def _masks(self, candidate: Candidate) -> dict[Value, np.ndarray]:
        """By parameter, uint8 [bytes], of each bit whether it trains; of layers in part alone."""
        masks: dict[Value, np.ndarray] = {}
        weights = {node.layer: node.inputs[1] for node in self._layers}
        for node in self._updates:
            part = candidate.parts.get(node.layer)
            if part is None or key_of(node) not in candidate.updates:
                continue
            chosen = _elements(part, weights[node.layer].type.shape)
            for old, _ in replaced(node):
                parameter = self._stored_in.get(old, old)
                if parameter.type.dtype is DType.S8:
                    masks[parameter] = np.where(chosen, 0xFF, 0).astype(np.uint8)
                elif parameter.type.dtype is DType.U8:
                    of_weights = parameter in self._graph.fractions.values()
                    bits = self.options.fraction_bits if of_weights else VELOCITY_BITS
                    masks[parameter] = np.packbits(np.repeat(chosen, bits), bitorder="little")
        return masks


def _elements(part: Part, shape: tuple[int, ...]) -> np.ndarray:
    """Of each weight, in memory order, whether it is chosen: bool [size]."""
    chosen = np.zeros(shape, bool)
    np.moveaxis(chosen, part.axis, 0)[list(part.channels)] = True
    return chosen.ravel()


def _size(samples: LibrarySamples) -> int:
    return 0 if samples.frozen is None else samples.frozen.nbytes


def _bytes(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(data).view(np.uint8).ravel()

"""What emission knows while it walks the graph: where values live, and the constants met so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tinytrain.emit.anomaly import ANOMALY_FIELDS
from tinytrain.emit.c_text import C_TYPES, call, identifier, initializer
from tinytrain.emit.class_weights import CLASS_COUNTS
from tinytrain.emit.enrol_fields import ENROL_FIELDS
from tinytrain.emit.follow_fields import FOLLOW_FIELDS, Following
from tinytrain.emit.replay import REPLAY_FIELDS
from tinytrain.emit.switches import SWITCHES, Switching
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import stored_in
from tinytrain.ir.trained import trained_tensors
from tinytrain.ir.types import DType
from tinytrain.kernel.nodes import call_of
from tinytrain.kernel.table import RUNTIME
from tinytrain.plan.cuts import NodeCut, Portions
from tinytrain.plan.plan import Plan
from tinytrain.reference.machine import scale_names, update_indices

_ELEMENTS = {
    DType.S8: "s8",
    DType.U8: "u8",
    DType.BIT: "u8",
    DType.S16: "s16",
    DType.S32: "s32",
    DType.F32: "f32",
}


@dataclass(frozen=True)
class Constant:
    """One array in flash.

    Attributes:
        name: C identifier, without the model's prefix.
        c_type: of an element.
        size: elements.
        text: initialiser.
        nbytes: in flash.
        layer: the first that reads it; empty where it serves none alone.
    """

    name: str
    c_type: str
    size: int
    text: str
    nbytes: int
    layer: str


@dataclass
class StripePlaces:
    """Where a node of a line-buffered chain reads and writes one stripe.

    Attributes:
        starts: for each of its maps, a C expression for the row of the buffer where the stripe is.
        window: the address of the window of the whole map, once the node has named it.
    """

    starts: Mapping[Value, str]
    window: str | None = None

    def start(self, value: Value) -> str | None:
        """A C expression for the first element of the stripe; None for a value without rows."""
        start = self.starts.get(value)
        return None if start is None else f"{start} * {_row_size(value)}U"

    def size(self, value: Value) -> str:
        """A C expression for the elements of the stripe."""
        return f"stripe->rows * {_row_size(value)}U"


@dataclass
class PartPlaces:
    """Where a node that runs in parts reads and writes one of them.

    Attributes:
        starts: for each value that is cut, a C expression for the first element of the part.
        window: the address of the window of the whole map, once the node has named it.
    """

    starts: Mapping[Value, str]
    window: str | None = None

    def start(self, value: Value) -> str | None:
        """A C expression for the first element of the part; None for a value that is not cut."""
        return self.starts.get(value)

    def size(self, value: Value) -> str:
        """A C expression for the elements of the part."""
        return "slice.count"


@dataclass
class EmitContext:
    """Shared by the functions that turn nodes into calls.

    Attributes:
        prefix: C prefix of everything that the model defines at file scope.
        constants: in order of first use; equal arrays are stored once.
        locals: definitions of static structures, in order.
        functions: names of the runtime's functions that the code calls.
        health: whether updates are counted.
        stripe: set while a node is called for a stripe of rows, or for a part.
        layer: of the node that is being emitted; constants remember it.
        switching: what a session may leave out, in a library that tries many schemes.
        portions: how the step is cut, if it runs in portions.
        whole: the training step, where the plan may hold less; its scales are in the state.
        arena: prefix of the accessors of the arena that the plan is of.
    """

    graph: Graph
    plan: Plan
    prefix: str
    constants: dict[tuple[str, bytes], Constant] = field(default_factory=dict)
    locals: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    health: bool = False
    stripe: StripePlaces | PartPlaces | None = None
    layer: str = ""
    switching: Switching | None = None
    portions: Portions | None = None
    whole: Graph | None = None
    arena: str = "at"

    def __post_init__(self) -> None:
        names = scale_names(self.whole or self.graph)
        self.scales = {name: index for index, name in enumerate(names)}
        self.updates = update_indices(self.graph)
        trained = trained_tensors(self.graph)
        self._counted = {tensor.update.name: index for index, tensor in enumerate(trained)}
        self.fields = field_names(self.graph)
        self._names: set[str] = set()
        self._segments: dict[Value, str] = {}
        self.accumulation_window = self.graph.accumulate
        self.following = Following.of(self.graph)
        self._stored_in = stored_in(self.graph)

    def place(self, value: Value) -> str:
        """A C expression for the first element of a value, or of the rows of a stripe."""
        if value in self.plan.offsets:
            element = _ELEMENTS[value.type.dtype]
            place = f"{self.arena}_{element}(state, {self.plan.offsets[value]})"
            start = None if self.stripe is None else self.stripe.start(value)
            return place if start is None else f"{place} + {start}"
        if value in self.fields:
            return f"state->{self.fields[value]}"
        if value in self.graph.constants:
            return self.array(value.name, self.graph.constants[value])
        if value in self._stored_in:
            return self.place(self._stored_in[value])
        raise InternalError(f"{value} has no place")

    def places(self, *values: Value) -> list[str]:
        """`place` of each value."""
        return [self.place(value) for value in values]

    def size(self, value: Value) -> str:
        """A C expression for the elements of a value, or of the stripe or part that runs."""
        if self.stripe is not None:
            return self.stripe.size(value)
        return str(value.type.size)

    def stripe_window(self, address: str) -> str:
        """A C expression for the window that a kernel is called with."""
        if self.stripe is None:
            return address
        self.stripe.window = address
        return "&window"

    def function(self, name: str) -> str:
        """The name of a function of the runtime, for code that calls it.

        Raises:
            InternalError: the runtime has no such function.
        """
        if name not in RUNTIME:
            raise InternalError(f"the runtime has no function {name}")
        self.functions.add(name)
        return name

    def call(self, function: str, *arguments: object) -> str:
        """A statement that calls a function of the runtime."""
        return call(self.function(function), *arguments)

    def kernel_call(self, node: Node, *arguments: object) -> str:
        """A statement that calls a node's kernel: the chosen one, or the only one there is."""
        if node.name in self.plan.choices:
            return self.call(self.plan.choices[node.name].kernel, *arguments)
        work = call_of(self.graph, node)
        if work is None:
            raise InternalError(f"no kernel is known for {node.name}: {node.op}")
        return self.call(work.contract, *arguments)

    def workspace(self, node: Node) -> str:
        """A C expression for the workspace of a node; NULL where its kernel needs none."""
        if node.name not in self.plan.workspaces:
            return "NULL"
        return f"{self.arena}_u8(state, {self.plan.workspaces[node.name]})"

    def workspace_bytes(self, node: Node) -> int:
        """Bytes of that workspace."""
        return self.plan.choices[node.name].workspace

    def array(self, name: str, data: np.ndarray) -> str:
        """Puts an array into flash, where no equal one is there yet, and returns its C name."""
        key = (str(data.dtype), data.tobytes())
        if key not in self.constants:
            c_name = f"{self.prefix}_{self.unique(identifier(name))}"
            self.constants[key] = Constant(
                c_name, C_TYPES[data.dtype], data.size, initializer(data), data.nbytes, self.layer
            )
        return self.constants[key].name

    def unique(self, name: str) -> str:
        """The name, with a number where it is taken."""
        candidate, number = name, 1
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def take_names(self, other: EmitContext) -> None:
        """Names at file scope are those of another context, too."""
        self._names, self._segments = other._names, other._segments

    def struct(self, c_type: str, name: str, fields: Mapping[str, object]) -> str:
        """Defines a static const structure and returns its address."""
        c_name = self.unique(identifier(name))
        body = ", ".join(f".{key} = {value}" for key, value in fields.items())
        self.locals.append(f"static const {c_type} {c_name} = {{{body}}};")
        return f"&{c_name}"

    def segments(self, w: Value, body: str) -> str:
        """Defines the segments of frozen weights, once for all that read them; returns the name."""
        if w not in self._segments:
            self._segments[w] = self.unique(f"{identifier(w.name)}_segments")
            self.locals.append(f"static const tt_segment {self._segments[w]}[] = {{{body}}};")
        return self._segments[w]

    def cut_of(self, node: Node) -> NodeCut | None:
        """How a node is cut; None for one that runs as a whole."""
        cut = None if self.portions is None else self.portions.cuts.get(node.name)
        return None if cut is None or cut.kind == "whole" else cut

    def all_channels(self) -> str:
        """A list of all channels, for kernels that compute those of a list."""
        assert self.portions is not None
        return self.array("all_channels", np.arange(self.portions.listed, dtype=np.uint16))

    def updates_in(self, node: Node) -> bool:
        """Whether a node changes what is trained."""
        return any(value in self._stored_in for value in node.outputs)

    def update_health(self, node: Node) -> str:
        """A C expression for the address of an update's counters; NULL where nothing is counted."""
        return f"&state->health.updates[{self._counted[node.name]}]" if self.health else "NULL"

    def bytes_by_layer(self) -> dict[str, int]:
        """Of the constants of each layer; those that serve none under ""."""
        found: dict[str, int] = {}
        for constant in self.constants.values():
            found[constant.layer] = found.get(constant.layer, 0) + constant.nbytes
        return found

    def exponent(self, name: str | None) -> str:
        """A C expression for E of a gradient."""
        return f"state->scales[{self.scales[name]}].exponent" if name in self.scales else "0"


def _row_size(value: Value) -> int:
    return value.type.size // value.type.shape[1]


def field_names(graph: Graph) -> dict[Value, str]:
    """The state field that holds each parameter."""
    names: dict[Value, str] = {}
    taken: set[str] = {"step", "scales", "health", "arena", "fed_steps", "fed_rows", "rehearsed"}
    taken |= {"guard", "guard_classes", *REPLAY_FIELDS, *ENROL_FIELDS, *FOLLOW_FIELDS, CLASS_COUNTS}
    taken |= {*ANOMALY_FIELDS, SWITCHES, "portion", "concurrent"}
    for value in graph.parameters:
        name = identifier(value.name)
        while name in taken:
            name += "_"
        taken.add(name)
        names[value] = name
    return names

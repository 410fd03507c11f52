"""Reads the calls of an exported program, in order, as calls of the vocabulary.

What depends on weights alone is worked out by PyTorch itself.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.importing import quiet
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.frontend.pytorch.constants import constants_of
from tinytrain.frontend.pytorch.operands import AtenOperands, Found, Length
from tinytrain.frontend.pytorch.operations import OPERATIONS
from tinytrain.frontend.pytorch.refused_layers import RefusedLayers
from tinytrain.frontend.reader import Output, Reasons, choose_output
from tinytrain.frontend.refusals import Reason, constant_output


def kind_of(node: Any) -> str:
    """The name of a call's operation in `OPERATIONS`: its packet's, without a final underscore."""
    packet = getattr(node.target, "overloadpacket", None)
    name = str(packet).split(".")[-1] if packet is not None else str(node.target)
    return name.rstrip("_") or name


class _AtenReader:
    def __init__(self, program: Any, file: str, replaced: Mapping[str, np.ndarray]) -> None:
        self.program = program
        self.replaced = replaced
        self.builder = ProgramBuilder(file)
        self.reasons = Reasons(self.builder)
        self.known: dict[Any, Any] = {}
        self.users = set(program.graph_signature.user_inputs)
        self.refused = RefusedLayers()

    def run(self, output: str | None) -> Program:
        wanted = self._output(output)
        constants = constants_of(self.program, str(self.builder.file), self.replaced)
        needed = self._needed(wanted)
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and node.name in self.users:
                self.known[node] = self._input(node)
            elif node.op == "placeholder":
                self.known[node] = constants.get(node.name)
            elif node.op == "call_function" and node in needed:
                with self.builder.reading(_place(node)):
                    self._read(node)
        self.reasons.found = self.refused.merged(self.reasons.found)
        self.reasons.check_inputs()
        self.reasons.check()
        result = self.known[wanted]
        if isinstance(result, Length):
            raise ModelError(
                "the model ends in a norm",
                where=Where(self.builder.file),
                help="end the model before it, and compute lengths in the firmware",
            )
        return self.builder.finish(result)

    # --- inputs, weights, outputs -----------------------------------------------------------------

    def _input(self, node: Any) -> Call:
        import torch

        value = node.meta.get("val")
        file = self.builder.file
        if not isinstance(value, torch.Tensor):
            raise ModelError(f"the input '{node.name}' is no tensor", where=Where(file, node.name))
        for axis, extent in enumerate(value.shape):
            if not isinstance(extent, int):
                raise ModelError(
                    f"dimension {axis} of the input '{node.name}' is dynamic ('{extent}')",
                    where=Where(file, node.name),
                    help="export the program without dynamic_shapes, with a batch of 1",
                )
        dtype = "float32" if value.is_floating_point() else str(value.dtype).split(".")[-1]
        return self.builder.input(node.name, tuple(value.shape), dtype)

    def _output(self, output: str | None) -> Any:
        import torch

        for node in self.program.graph.nodes:
            if node.op == "call_function" and node.name == output:
                return node
        (end,) = (node for node in self.program.graph.nodes if node.op == "output")
        wanted = set(self.program.graph_signature.user_outputs)
        nodes = [n for n in end.args[0] if hasattr(n, "name") and n.name in wanted]
        tensors = [n for n in nodes if isinstance(n.meta.get("val"), torch.Tensor)]
        if not tensors:
            raise constant_output(self.builder.file)
        outputs = [
            Output(n.name, tuple(int(extent) for extent in n.meta["val"].shape), kind_of(n))
            for n in tensors
        ]
        chosen = choose_output(outputs, output, self.builder.file, self.builder.notes)
        return tensors[chosen]

    def _needed(self, output: Any) -> set[Any]:
        needed, pending = {output}, [output]
        while pending:
            for node in pending.pop().all_input_nodes:
                if node not in needed:
                    needed.add(node)
                    pending.append(node)
        return needed

    # --- calls ------------------------------------------------------------------------------------

    def _read(self, node: Any) -> None:
        if node.target is operator.getitem:
            source, place = node.args
            self.known[node] = self._part(node, self.known[source], place)
            return
        results: Sequence[Found] | None = self._worked_out(node)
        if results is None:
            kind = kind_of(node)
            if kind not in OPERATIONS:
                self.refused.add(str(node.target), _place(node), _layer(node))
            else:
                results = self.reasons.attempt(
                    lambda: self._results(node, kind),
                    [self.known.get(source) for source in node.all_input_nodes],
                )
        if results is None:
            self.known[node] = self._stand_ins(node)
            return
        value = node.meta.get("val")
        if isinstance(value, list | tuple):
            self.known[node] = list(results)
        else:
            result = results[0]
            named = not isinstance(result, Length)
            self.known[node] = self.builder.named(result, node.name) if named else result  # type: ignore[arg-type]

    def _part(self, node: Any, held: Any, place: int) -> Any:
        """One result of a call that has several."""
        if not isinstance(held, list):
            return held
        if place < len(held):
            return held[place]
        self.reasons.found.append(
            Reason(
                f"result {place} of '{kind_of(node.args[0])}' is read, which is not supported",
                _place(node),
                "use strided convolutions and nearest-neighbour resizes in the place of unpooling",
            )
        )
        return self._stand_ins(node)

    def _stand_ins(self, node: Any) -> Any:
        value = node.meta.get("val")
        if isinstance(value, list | tuple):
            return [self.reasons.stand_in(tuple(v.shape)) for v in value if hasattr(v, "shape")]
        return self.reasons.stand_in(tuple(getattr(value, "shape", (1, 1))))

    def _results(self, node: Any, kind: str) -> Sequence[Found]:
        row = OPERATIONS[kind]
        values = self._values(node, row.honoured | row.harmless)
        overload = str(node.target).split(".")[-1]
        results = row.read(AtenOperands(self.builder, kind, overload, values))
        expected = node.meta.get("val")
        shape = tuple(getattr(expected, "shape", ()))
        first = results[0]
        several = isinstance(expected, list | tuple) or isinstance(first, Length)
        if not several and first.shape != shape:
            raise self.builder.error(
                f"'{kind}' gives {list(first.shape)} where the program says {list(shape)}",
                "please report it with the model",
            )
        return results

    def _values(self, node: Any, known: frozenset[str]) -> dict[str, Any]:
        """All arguments by name.

        Raises:
            ModelError: one that is not known and not at its default.
        """
        values: dict[str, Any] = {}
        for place, argument in enumerate(node.target._schema.arguments):
            if place < len(node.args):
                value = node.args[place]
            else:
                value = node.kwargs.get(argument.name, argument.default_value)
            value = self._tensors(value)
            values[argument.name] = value
            if argument.name not in known and value != argument.default_value:
                raise self.builder.error(
                    f"the argument {argument.name}={value} of '{kind_of(node)}' is not supported",
                    "leave it at its default",
                )
        return values

    def _tensors(self, value: Any) -> Any:
        """An argument with nodes replaced by what was read for them."""
        if isinstance(value, list | tuple):
            return [self._tensors(item) for item in value]
        return self.known[value] if hasattr(value, "op") and value in self.known else value

    def _worked_out(self, node: Any) -> list[Found] | None:
        """Results of a call that reads weights alone, by PyTorch; None where it reads more."""
        import torch

        if kind_of(node) in _KEPT or not (node.all_input_nodes or kind_of(node) in _MADE):
            return None
        found = [self.known.get(source) for source in node.all_input_nodes]
        if not all(isinstance(held, Const) and held.scale is None for held in found):
            return None

        def tensor(source: Any) -> Any:
            return torch.from_numpy(np.array(self.known[source].data))

        with quiet(), torch.no_grad():
            args = torch.fx.node.map_arg(node.args, tensor)
            kwargs = torch.fx.node.map_arg(node.kwargs, tensor)
            result = node.target(*args, **kwargs)
        results = result if isinstance(result, list | tuple) else [result]
        same = len(found) == 1 and isinstance(found[0], Const) and kind_of(node) in _VIEWS
        source = found[0].source if same and isinstance(found[0], Const) else None
        return [Const(item.detach().contiguous().numpy(), source=source) for item in results]


_KEPT = frozenset(
    {
        "quantize_per_tensor", "dequantize_per_tensor",
        "quantize_per_channel", "dequantize_per_channel",
    }
)  # fmt: skip
"""Read by rows of their own, so that integers stay integers."""

_MADE = frozenset({"zeros", "ones", "full", "arange", "linspace", "eye", "scalar_tensor"})
"""Tensors from numbers alone."""

_VIEWS = frozenset({"view", "permute", "transpose", "t", "reshape", "detach", "alias", "clone"})
"""What leaves weights the same parameter."""


def _place(node: Any) -> str:
    """The module that a call comes from, such as `features.3.conv`, or else the call's own name."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    inner = str(stack[-1][0]) if stack else ""
    return inner.removeprefix("L['self'].") or str(node.name)


def _layer(node: Any) -> str | None:
    """The class of the layer of `torch.nn` that a call comes from; None for a user's own module."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    kind = stack[-1][1] if stack else ""
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return name.split(".")[-1] if name.startswith("torch.nn.") else None


def read(
    program: Any,
    file: str,
    output: str | None,
    replaced: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Program:
    """The program of a `torch.export.ExportedProgram`.

    Args:
        output: name of the output that is compiled; None takes the one of a classifier.
        replaced: numbers in the place of those of the tensors with these names.

    Raises:
        ModelError: everything that stands in the way.
    """
    return _AtenReader(program, file, replaced).run(output)


__all__ = ["Tensor", "kind_of", "read"]

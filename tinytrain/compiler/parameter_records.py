"""What the manifest says of each trained tensor."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.trained import trained_tensors
from tinytrain.ir.types import TensorType
from tinytrain.manifest.records import ParameterRecord


def parameter_records(graph: Graph) -> tuple[ParameterRecord, ...]:
    """The parameters of a training graph, in the order of a saved file."""
    merges = {node.inputs[0]: node for node in graph.nodes if node.op == "merge_channels"}
    parts: dict[Value, tuple[str, str, Value]] = {}
    for tensor in trained_tensors(graph):
        role = "weights" if tensor.name.startswith("weights") else "bias"
        parts[tensor.parameter] = (tensor.update.layer, role, tensor.parameter)
        if tensor.fraction is not None:
            parts[tensor.fraction] = (tensor.update.layer, "fraction", tensor.parameter)
    return tuple(
        _record(value, data.nbytes, parts.get(value, ("", "rule", value)), merges)
        for value, data in graph.parameters.items()
    )


def _record(
    value: Value, nbytes: int, part: tuple[str, str, Value], merges: Mapping[Value, Node]
) -> ParameterRecord:
    layer, role, of = part
    merge = merges.get(of)
    whole = of.type if merge is None else merge.output.type
    return ParameterRecord(
        name=value.name,
        dtype=value.type.dtype.value,
        nbytes=nbytes,
        layer=layer,
        role=role,
        shape=tuple(whole.shape),
        axis=None if merge is None else merge.attrs["axis"],
        channels=None if merge is None else tuple(merge.attrs["channels"]),
        quantization=_quantization(whole),
    )


def _quantization(whole: TensorType) -> str | None:
    meaning = whole.quantization
    if meaning is None:
        return None
    return hashlib.sha256(f"{tuple(map(float, meaning.scale))}".encode()).hexdigest()

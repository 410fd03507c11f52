"""Every argument of every operation that is read is honoured, changes nothing, or is refused.

Walks what the formats themselves declare: ONNX's schemas, TFLite's tables of options, ATen's
signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tflite
import torch
from onnx import helper

from tests.support.onnx_models import save
from tests.support.paths import ROOT
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model
from tinytrain.frontend.builder import ProgramBuilder
from tinytrain.frontend.onnx.operands import row
from tinytrain.frontend.onnx.operations import OPERATIONS as ONNX
from tinytrain.frontend.pytorch.operations import OPERATIONS as ATEN
from tinytrain.frontend.tflite.model import Operator, option_fields
from tinytrain.frontend.tflite.operations import OPERATIONS as TFLITE

# The packages have functions of these modules' names.
onnx_module, tflite_module, pytorch_module = (
    import_module(f"tinytrain.frontend.{format_}.read") for format_ in ("onnx", "tflite", "pytorch")
)


@cache
def words_of(folder: str) -> set[str]:
    """Every string of letters that stands alone in the sources of a reader."""
    sources = (ROOT / "tinytrain/frontend" / folder).glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    return set(re.findall(r'"(\w+)"', text)) | set(re.findall(r"'(\w+)'", text))


def reader(module: Any, kind: str) -> Any:
    """A reader that has read nothing."""
    made = object.__new__(getattr(module, kind))
    made.builder, made.known = ProgramBuilder("m"), {}
    return made


# --- ONNX -----------------------------------------------------------------------------------------


def onnx_attributes(name: str) -> dict[str, Any]:
    """Of all versions of an operation."""
    domain, _, kind = name.rpartition(".")
    schemas = onnx.defs.get_all_schemas_with_history()
    return {
        key: attribute
        for schema in schemas
        if schema.name == kind and schema.domain == domain and not schema.deprecated
        for key, attribute in schema.attributes.items()
    }


ONNX_OWN = sorted(name for name in ONNX if not name.startswith("com.microsoft"))


def other_than(attribute: Any) -> Any:
    """A value that is not the default."""
    kinds = onnx.defs.OpSchema.AttrType
    values = {
        kinds.INT: 77, kinds.FLOAT: 7.5, kinds.STRING: "other", kinds.INTS: [7, 7],
        kinds.FLOATS: [7.5], kinds.STRINGS: ["other"],
    }  # fmt: skip
    return values.get(attribute.type)


@pytest.mark.parametrize("name", ONNX_OWN)
def test_onnx_attributes(name: str) -> None:
    found, declared = ONNX[name], onnx_attributes(name)
    assert found.honoured | found.harmless <= set(declared), "a name that no version has"
    assert found.honoured <= words_of("onnx"), "a name that the reader never asks for"
    domain, _, kind = name.rpartition(".")
    for key in set(declared) - found.honoured - found.harmless:
        value = other_than(declared[key])
        if value is None:
            continue
        node = helper.make_node(kind, ["x"], ["y"], domain=domain, **{key: value})
        with pytest.raises(ModelError, match=rf"the attribute {key} = .* is not supported"):
            reader(onnx_module, "_OnnxReader")._attributes(node, found.honoured | found.harmless)


def test_an_input_that_is_not_looked_at_is_an_error(tmp_path: Path) -> None:
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    node = helper.make_node("Dropout", ["x", "r", "t"], ["y"], "drop")
    with pytest.raises(ModelError, match="in training mode"):
        import_model(save(tmp_path / "d.onnx", [node], constants))
    node = helper.make_node("Relu", ["x"], ["y"], "relu")
    path = save(tmp_path / "r.onnx", [node], {})
    assert import_model(path).graph.nodes
    blind = row(lambda operands: [operands.builder.unary(operands.inputs[0], "relu")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ONNX, "Relu", blind)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="input 0 of 'Relu' is not supported here"):
            import_model(path)


# --- TFLite ---------------------------------------------------------------------------------------

_TABLES = {
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions", "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions", "L2_NORMALIZATION": "L2NormOptions",
}  # fmt: skip


def table_of(kind: str) -> str | None:
    """The table of an operator's options; None where the schema has none."""
    if kind in _TABLES or kind.startswith("REDUCE_"):
        return _TABLES.get(kind, "ReducerOptions")
    wanted = kind.replace("_", "").lower() + "options"
    found = [name for name in vars(tflite.BuiltinOptions) if name.lower() == wanted]
    return found[0] if found else None


@pytest.mark.parametrize("kind", sorted(TFLITE))
def test_tflite_options(kind: str) -> None:
    found, table = TFLITE[kind], table_of(kind)
    if table is None:
        assert not found.honoured | found.harmless, "options of an operator that has none"
        return
    fields = set(option_fields(table))
    # One row may serve several operators, of which some have less.
    others = {field for other in TFLITE if (t := table_of(other)) for field in option_fields(t)}
    assert found.honoured | found.harmless <= others, "a name that no table has"
    assert found.honoured <= words_of("tflite"), "a name that the reader never asks for"
    for field in fields - found.honoured - found.harmless:
        operator = Operator(kind, "n", (), (), {field: 77}, {field: 0})
        with pytest.raises(ModelError, match=f"the option {field} = 77"):
            reader(tflite_module, "_TfliteReader")._check_options(
                operator, found.honoured | found.harmless
            )


# --- PyTorch --------------------------------------------------------------------------------------


def overloads(kind: str) -> Iterator[Any]:
    """All forms of an operation, in the namespaces that programs use."""
    for space in (torch.ops.aten, torch.ops.quantized_decomposed):
        packet = getattr(space, kind, None)
        if packet is not None:
            yield from (getattr(packet, name) for name in packet.overloads())


@pytest.mark.parametrize("kind", sorted(ATEN))
def test_aten_arguments(kind: str) -> None:
    import_module("torch.ao.quantization.fx._decomposed")
    found, forms = ATEN[kind], list(overloads(kind))
    assert forms, f"PyTorch has no operation {kind}"
    known = found.honoured | found.harmless
    # One row may serve several operations, of which some have less.
    arguments = {a.name for other in ATEN for f in overloads(other) for a in f._schema.arguments}
    assert known <= arguments, f"a name that no form has: {known - arguments}"
    assert found.honoured <= words_of("pytorch"), "a name that the reader never asks for"
    for form in forms:
        for argument in form._schema.arguments:
            if argument.name in known or (argument.kwarg_only and argument.is_out):
                continue
            node = SimpleNamespace(target=form, args=(), kwargs={argument.name: object()}, name="n")
            node.meta = {}
            with pytest.raises(ModelError, match=f"the argument {argument.name}="):
                reader(pytorch_module, "_AtenReader")._values(node, known)

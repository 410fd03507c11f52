"""Writes small float TFLite models, as no converter is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

FLOAT32, INT32 = tflite.TensorType.FLOAT32, tflite.TensorType.INT32


class TfliteWriter:
    """Collects tensors and operators, then gives the bytes of a file."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)
        self.buffers: list[bytes] = [b""]
        self.tensors: list[tuple[str, tuple[int, ...], int, int]] = []
        self.codes: list[int] = []
        self.operators: list[tuple[int, Sequence[int], int, int, int]] = []

    def tensor(self, name: str, shape: Sequence[int], data: np.ndarray | None = None) -> int:
        """A tensor; with data, a constant."""
        buffer = 0
        kind = FLOAT32
        if data is not None:
            kind = INT32 if data.dtype == np.int32 else FLOAT32
            self.buffers.append(data.tobytes())
            buffer = len(self.buffers) - 1
        self.tensors.append((name, tuple(shape), kind, buffer))
        return len(self.tensors) - 1

    def constant(self, name: str, data: np.ndarray) -> int:
        """A constant tensor."""
        return self.tensor(name, data.shape, data)

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: str,
        **fields: Any,
    ) -> int:
        """An operator with one output; `fields` are fields of its options table."""
        output = self.tensor(f"{kind.lower()}_{len(self.operators)}", shape)
        getattr(tflite, f"{options}Start")(self.builder)
        for field, value in fields.items():
            getattr(tflite, f"{options}Add{field}")(self.builder, value)
        table = getattr(tflite, f"{options}End")(self.builder)
        code = getattr(tflite.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        union = getattr(tflite.BuiltinOptions, options)
        self.operators.append((self.codes.index(code), list(inputs), output, union, table))
        return output

    def _vector(self, start: Callable[[Any, int], Any], items: Sequence[int], unit: str) -> int:
        start(self.builder, len(items))
        for item in reversed(items):
            getattr(self.builder, f"Prepend{unit}")(item)
        return int(self.builder.EndVector())

    def finish(self, source: int | Sequence[int], result: int) -> bytes:
        """The file, with one input or several, and one output."""
        b = self.builder
        buffers = []
        for data in self.buffers:
            held = b.CreateByteVector(data) if data else None
            tflite.BufferStart(b)
            if held is not None:
                tflite.BufferAddData(b, held)
            buffers.append(tflite.BufferEnd(b))
        tensors = []
        for name, shape, kind, buffer in self.tensors:
            label = b.CreateString(name)
            extents = self._vector(tflite.TensorStartShapeVector, shape, "Int32")
            tflite.TensorStart(b)
            tflite.TensorAddShape(b, extents)
            tflite.TensorAddType(b, kind)
            tflite.TensorAddBuffer(b, buffer)
            tflite.TensorAddName(b, label)
            tensors.append(tflite.TensorEnd(b))
        operators = []
        for code, inputs, output, union, table in self.operators:
            read = self._vector(tflite.OperatorStartInputsVector, inputs, "Int32")
            written = self._vector(tflite.OperatorStartOutputsVector, [output], "Int32")
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, code)
            tflite.OperatorAddInputs(b, read)
            tflite.OperatorAddOutputs(b, written)
            tflite.OperatorAddBuiltinOptionsType(b, union)
            tflite.OperatorAddBuiltinOptions(b, table)
            operators.append(tflite.OperatorEnd(b))
        codes = []
        for code in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        offsets = "UOffsetTRelative"
        held_tensors = self._vector(tflite.SubGraphStartTensorsVector, tensors, offsets)
        held_operators = self._vector(tflite.SubGraphStartOperatorsVector, operators, offsets)
        sources = [source] if isinstance(source, int) else source
        given = self._vector(tflite.SubGraphStartInputsVector, sources, "Int32")
        results = self._vector(tflite.SubGraphStartOutputsVector, [result], "Int32")
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, held_tensors)
        tflite.SubGraphAddOperators(b, held_operators)
        tflite.SubGraphAddInputs(b, given)
        tflite.SubGraphAddOutputs(b, results)
        graph = tflite.SubGraphEnd(b)
        graphs = self._vector(tflite.ModelStartSubgraphsVector, [graph], offsets)
        held_codes = self._vector(tflite.ModelStartOperatorCodesVector, codes, offsets)
        held_buffers = self._vector(tflite.ModelStartBuffersVector, buffers, offsets)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddOperatorCodes(b, held_codes)
        tflite.ModelAddBuffers(b, held_buffers)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

"""Reads the operators of a TFLite file, in order, as calls of the vocabulary.

Integers with a scale are reals in between: an operator on them is read as dequantize, operate,
quantize, whatever it is. The rows in `operations` say which function reads which operator and which
of its options that function honours; another option that is not at its default is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.frontend.reader import Output, Reasons, choose_output
from tinytrain.frontend.refusals import unsupported
from tinytrain.frontend.tflite.batched import Batched, unread
from tinytrain.frontend.tflite.model import FileTensor, Operator, TfliteModel
from tinytrain.frontend.tflite.operands import TfliteOperands
from tinytrain.frontend.tflite.operations import OPERATIONS


class _TfliteReader:
    def __init__(self, model: TfliteModel, file: str) -> None:
        self.model = model
        self.builder = ProgramBuilder(file, channels_last=True)
        self.reasons = Reasons(self.builder)
        self.integers: dict[int, Tensor] = {}
        self.reals: dict[int, Tensor | Batched] = {}

    def run(self, output: str | None) -> Program:
        model, builder = self.model, self.builder
        chosen = self._chosen(output)
        for index in model.inputs:
            given = model.tensors[index]
            dtype = given.dtype if given.is_quantized else "float32"
            self.integers[index] = builder.input(given.name, given.shape, dtype)
        self.reasons.check_inputs()
        for operator in self._needed(chosen):
            with builder.reading(operator.name):
                self._read(operator)
        self.reasons.check()
        return builder.finish(self.real(chosen))

    def _chosen(self, output: str | None) -> int:
        """The tensor that is compiled: an output, or any other that the name tells."""
        outputs = [self._output(index) for index in self.model.outputs]
        if output is not None and output not in {declared.name for declared in outputs}:
            for operator in self.model.operators:
                for index in operator.outputs:
                    if self.model.tensors[index].name == output:
                        return index
        notes = self.builder.notes
        return self.model.outputs[choose_output(outputs, output, self.builder.file, notes)]

    def _output(self, index: int) -> Output:
        tensor = self.model.tensors[index]
        made = [o.kind for o in self.model.operators if index in o.outputs]
        # What leaves integers is looked through, to see what computes it.
        for operator in reversed(self.model.operators):
            if index in operator.outputs and operator.kind in ("DEQUANTIZE", "QUANTIZE"):
                return Output(tensor.name, tensor.shape, self._output(operator.inputs[0]).operation)
        return Output(tensor.name, tensor.shape, made[0] if made else "")

    def _needed(self, output: int) -> list[Operator]:
        wanted, needed = {output}, []
        for operator in reversed(self.model.operators):
            if wanted.intersection(operator.outputs):
                needed.append(operator)
                wanted.update(operator.inputs)
        return needed[::-1]

    # --- tensors ----------------------------------------------------------------------------------

    def real(self, index: int) -> Tensor:
        """A tensor as reals, or as the plain integers that stand for nothing else."""
        found = self.held(index)
        return unread(self.builder, found) if isinstance(found, Batched) else found

    def held(self, index: int) -> Tensor | Batched:
        """The same, where a tensor cut into batches stays one."""
        if index not in self.reals:
            self.reals[index] = self._real(self.model.tensors[index], index)
        return self.reals[index]

    def _real(self, tensor: FileTensor, index: int) -> Tensor:
        source = self.integers.get(index)
        if source is None:
            if tensor.data is None:
                raise self.builder.error(
                    f"the tensor '{tensor.name}' is read, but nothing computes it",
                    "convert the model again; it may be damaged",
                )
            data = tensor.data
            data = data.astype(np.float32) if data.dtype == np.float16 else data
            source = Const(data, source=tensor.key)
        if not tensor.is_quantized:
            return source
        return self.builder.dequantize(source, tensor.scale, tensor.zero_point, tensor.axis)

    # --- operators --------------------------------------------------------------------------------

    def _read(self, operator: Operator) -> None:
        row = OPERATIONS.get(operator.kind)
        if row is None:
            self.reasons.found.append(unsupported(operator.kind, operator.name))
            results: Sequence[Tensor | Batched] | None = None
        else:
            results = self.reasons.attempt(
                lambda: self._results(operator),
                [self.reals.get(index, self.integers.get(index)) for index in operator.inputs],
            )
        for place, index in enumerate(operator.outputs):
            tensor = self.model.tensors[index]
            if results is None:
                self.reals[index] = self.reasons.stand_in(tensor.shape)
            elif place < len(results):
                self._keep(index, tensor, results[place])

    def _results(self, operator: Operator) -> Sequence[Tensor | Batched]:
        row = OPERATIONS[operator.kind]
        self._check_options(operator, row.honoured | row.harmless)
        operands = TfliteOperands(self.builder, operator, self.model, self)
        return row.read(operands)

    def _check_options(self, operator: Operator, known: frozenset[str]) -> None:
        for field, value in operator.options.items():
            if field not in known and value != operator.defaults[field]:
                raise self.builder.error(
                    f"the option {field} = {value} of '{operator.kind}' is not supported",
                    "convert the model without it",
                )

    def _keep(self, index: int, tensor: FileTensor, result: Tensor | Batched) -> None:
        """Holds a result as the file declares it: quantized where its tensor is."""
        builder = self.builder
        if isinstance(result, Batched):
            self.reals[index] = result
            return
        if tensor.is_quantized and isinstance(result, Call):
            scale, point = float(tensor.scale[0]), int(tensor.zero_point[0])
            if tensor.scale.size > 1:
                raise builder.error(
                    "an activation is quantized per channel",
                    "quantize activations per tensor; only weights have a scale per channel",
                )
            quantized = builder.quantize(result, scale, point, tensor.dtype)
            self.integers[index] = builder.named(quantized, tensor.key)
            self.reals.pop(index, None)
            return
        self.reals[index] = builder.named(result, tensor.key)


def read(model: TfliteModel, file: str, output: str | None) -> Program:
    """The program of a parsed file.

    Args:
        output: name of the output that is compiled; None takes the one of a classifier.

    Raises:
        ModelError: everything that stands in the way.
    """
    return _TfliteReader(model, file).run(output)

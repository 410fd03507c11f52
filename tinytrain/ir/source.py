"""What is known of the model that a graph was made from."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.expression import Step


@dataclass(frozen=True)
class Calibration:
    """What the ranges of a float model's activations were chosen from.

    Attributes:
        method: one of `quantize.ranges.METHODS`.
        samples: how many there were.
    """

    method: str
    samples: int


@dataclass(frozen=True)
class InputSource:
    """One of several inputs of a model, as its file has it.

    Attributes:
        name: in the file.
        shape, layout: as those of a `ModelSource`.
    """

    name: str
    shape: tuple[int, ...]
    layout: str


@dataclass(frozen=True)
class ModelSource:
    """Where a model came from, and what its file says of it.

    Attributes:
        file: name of the model file; None for a module that was not read from one.
        sha256: of the file, in hexadecimal; None where there is no file.
        shape: of the input as the model declares it, batch of one; of several, that of a vector
            that holds one after the other.
        layout: of that shape: NCHW, NHWC, NCL, NLC or NC.
        inputs: where there are several, in the order of the file; else empty.
        dtype: of the input as the model declares it, such as uint8.
        output_shape, output_layout: the same of the output; a vector under any shape is NC, NCC
            or NCCC.
        notes: sentences on what had to change on the way to s8.
        softmax: whether a softmax behind the logits was left out.
        loss: that the end of the graph was made ready for; empty where nothing did.
        ending: the function behind the last layer that is still there, a softmax not counted, as
            `ir.expression.name_of` calls it; empty where there is none.
        ending_steps: that function as an expression.
        calibration: of a model that came as floats; None if it brought its ranges.
    """

    file: str | None = None
    sha256: str | None = None
    shape: tuple[int, ...] = ()
    layout: str = ""
    inputs: tuple[InputSource, ...] = ()
    dtype: str = ""
    output_shape: tuple[int, ...] = ()
    output_layout: str = ""
    notes: tuple[str, ...] = ()
    softmax: bool = False
    loss: str = ""
    ending: str = ""
    ending_steps: tuple[Step, ...] = ()
    calibration: Calibration | None = None

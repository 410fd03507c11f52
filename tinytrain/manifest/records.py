"""What the manifest says of a model beside its memory: where it comes from, what it takes, what it
trains."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from tinytrain.losses import SampleTarget
from tinytrain.manifest.schema import Above, AtLeast, Count, OneOf, Positive, Sha256, Whole, key

Share = Annotated[float, AtLeast(0)]
Scalar = bool | int | float | str | None
"""The value of an option."""


@dataclass(frozen=True, kw_only=True)
class SourceRecord:
    """The model file.

    Attributes:
        file: its name; null for a PyTorch module.
        sha256: hash of its contents; null for a PyTorch module.
    """

    file: str | None
    sha256: Sha256 | None


@dataclass(frozen=True, kw_only=True)
class ProofRecord:
    """Whether the model was read right: what was read, run beside the format's own reference.

    Attributes:
        reference: what ran the model, and computed the same; null where the import is not verified.
        tensors: number of tensors that were compared.
        samples: number of inputs that they were compared on.
        help: why the import is not verified, and what helps; null if it is.
    """

    reference: str | None
    tensors: Count
    samples: Count
    help: str | None

    def sentence(self) -> str:
        """What a person is told."""
        if self.reference is None:
            return f"import not verified: {self.help}"
        if self.tensors == 1:
            return f"1 tensor equals that of {self.reference}"
        return f"{self.tensors} tensors equal those of {self.reference}"


@dataclass(frozen=True, kw_only=True)
class TrainedRecord:
    """What trains in one layer.

    Attributes:
        bias: whether the bias trains.
        channels: indices of the input channels whose weights train, of a depthwise layer those of
            its output channels; null if none do.
    """

    bias: bool
    channels: Annotated[str, OneOf(("all",))] | tuple[Count, ...] | None


@dataclass(frozen=True, kw_only=True)
class InputPartRecord:
    """One of several inputs of a model.

    Attributes:
        name: name in the model file.
        shape: NHWC with N = 1, as that of a single input.
        scale: scale of its quantization.
        zero_point: zero point of its quantization.
        source_shape: shape in the model file, with a leading batch of 1.
        source_layout: a letter of N, C, H, W for each dimension of `source_shape`.
    """

    name: str
    shape: tuple[Positive, Positive, Positive, Positive]
    scale: Annotated[float, Above(0)]
    zero_point: Annotated[int, Whole(-128, 127)]
    source_shape: tuple[Positive, ...]
    source_layout: str


@dataclass(frozen=True, kw_only=True)
class InputRecord:
    """The model's input. Several inputs are one vector, one after the other; scale and zero point
    are then those of the first.

    Attributes:
        shape: NHWC with N = 1; a 1-D signal has H = 1, a vector H = W = 1.
        scale: scale of its quantization.
        zero_point: zero point of its quantization.
        source_shape: shape in the model file, with a leading batch of 1.
        source_layout: a letter of N, C, H, W for each dimension of `source_shape`.
        parts: the inputs, in the order of the model file; empty if there is one.
    """

    shape: tuple[Positive, Positive, Positive, Positive]
    scale: Annotated[float, Above(0)]
    zero_point: Annotated[int, Whole(-128, 127)]
    source_shape: tuple[Positive, ...]
    source_layout: str
    parts: tuple[InputPartRecord, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each input."""
        return tuple(math.prod(one.shape) for one in self.parts or (self,))


@dataclass(frozen=True, kw_only=True)
class OutputRecord:
    """The model's output.

    Attributes:
        size: number of elements.
        classes: number of classes that a sample is labelled with; 0 where its target is no label.
        source_shape: shape in the model file, with a leading batch of 1.
        source_layout: a letter of N, C, H, W for each dimension of `source_shape`; a vector under
            any shape has C alone behind N.
        target: what the target of a sample is: its class, the class of each pixel, 0 to 1 for each
            output, or a number for each.
        pixels: number of pixels that have a class each; 1 where none has.
        range: smallest and largest output, whatever the model learns; null if nothing bounds them.
        ending: function that ends the model, such as `tanh`; empty if none does.
    """

    size: Positive
    classes: Count
    source_shape: tuple[Positive, ...]
    source_layout: str
    target: Annotated[str, OneOf(tuple(kind.value for kind in SampleTarget))]
    pixels: Positive
    range: tuple[float, float] | None
    ending: str


@dataclass(frozen=True, kw_only=True)
class ParameterRecord:
    """A trained tensor.

    Attributes:
        name: name of the tensor.
        dtype: type of its elements.
        nbytes: size in bytes.
        layer: layer that it is part of; empty for what the update rule keeps.
        role: what it is there: weights, bias, the fractional bits of weights, or what the update
            rule keeps.
        shape: shape of the whole tensor, of which a part may train.
        axis: along which the channels that train were taken out of it; null where all train.
        channels: indices of these channels; null where all train.
        quantization: hash of the scales of the whole tensor; null for what has none.
    """

    name: str
    dtype: str
    nbytes: Count = field(metadata=key("bytes"))
    layer: str
    role: Annotated[str, OneOf(("weights", "bias", "fraction", "rule"))]
    shape: tuple[Count, ...]
    axis: Count | None
    channels: tuple[Count, ...] | None
    quantization: Sha256 | None


@dataclass(frozen=True, kw_only=True)
class ReplayRecord:
    """The replay buffer.

    Attributes:
        slots: number of slots.
        place: where the slots are.
        slot_bytes: size of a slot.
        nbytes: size of all slots, wherever they are.
        ram: bytes of RAM for the buffer.
        samples_bytes: size of the file that `NAME_save_replay` writes; 0 for slots in flash.
    """

    slots: Annotated[int, Whole(1, 65_535)]
    place: Annotated[str, OneOf(("ram", "flash"))] = field(metadata=key("in"))
    slot_bytes: Positive
    nbytes: Positive = field(metadata=key("bytes"))
    ram: Positive
    samples_bytes: Count

    @property
    def in_flash(self) -> bool:
        """Whether slots lie behind the application's callbacks."""
        return self.place == "flash"


@dataclass(frozen=True, kw_only=True)
class BudgetRecord:
    """Bytes that the model had to fit.

    Attributes:
        ram: bytes of RAM.
        flash: bytes of flash.
    """

    ram: Positive
    flash: Positive


@dataclass(frozen=True, kw_only=True)
class QuantizationRecord:
    """What quantization cost: the float model and its integer form on calibration samples.

    Attributes:
        samples: number of samples.
        agreement: share of samples for which both predict the same class; of pixels, or of several
            labels, the share of all of them.
        accuracy_float: accuracy of the float model; null without labels.
        accuracy_int8: accuracy of the integer form; null without labels.
        rms_error: root mean square of the difference of the outputs, relative to the float outputs.
    """

    samples: Count
    agreement: Share
    accuracy_float: Share | None
    accuracy_int8: Share | None
    rms_error: float


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """The calibration samples.

    Attributes:
        file: name of their file; null for an array.
        sha256: hash of the file or array.
        samples_used: number of samples used.
    """

    file: str | None
    sha256: Sha256
    samples_used: Count

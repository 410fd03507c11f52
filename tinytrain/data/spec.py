"""What a model takes and gives, as far as a data file has to fit it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinytrain.data.packing import packed, unpacked
from tinytrain.data.preprocess import Preprocess
from tinytrain.errors import InternalError, UsageError
from tinytrain.losses import SampleTarget


@dataclass(frozen=True)
class InputPart:
    """One of the inputs of a model with several.

    Attributes:
        name: in the model file.
        shape, source_shape, source_layout, scale, zero_point: as those of a `SampleSpec`.
    """

    name: str
    shape: tuple[int, int, int, int]
    source_shape: tuple[int, ...]
    source_layout: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    def spec(self) -> SampleSpec:
        """Of a sample that consists of this input alone."""
        return SampleSpec(
            self.shape,
            self.source_shape,
            self.source_layout,
            output_size=1,
            classes=0,
            scale=self.scale,
            zero_point=self.zero_point,
        )


@dataclass(frozen=True)
class SampleSpec:
    """One sample of a model.

    A model with several inputs takes them as one vector, one after the other, each in the order of
    its `InputPart.shape`.

    Attributes:
        shape: (1, H, W, C), the input of the compiled model; a 1-D signal has H = 1, a vector
            has H = W = 1.
        source_shape: the input's shape in the model file, with a leading batch of 1.
        source_layout: one letter of N, C, H, W for each dimension of source_shape, N first.
        output_size: elements of the output.
        classes: number of classes that a sample is labelled with; 0 where its target is no label.
        scale: of the input's quantization, positive; None before quantization; of several inputs
            the first's.
        zero_point: of the input's quantization, likewise.
        preprocess: for uint8 images; None when the model takes none.
        output_shape: the output's shape in the model file, with a leading batch of 1; () is
            (1, output_size).
        output_layout: one letter for each dimension of output_shape, N first. A map has one each of
            H, W and C, or W and C; anything else is a vector under that shape.
        target: what the target of a sample is; None for a label where there are classes, and for
            real numbers where there are none.
        parts: the inputs, where there are several; else empty.
        pixels: labels of a sample where each pixel has one.
        output_range: smallest and largest output; None if nothing bounds them.
        ending: the function that ends the model; empty if none does.
        for_more_classes: how to get a model that takes labels of more classes.

    Raises:
        InternalError: source_shape and source_layout do not describe `shape`.
        UsageError: the preprocessing does not give what the model takes.
    """

    shape: tuple[int, int, int, int]
    source_shape: tuple[int, ...]
    source_layout: str
    output_size: int
    classes: int
    scale: float | None = None
    zero_point: int = 0
    preprocess: Preprocess | None = None
    output_shape: tuple[int, ...] = ()
    output_layout: str = ""
    target: SampleTarget | None = None
    parts: tuple[InputPart, ...] = ()
    pixels: int = 1
    output_range: tuple[float, float] | None = None
    ending: str = ""
    for_more_classes: str = "compile with --classes N for as many classes as the data has"

    def __post_init__(self) -> None:
        if self.target is None:
            usual = SampleTarget.LABEL if self.classes else SampleTarget.VALUES
            object.__setattr__(self, "target", usual)
        sizes = dict(zip("NHWC", self.shape, strict=True))
        described = dict(zip(self.source_layout, self.source_shape, strict=False))
        missing = set("NHWC") - set(self.source_layout)
        if (
            len(self.source_layout) != len(self.source_shape)
            or self.source_layout[:1] != "N"
            or any(described[letter] != sizes.get(letter) for letter in described)
            or any(sizes[letter] != 1 for letter in missing)
            or len(described) != len(self.source_layout)
        ):
            raise InternalError(
                f"source layout '{self.source_layout}' with shape {list(self.source_shape)} "
                f"does not describe an input of shape {list(self.shape)}"
            )
        if self.preprocess is not None:
            self._check_preprocess(self.preprocess)

    def _check_preprocess(self, preprocess: Preprocess) -> None:
        _, height, width, channels = self.shape
        if preprocess.resize not in (None, (height, width)):
            raise UsageError(
                f"the preprocessing resizes to {list(preprocess.resize)}, "
                f"but the model takes images of {[height, width]}"
            )
        if not preprocess.fits_channels(channels):
            raise UsageError(
                f"the preprocessing has {len(preprocess.mean)} means and {len(preprocess.std)} "
                f"stds, but the model takes {channels} channels",
                help="give one mean and one std for all channels, or one for each",
            )

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Samples [n, H, W, C] in the model's units as its integers, int8 of the same shape."""
        if self.parts:
            xs = unpacked(x, [part.shape for part in self.parts])
            found = [part.spec().quantize(one) for part, one in zip(self.parts, xs, strict=True)]
            return packed(found).reshape(x.shape)
        assert self.scale is not None, "the input is not quantized yet"
        return quantize_input(x, self.scale, self.zero_point)

    @property
    def wants(self) -> SampleTarget:
        """What the target of a sample is."""
        assert self.target is not None
        return self.target

    @property
    def target_size(self) -> int:
        """Elements of a target."""
        if self.wants is SampleTarget.LABEL:
            return 1
        return self.pixels if self.wants is SampleTarget.PIXELS else self.output_size

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Of a sample's target in a data file; a map of labels has no channels."""
        if self.wants is SampleTarget.LABEL:
            return ()
        extents = self.output_shape[1:] or (self.output_size,)
        if self.wants is not SampleTarget.PIXELS:
            return extents
        letters = self.output_layout[1:]
        return tuple(size for c, size in zip(letters, extents, strict=True) if c != "C")

    @property
    def pixel_classes(self) -> int:
        """Number of classes that each pixel is labelled with; 0 where none is."""
        return self.output_size // self.pixels if self.wants is SampleTarget.PIXELS else 0

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return math.prod(self.shape)

    def shaped_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as the model file has them.

        Args:
            outputs: [n, output_size], as the device gives them, channels innermost.

        Returns:
            [n, ...], the shape and layout of the model file.
        """
        inner, order = self._output_axes()
        return outputs.reshape(-1, *inner).transpose(0, *(1 + axis for axis in order))

    def flat_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """The reverse of `shaped_outputs`: [n, ...] becomes [n, output_size]."""
        _, order = self._output_axes()
        back = np.argsort(order)
        return outputs.transpose(0, *(1 + axis for axis in back)).reshape(-1, self.output_size)

    def own_targets(self, samples: np.ndarray) -> np.ndarray:
        """Samples as their own targets, each element where the output has it in the model file.

        Args:
            samples: [n, H, W, C], of as many elements as the output.

        Returns:
            [n, output_size].
        """
        letters = self.source_layout[1:]
        present = [letter for letter in "HWC" if letter in letters]
        extents = [samples.shape[1 + "HWC".index(letter)] for letter in present]
        order = [1 + present.index(letter) for letter in letters]
        source = samples.reshape(-1, *extents).transpose(0, *order)
        shape = self.output_shape[1:] or (self.output_size,)
        return self.flat_outputs(source.reshape(-1, *shape))

    @property
    def is_output_reordered(self) -> bool:
        """Whether a flat output of the model file has its elements in another order than ours."""
        numbers = np.arange(self.output_size)[None]
        return not np.array_equal(self.shaped_outputs(numbers).reshape(1, -1), numbers)

    def _output_axes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Extents of one output with channels last, and which of them each axis of the file is."""
        letters, extents = self.output_layout[1:], self.output_shape[1:]
        if not extents:
            return (self.output_size,), (0,)
        ordered = "".join(sorted(letters, key="HWC".index))
        if len(set(letters)) < len(letters):
            return extents, tuple(range(len(extents)))
        sizes = dict(zip(letters, extents, strict=True))
        return tuple(sizes[c] for c in ordered), tuple(ordered.index(c) for c in letters)

    def arrangements(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Layouts in which float samples are accepted, the first that fits counting.

        The model's own shape comes first, then NCHW, then NHWC, so NHWC is taken only where
        nothing else fits. The shapes leave the batch out.
        """
        _, height, width, channels = self.shape
        return (
            (self.source_layout[1:], self.source_shape[1:]),
            ("CHW", (channels, height, width)),
            ("HWC", (height, width, channels)),
        )


def quantize_input(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Integers of the input: clamp(round_half_even(x / scale) + zero_point, -128, 127).

    One float32 division, then exact: beyond 2**24, where float32 no longer holds each integer,
    the clamp decides. Finite float32 of any shape in, int8 of that shape out.
    """
    clamped: np.ndarray = np.clip(input_steps(x, scale, zero_point), -128, 127)
    return clamped.astype(np.int8)


def input_steps(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """round_half_even(x / scale) + zero_point, float32 of x's shape, before anything is clamped."""
    with np.errstate(over="ignore"):
        steps: np.ndarray = np.rint(np.asarray(x, dtype=np.float32) / np.float32(scale))
    return steps + np.float32(zero_point)

"""How samples lie in the range of a model's input: clipped, or on a sliver of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.data.dataset import Dataset
from tinytrain.data.spec import SampleSpec, input_steps, quantize_input

MUCH = 1 / 50
"""Share of the values that may be clipped before it is said: a calibrated range leaves out some."""

SLIVER = 4
"""Neighbouring steps, of 256, that hold all values of data that is scaled otherwise."""


@dataclass(frozen=True)
class Coverage:
    """Where the values of samples lie.

    Attributes:
        seen: values.
        clipped: of these, values outside the range.
        least, most: of the values, in the model's units.
    """

    seen: int
    clipped: int
    least: float
    most: float

    @property
    def share(self) -> float:
        """Of the values that are clipped, 0 to 1."""
        return self.clipped / self.seen

    def joined(self, other: Coverage) -> Coverage:
        """Of these samples and others of the same model."""
        return Coverage(
            self.seen + other.seen,
            self.clipped + other.clipped,
            min(self.least, other.least),
            max(self.most, other.most),
        )

    def warning(self, spec: SampleSpec, name: str) -> str | None:
        """What to say of data called `name`; None where nothing is odd."""
        assert spec.scale is not None
        low, high = (spec.scale * (end - spec.zero_point) for end in (-128, 127))
        all_of_it = f"the range that the model was calibrated for ({low:.3g} to {high:.3g})"
        ask = "is the data scaled as in calibration?"
        ends = quantize_input(np.array([self.least, self.most]), spec.scale, spec.zero_point)
        used = int(ends[1]) - int(ends[0]) + 1
        if self.share > MUCH:
            return f"{self.share:.0%} of the input values of {name} lie outside {all_of_it}: {ask}"
        if self.least == self.most:
            return f"all input values of {name} are the same: is that the data?"
        if used <= SLIVER:
            steps = f"{used} of the 256 steps" if used > 1 else "a single one of the 256 steps"
            return f"the input values of {name} take {steps} of {all_of_it}: {ask}"
        return None


def coverage(data: Dataset) -> Coverage:
    """Looks at every value of the samples; of uint8 images before they are resized."""
    spec = data.spec
    assert spec.scale is not None, "the input is not quantized yet"
    seen = clipped = 0
    low, high = np.inf, -np.inf
    for values, counts in data.values():
        steps = input_steps(values, spec.scale, spec.zero_point)
        is_out = (steps < -128) | (steps > 127)
        seen += values.size if counts is None else int(counts.sum())
        clipped += int(is_out.sum() if counts is None else counts[is_out].sum())
        there = values if counts is None else values[counts > 0]
        low, high = min(low, float(there.min())), max(high, float(there.max()))
    return Coverage(seen, clipped, low, high)


@dataclass(frozen=True, eq=False)
class Coverages:
    """Of each input of a model, its samples alone and where their values lie."""

    inputs: tuple[tuple[Dataset, Coverage], ...]

    @property
    def share(self) -> float:
        """Of all values that are clipped, 0 to 1."""
        found = [covered for _, covered in self.inputs]
        return sum(one.clipped for one in found) / sum(one.seen for one in found)

    def warnings(self) -> list[str]:
        """What to say of each input."""
        said = (covered.warning(data.spec, data.name) for data, covered in self.inputs)
        return [sentence for sentence in said if sentence is not None]


def coverages(data: Dataset) -> Coverages:
    """`coverage` of each input."""
    return Coverages(tuple((one, coverage(one)) for one in data.inputs()))

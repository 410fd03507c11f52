"""What a network's output is for: its loss in PyTorch, and the score that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from bench.networks.worlds import Samples

Tensor = torch.Tensor


@dataclass(frozen=True)
class Objective:
    """A kind of output.

    Attributes:
        loss: as `compile` names it.
        of: the loss of outputs and targets in PyTorch, mean over samples.
        score: of outputs and targets.
        unit: "accuracy", 0 to 1, or "loss".
        scored: what the score is, in words.
    """

    loss: str
    of: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], float]
    unit: str
    scored: str

    def is_better(self, a: float, b: float) -> bool:
        """Whether score a is better than b; a NaN is no better than anything."""
        return a < b if self.unit == "loss" else a > b

    def is_as_good(self, device: float, fine_tuned: float) -> bool:
        """Whether the device is within a point of fine-tuning in float, or a tenth of its loss."""
        if self.unit == "loss":
            return device <= 1.1 * fine_tuned
        return device >= fine_tuned - 0.01


def _class_accuracy(outputs: Tensor, targets: Tensor) -> float:
    return float((outputs.argmax(1) == targets).double().mean())


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        outputs, targets.reshape(outputs.shape).float()
    )


def _label_accuracy(outputs: Tensor, targets: Tensor) -> float:
    return float(((outputs > 0) == (targets.reshape(outputs.shape) > 0.5)).double().mean())


def _squared_error(outputs: Tensor, targets: Tensor) -> float:
    return float(functional.mse_loss(outputs.double(), targets.double()))


CLASSES = Objective(
    "cross_entropy", functional.cross_entropy, _class_accuracy, "accuracy", "classes, %"
)
LABELS = Objective("binary_cross_entropy", _binary, _label_accuracy, "accuracy", "labels, %")
"""Each output says yes or no."""

PIXELS = Objective(
    "cross_entropy", functional.cross_entropy, _class_accuracy, "accuracy", "pixels, %"
)
NUMBERS = Objective(
    "mean_squared_error", functional.mse_loss, _squared_error, "loss", "squared error"
)


def tensors(samples: Samples) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs float32, and targets float32 or int64; the input again where it is the target."""
    inputs = tuple(torch.from_numpy(x) for x in samples.inputs)
    if samples.y is None:
        return inputs, inputs[0]
    y = torch.from_numpy(samples.y)
    return inputs, y.long() if np.issubdtype(samples.y.dtype, np.integer) else y

"""What layers and channels are worth, by the labelled calibration samples of a compilation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.choosing.fisher import SAMPLES, Worth, measure_worth
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.model_end import with_loss
from tinytrain.compiler.options import GRADIENTS, Options
from tinytrain.compiler.rehearsal import balanced
from tinytrain.compiler.samples import forward_spec
from tinytrain.data import Preprocess
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Samples with their targets.

    Attributes:
        inputs: as the model takes them, s8 [N,...].
        targets: as the device takes them: s32 [N], u8 [N,pixels] or f32 [N,outputs].
    """

    inputs: np.ndarray
    targets: np.ndarray


def labelled_samples(
    given: IntegerModel, options: Options, preprocess: Preprocess | None, what: str, instead: str
) -> LabelledSamples:
    """Calibration samples with their labels, `SAMPLES` of them, as many of each class.

    Args:
        what: needs them, for messages.
        instead: what can be done without them.

    Raises:
        UsageError, DataError: there are none, or they do not fit.
    """
    help = f"give --calibration F.npz with x and y, or {instead}"
    if given.gathered is None:
        raise UsageError(f"{what} needs labelled samples, and there are none", help=help)
    spec = forward_spec(given.forward, options, preprocess)
    data = given.labelled(spec, f"{what} needs labelled samples", help)
    targets = data.targets(slice(None))
    index = balanced(targets, SAMPLES)
    return LabelledSamples(np.ascontiguousarray(data.quantized(index)), targets[index])


def worth_of(
    forward: Graph, options: Options, samples: LabelledSamples, *, learned: bool = False
) -> Worth:
    """What each layer, channel and bias of a model is worth on labelled samples.

    Args:
        forward: s8 forward graph.
        options: that the model is compiled with.
        learned: whether a fresh head learns the samples first.
    """
    return measure_worth(
        forward,
        samples.inputs,
        samples.targets,
        loss=with_loss(options, forward).objective,
        gradient=GRADIENTS[options.gradient],
        classes=options.classes,
        seed=options.seed,
        learned=learned,
    )

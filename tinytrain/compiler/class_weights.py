"""What `--class-weights` says: numbers, a file with labels, or that the device counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinytrain.data.npz import read_arrays
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.losses import AUTO, LOSSES, SampleTarget, classes_of, target_of
from tinytrain.reference.class_weights import BALANCED, LEAST, MAX_CLASSES, MOST, balanced_weight

NONE = "none"
SMALLEST, LARGEST = 1 / 64, 64.0
"""Bounds of a weight that is given as a number."""

_FLAG = "--class-weights"


def check_class_weights(text: str, loss: str) -> None:
    """Holds the option to what it may be, as far as that can be known without a model.

    Raises:
        UsageError: it is none of its forms, a number is out of range, or the loss has no classes.
    """
    if text == NONE:
        return
    if loss != AUTO and not LOSSES[loss].ends_with:
        raise UsageError(f"the loss '{loss}' has no classes to weigh", help=f"leave {_FLAG} out")
    if text == BALANCED or text.endswith(".npz"):
        return
    numbers = _numbers(text)
    if any(not SMALLEST <= one <= LARGEST for one in numbers):
        raise UsageError(
            f"a class weight must be between 1/64 and 64, got {text}",
            help="the largest weight divides the learning rate that suits: take numbers around 1",
        )


def weights_in(text: str) -> tuple[float, ...] | str | None:
    """What a loss has of the option once it is `resolved`."""
    if text == NONE:
        return None
    return BALANCED if text == BALANCED else _numbers(text)


def heaviest(weights: tuple[float, ...] | str | None) -> float:
    """The largest weight that a sample can have."""
    if weights is None:
        return 1.0
    return MOST if isinstance(weights, str) else max(weights)


def resolved(text: str, loss: str, output: tuple[int, ...]) -> str:
    """The option with the numbers that a file stands for.

    Args:
        loss: a name of `LOSSES`.
        output: shape of the model's output.

    Raises:
        UsageError: the model has another number of classes, or none.
        DataError: the file cannot be read, or its labels do not fit.
    """
    if text == NONE:
        return text
    size = int(np.prod(output))
    wants = target_of(loss, size, output[-1])
    if wants is SampleTarget.VALUES:
        raise UsageError(f"the loss '{loss}' has no classes to weigh", help=f"leave {_FLAG} out")
    count = {
        SampleTarget.LABEL: classes_of(wants, size),
        SampleTarget.PIXELS: output[-1],
        SampleTarget.SHARES: size,
    }[wants]
    if text == BALANCED:
        if wants is not SampleTarget.LABEL:
            raise UsageError(
                "the device counts the classes of samples, and the target of a sample of this "
                f"model is {wants.words}",
                help=f"give {_FLAG} {count} numbers, or a file with labels",
            )
        return text
    if text.endswith(".npz"):
        return ",".join(f"{weight:.9g}" for weight in _of_file(Path(text), count, wants))
    given = len(_numbers(text))
    if given != count:
        raise UsageError(
            f"{_FLAG} has {given} number{'s' if given > 1 else ''}, and the model has {count} "
            f"{'labels' if wants is SampleTarget.SHARES else 'classes'}",
            help="give one for each, in the order of the outputs",
        )
    return text


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(np.float32(float(word))) for word in text.split(","))
    except ValueError:
        raise UsageError(
            f"{_FLAG} must be balanced, numbers such as 1,1,4, or an .npz file, got '{text}'"
        ) from None


def _of_file(path: Path, count: int, wants: SampleTarget) -> np.ndarray:
    """float32 [count]; the rule of `balanced_weight`, from how often each class is in `y`."""
    where = Where(str(path))
    y = read_arrays(path, where, ("y",)).get("y")
    if y is None:
        raise DataError(
            "the data file has no array 'y' of labels",
            where=where,
            help="save it with np.savez(file, y=labels), or give numbers, or balanced",
        )
    if wants is SampleTarget.SHARES:
        return _of_positives(_applying(y, count, where), len(y))
    counts = np.bincount(_labels(y, count, where), minlength=count)
    if count > MAX_CLASSES:
        raise UsageError(f"{_FLAG} takes numbers for a model of {count} classes, not a file")
    return np.array([balanced_weight(counts, label) for label in range(count)], np.float32)


def _of_positives(positive: np.ndarray, samples: int) -> np.ndarray:
    """What a positive of each label counts for, so that all of them count as much as negatives."""
    ratios: np.ndarray = (samples - positive) / np.maximum(positive, 1)
    return ratios.clip(LEAST, MOST).astype(np.float32)


def _applying(y: np.ndarray, count: int, where: Where) -> np.ndarray:
    """To how many samples each label applies, int64 [count]."""
    if y.ndim == 1 and count > 1:
        single: np.ndarray = np.bincount(_labels(y, count, where), minlength=count)
        return single
    applies: np.ndarray = y.reshape(len(y), -1) > 0.5
    if applies.shape[1] != count:
        raise DataError(
            f"y has {applies.shape[1]} labels a sample, and the model has {count}", where=where
        )
    found: np.ndarray = applies.sum(axis=0)
    return found


def _labels(y: np.ndarray, count: int, where: Where) -> np.ndarray:
    """All labels of an array, int64 [n]."""
    if y.dtype.kind not in "iub" or not y.size:
        raise DataError(
            "array 'y' holds no integer labels",
            where=where,
            help="save the number of each sample's class, y.astype(np.int32)",
        )
    labels: np.ndarray = y.ravel().astype(np.int64)
    if labels.min() < 0 or labels.max() >= count:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(
            f"label {wrong} is out of range: the model has classes 0 to {count - 1}", where=where
        )
    return labels

"""Samples that a program hands over: arrays or tensors, one sample or many, and loaders of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinytrain.data.arrays import as_array
from tinytrain.data.dataset import (
    Dataset,
    checked_targets,
    load_dataset,
    own_targets_fit,
)
from tinytrain.data.inputs import checked_samples
from tinytrain.data.labels import checked_labels
from tinytrain.data.several import keys_of_inputs, packed_inputs, with_x
from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.losses import SampleTarget

_X, _Y = Where("x"), Where("y")


def given_inputs(x: Any, spec: SampleSpec) -> tuple[Dataset, bool]:
    """Inputs without targets, and whether they are one sample that came without a batch.

    Args:
        x: in the model's own shape and layout, or as in a data file; one sample or [N, ...]. Of a
            model with several inputs a tuple of one for each, or a mapping by their names.

    Raises:
        DataError: it does not fit the model.
    """
    array = given_array(x, spec, _X)
    is_single = _is_single(array, spec)
    array = array[None] if is_single else array
    if array.size == 0:
        raise DataError(f"x holds no samples: it has shape {list(array.shape)}", where=_X)
    return Dataset(spec, checked_samples(array, spec, _X), None), is_single


def given_array(x: Any, spec: SampleSpec, where: Where) -> np.ndarray:
    """Inputs as one array; those of a model with several packed.

    Args:
        x: an array, or of a model with several inputs a tuple, a list or a mapping of arrays.
    """
    if not spec.parts or is_array(x):
        return as_array(x, where)
    if isinstance(x, Mapping):
        named = {str(name): as_array(held, where) for name, held in x.items()}
        return with_x(named, spec, where)["x"]
    return packed_inputs([as_array(one, where) for one in x], spec, where)


def holds_inputs(x: Any, spec: SampleSpec) -> bool:
    """Whether it is a tuple, list or mapping with an array for each of several inputs."""
    if not spec.parts:
        return False
    if isinstance(x, Mapping):
        return "y" not in x and keys_of_inputs(x, spec) is not None
    if not isinstance(x, tuple | list) or len(x) != len(spec.parts) or not all(map(is_array, x)):
        return False
    return all(
        tuple(one.shape)[-len(part.source_shape) + 1 :] == part.source_shape[1:]
        for one, part in zip(x, spec.parts, strict=True)
    )


def as_pair(item: Any, spec: SampleSpec) -> Any:
    """What a loader gave; where it holds several inputs beside y, a pair of them and y."""
    count = len(spec.parts)
    if not count:
        return item
    if isinstance(item, tuple | list) and len(item) == count + 1:
        return tuple(item[:-1]), item[-1]
    if isinstance(item, Mapping) and keys_of_inputs(item, spec) is not None:
        inputs = {name: held for name, held in item.items() if name != "y"}
        return {"x": inputs, "y": item["y"]} if "y" in item else {"x": inputs}
    return item


def given_samples(x: Any, y: Any, spec: SampleSpec) -> Dataset:
    """Inputs with their targets.

    Args:
        x: see `given_inputs`.
        y: for each sample a label, in any shape that holds nothing else; of a regression the
            targets in the output's own shape and layout, or [N, output_size]. None where the
            sample is its own target.

    Raises:
        DataError: they do not fit the model, or each other.
    """
    data, is_single = given_inputs(x, spec)
    if y is None:
        is_label = spec.wants in (SampleTarget.LABEL, SampleTarget.PIXELS)
        if is_label or spec.size != spec.output_size:
            raise DataError("there is no y", where=_Y, help=f"give {_wanted(spec)} for each sample")
        return own_targets_fit(data, _X)
    array = as_array(y, _Y)
    if spec.classes:
        return Dataset(spec, data.x, checked_labels(_labels(array, len(data), spec), spec, _Y))
    if is_single and array.shape in (spec.target_shape, (spec.target_size,)):
        array = array[None]
    elif spec.output_size == 1 and array.size == len(data):
        array = array.reshape(len(data))
    if array.ndim == 0 or len(array) != len(data):
        _refuse_number(array, len(data), spec)
    return Dataset(spec, data.x, checked_targets(array, spec, _Y))


def batches(data: Any, y: Any, spec: SampleSpec) -> Iterator[Dataset]:
    """The samples of whatever holds them, once.

    Args:
        data: samples x, with `y` beside them; or without `y` a DataLoader or any other iterable of
            (x, y), a pair (x, y), a mapping of "x" and "y", or the path of an .npz file.

    Raises:
        DataError: an item is no such pair, or does not fit the model.
    """
    if y is not None:
        yield given_samples(data, y, spec)
        return
    data = as_pair(data, spec)
    if isinstance(data, str | Path):
        yield load_dataset(data, spec)
    elif isinstance(data, Mapping) or (isinstance(data, tuple) and len(data) == 2):
        yield _pair(data, spec)
    elif is_array(data):
        yield given_samples(data, None, spec)
    else:
        for item in items(data):
            yield _pair(item, spec)


def is_array(data: Any) -> bool:
    """Whether it is one array or tensor, not something that gives several."""
    return hasattr(data, "__array__") or hasattr(data, "detach")


def items(data: Any) -> Iterable[Any]:
    """What an iterable gives, or a PyTorch dataset, which is indexed.

    Raises:
        UsageError: it is neither.
    """
    if not hasattr(data, "__iter__") and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[index] for index in range(len(data)))
    try:
        found: Iterator[Any] = iter(data)
        return found
    except TypeError as error:
        raise UsageError(
            f"a '{type(data).__name__}' gives no samples",
            help="give x and y, or a DataLoader or another iterable of (x, y)",
        ) from error


def refuse_second_pass(data: Any, epochs: int) -> None:
    """Raises `UsageError` for an iterator that several epochs would need to begin again."""
    if epochs > 1 and hasattr(data, "__next__"):
        raise UsageError(
            f"a '{type(data).__name__}' gives its samples once, but epochs = {epochs}",
            help="give a list or a DataLoader, which can be gone through again",
        )


def _pair(item: Any, spec: SampleSpec) -> Dataset:
    item = as_pair(item, spec)
    if isinstance(item, Mapping):
        if "x" not in item:
            raise DataError(
                f"the samples have no 'x' among {', '.join(map(str, item)) or 'nothing'}",
                help="name the inputs x and their targets y",
            )
        return given_samples(item["x"], item.get("y"), spec)
    if isinstance(item, tuple | list) and len(item) == 2 and not np.isscalar(item[0]):
        return given_samples(item[0], item[1], spec)
    if is_array(item) and not spec.classes:
        return given_samples(item, None, spec)
    length = f" of {len(item)}" if isinstance(item, tuple | list) else ""
    raise DataError(
        f"a loader gave a '{type(item).__name__}'{length}, where a pair (x, y) is needed",
        help=f"let it give inputs x, and as y {_wanted(spec)} for each",
    )


def _is_single(x: np.ndarray, spec: SampleSpec) -> bool:
    shapes = [shape for _, shape in spec.arrangements()]
    if x.dtype != np.uint8 or spec.preprocess is None:
        return x.shape[1:] not in shapes and x.shape in shapes
    channels = spec.shape[3]
    # Of grey images three dimensions are several of them, unless one dimension is the channel.
    return x.ndim == 2 or (x.ndim == 3 and channels in (x.shape[0], x.shape[2]))


def _labels(y: np.ndarray, count: int, spec: SampleSpec) -> np.ndarray:
    """[count]: a label may be a number, an array of one element, or a row of one."""
    if y.size == count and (y.ndim == 0 or y.shape[0] == count or count == 1):
        return y.reshape(count)
    is_wide = y.ndim == 2 and len(y) == count and y.shape[1] > 1
    if is_wide or (y.size == count * spec.classes and y.shape[-1] == spec.classes):
        raise DataError(
            f"y has shape {list(y.shape)}, a number for each class, but a label is the class's "
            "own number",
            where=_Y,
            help="give y.argmax(-1)",
        )
    _refuse_number(y, count, spec)


def _refuse_number(y: np.ndarray, count: int, spec: SampleSpec) -> NoReturn:
    raise DataError(
        f"y has shape {list(y.shape)}, but x holds {count} sample{'s' if count > 1 else ''}",
        where=_Y,
        help=f"give {_wanted(spec)} for each sample",
    )


def _wanted(spec: SampleSpec) -> str:
    if spec.classes:
        return f"a label from 0 to {spec.classes - 1}"
    what = "labels of pixels" if spec.wants is SampleTarget.PIXELS else "targets"
    return f"{what} of shape {list(spec.target_shape)}"

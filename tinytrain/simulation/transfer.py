"""Which trained numbers of one scheme fit another of the same model, and the bytes they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.manifest.records import ParameterRecord
from tinytrain.reference.update import pack_fraction, unpack_fraction

_DTYPES: dict[str, np.dtype[Any]] = {"weights": np.dtype(np.int8), "bias": np.dtype("<i4")}
"""Of the roles that are taken."""


@dataclass(frozen=True)
class MigratedTensor:
    """Weights or a bias in a migration.

    Attributes:
        layer, role: which; role is weights or bias.
        learned: elements that the old model trained.
        taken: of these, elements that the new model has.
        why: what became of the others; empty where there are none.
    """

    layer: str
    role: str
    learned: int
    taken: int
    why: str = ""


@dataclass(frozen=True)
class _Held:
    """A parameter and its bytes."""

    record: ParameterRecord
    data: bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what trains."""
        record, shape = self.record, list(self.record.shape)
        if record.axis is not None and record.channels is not None:
            shape[record.axis] = len(record.channels)
        return tuple(shape)

    @property
    def array(self) -> np.ndarray:
        """Of what trains, weights or a bias."""
        return np.frombuffer(self.data, _DTYPES[self.record.role]).reshape(self.shape)


@dataclass(frozen=True)
class _Common:
    """The channels that two parameters of a layer have in common: their places in each."""

    axis: int
    before: np.ndarray
    after: np.ndarray

    def moved(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """The new elements, those in common from the old."""
        moved = np.moveaxis(new.copy(), self.axis, 0)
        moved[self.after] = np.moveaxis(old, self.axis, 0)[self.before]
        return np.ascontiguousarray(np.moveaxis(moved, 0, self.axis))


def transferred(
    before: Sequence[ParameterRecord],
    after: Sequence[ParameterRecord],
    learned: bytes,
    factory: bytes,
    *,
    bits: int = 0,
) -> tuple[bytes, tuple[MigratedTensor, ...]]:
    """The trained parameters of a new scheme with what an old one learned, and what was taken.

    Args:
        before, after: the parameters of both, in the order of a saved file.
        learned, factory: their bytes.
        bits: fractional bits of a weight, if both keep as many; 0 leaves those of the new scheme.

    Returns:
        bytes of the size of `factory`, and a record for each weights or bias that the old scheme
        trained, and behind them for each that the new one alone trains.
    """
    olds, news = _held(before, learned), _held(after, factory)
    tensors: list[MigratedTensor] = []
    for key, old in olds.items():
        layer, role = key
        if role not in _DTYPES:
            continue
        size, new = old.array.size, news.get(key)
        if new is None:
            tensors.append(MigratedTensor(layer, role, size, 0, "the new scheme does not train it"))
        elif why := _misfit(old.record, new.record):
            tensors.append(MigratedTensor(layer, role, size, 0, why))
        else:
            common = _common(old.record, new.record)
            news[key] = _Held(new.record, common.moved(old.array, new.array).tobytes())
            fraction = layer, "fraction"
            if role == "weights" and bits and fraction in olds and fraction in news:
                data = _moved_fraction(common, old, olds[fraction], new, news[fraction], bits)
                news[fraction] = _Held(news[fraction].record, data)
            taken = size // max(old.shape[common.axis], 1) * len(common.before)
            left = "" if taken == size else "the new scheme does not train the other channels"
            tensors.append(MigratedTensor(layer, role, size, taken, left))
    added = [key for key in news if key not in olds and key[1] in _DTYPES]
    tensors += [MigratedTensor(*key, 0, 0, "the old scheme did not train it") for key in added]
    return b"".join(held.data for held in news.values()), tuple(tensors)


def _held(records: Sequence[ParameterRecord], data: bytes) -> dict[tuple[str, str], _Held]:
    """Parameters by layer and role, in their order; those of the update rule by their name."""
    found, start = {}, 0
    for record in records:
        key = (record.layer or record.name, record.role)
        found[key] = _Held(record, data[start : start + record.nbytes])
        start += record.nbytes
    return found


def _misfit(old: ParameterRecord, new: ParameterRecord) -> str:
    """Why the integers of one tensor are none of the other; empty where they are."""
    if old.shape != new.shape:
        return "it has another shape"
    if old.quantization != new.quantization:
        return "it has another scale"
    return "" if _common(old, new).before.size else "the two schemes train different channels of it"


def _common(old: ParameterRecord, new: ParameterRecord) -> _Common:
    axis = old.axis if old.axis is not None else new.axis if new.axis is not None else 0
    _, before, after = np.intersect1d(
        _channels(old, axis), _channels(new, axis), return_indices=True
    )
    return _Common(axis, before, after)


def _channels(record: ParameterRecord, axis: int) -> np.ndarray:
    return np.array(range(record.shape[axis]) if record.channels is None else record.channels)


def _moved_fraction(
    common: _Common, old: _Held, old_low: _Held, new: _Held, new_low: _Held, bits: int
) -> bytes:
    """The packed fractional bits of the new weights, those in common from the old."""

    def low(weights: _Held, packed: _Held) -> np.ndarray:
        fields = np.frombuffer(packed.data, np.uint8)
        size = weights.array.size
        return unpack_fraction(fields, bits, size).reshape(weights.shape)

    return pack_fraction(common.moved(low(old, old_low), low(new, new_low)), bits).tobytes()

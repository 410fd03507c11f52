"""What the gradients of samples have in common, pair by pair of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CHUNK = 1 << 16
"""Elements that are multiplied at a time, so that they take little memory."""


class Pairs:
    """Gathers the gradients of samples, tensor by tensor."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], list[tuple[np.ndarray, float]]] = {}

    def add(self, layer: str, which: int, gradient: np.ndarray) -> None:
        """Adds the gradient of one more sample; `which`: 0 of the layer's weights, 1 of its bias.

        Where it is not finite, no product with it is.
        """
        largest = float(np.max(np.abs(gradient), initial=0.0))
        if not np.isfinite(largest):
            gradient, largest = np.zeros_like(gradient), np.nan
        unit = largest / 32767 or 1.0
        held = np.rint(gradient.ravel() / unit).astype(np.int16)
        self._held.setdefault((layer, which), []).append((held, unit))

    def products(self, layers: Sequence[str]) -> np.ndarray:
        """Of each two tensors the mean over pairs of samples of the product of their G_ij.

        Args:
            layers: in the order of rows and columns, each with its weights and its bias. Of each
                there are the same two samples or more.

        Returns:
            f64 [2·layers, 2·layers], the same bits on every machine.
        """
        grams = {key: _gram(held) for key, held in self._held.items()}
        count = len(next(iter(grams.values())))
        above = np.triu_indices(count, 1)
        nothing = np.zeros(len(above[0]))
        rows = np.stack(
            [
                grams[layer, which][above] if (layer, which) in grams else nothing
                for layer in layers
                for which in (0, 1)
            ]
        )
        found = np.zeros((len(rows), len(rows)))
        for k, row in enumerate(rows):
            found[k, k:] = np.cumsum(row * rows[k:], axis=1)[:, -1] / row.size
            found[k:, k] = found[k, k:]
        return found


def _gram(held: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """Products of each two gradients, f64 [samples, samples].

    Products of two s16 integers are below 2^30, so the sums of a chunk are exact in any order.
    """
    values = np.stack([one for one, _ in held])
    units = np.array([unit for _, unit in held])
    total = np.zeros((len(held), len(held)))
    for first in range(0, values.shape[1], _CHUNK):
        part = values[:, first : first + _CHUNK].astype(np.float64)
        total += part @ part.T
    return np.asarray(total * units[:, None] * units)

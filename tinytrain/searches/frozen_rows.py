"""What frozen layers make of the samples of a search: computed once for all trainings.

A short training of late layers takes less time than the frozen layers before them take for its
samples, and trainings of many schemes begin behind the same layer. So each machine keeps what they
leave in files, some rows in each, beside the files of the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinytrain.data import Dataset
from tinytrain.experiments.frozen import frozen_activations
from tinytrain.simulation.library import HostLibrary, LibrarySamples

ROWS = 256
"""Of a file."""

MOST_ROWS = 8192
"""Of a data set; of a larger one a training takes few, and others than the next."""

MOST_BYTES = 2**31
"""Of all files of a search, about."""


@dataclass(frozen=True, eq=False)
class SearchRows(LibrarySamples):
    """Samples that are rows of a data set.

    Attributes:
        of: name of the data set.
        rows: which ones, int64 [N].
        backwards: whether what is missing is computed from the end: two processes that need the
            same share the work then.
    """

    of: str = ""
    rows: np.ndarray | None = None
    backwards: bool = False


class FrozenRows:
    """Files of frozen activations.

    Args:
        data: data sets by name.
        folder: for the files; others may use it at the same time.
        key: names model and data; no other search in this folder may have the same.
    """

    def __init__(self, data: Mapping[str, Dataset], folder: Path, key: str) -> None:
        self._data, self._folder, self._key = data, folder, key

    def of(
        self, library: HostLibrary, layers: Sequence[object], samples: LibrarySamples
    ) -> np.ndarray | None:
        """Frozen activations of samples, uint8 [N, frozen_bytes].

        Args:
            library: set to a scheme.
            layers: name what is frozen, and what of it is kept.

        Returns:
            None where they are better computed for these samples alone.
        """
        size = library.model.frozen_bytes
        if not isinstance(samples, SearchRows) or samples.rows is None or not size:
            return None
        data = self._data[samples.of]
        if len(data) > MOST_ROWS or self._held() + len(data) * size > MOST_BYTES:
            return None
        self._folder.mkdir(exist_ok=True)
        found = np.empty((len(samples.rows), size), np.uint8)
        files = np.unique(samples.rows // ROWS).tolist()
        for file in reversed(files) if samples.backwards else files:
            try:
                held = self._file(library, repr((samples.of, layers)), data, file)
            except OSError:  # the disk is full, most often
                return None
            here = samples.rows // ROWS == file
            found[here] = held[samples.rows[here] - file * ROWS]
        return found

    def _file(self, library: HostLibrary, name: str, data: Dataset, file: int) -> np.ndarray:
        """Its rows, memory-mapped, uint8 [rows, frozen_bytes]."""
        rows = np.arange(file * ROWS, min((file + 1) * ROWS, len(data)))
        key = f"{self._key} {name} {file}"
        return frozen_activations(
            library, len(rows), lambda part: data.quantized(rows[part]), key, self._folder
        )

    def _held(self) -> int:
        if not self._folder.is_dir():
            return 0
        return sum(file.stat().st_size for file in self._folder.glob("frozen-*.bin"))

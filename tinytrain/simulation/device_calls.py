"""What every group of a device's calls is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from tinytrain.data import SampleSpec
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.library import HostLibrary


class DeviceCalls(ABC):
    """A part of a `Device`, which is put together of several.

    Attributes:
        _folder: of the compiled model.
    """

    _folder: GeneratedFolder

    @property
    @abstractmethod
    def _spec(self) -> SampleSpec:
        """What a sample is."""

    @abstractmethod
    def _running(self) -> AbstractContextManager[HostLibrary]:
        """The model's library, while nothing else calls it."""

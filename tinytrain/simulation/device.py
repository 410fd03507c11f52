"""A compiled model to work with in a program or a notebook: the C that ships, call by call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.data import Dataset, SampleSpec
from tinytrain.data.given import batches, given_inputs, given_samples, refuse_second_pass
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.link.line import PREFIX
from tinytrain.option import check_options
from tinytrain.output_file import check_writable, write_file
from tinytrain.saved_file import read_saved
from tinytrain.simulation.board_library import board_library
from tinytrain.simulation.device_enrolment import EnrolmentCalls
from tinytrain.simulation.device_following import FollowingCalls
from tinytrain.simulation.device_guard import GuardCalls
from tinytrain.simulation.device_pseudo import PseudoCalls
from tinytrain.simulation.device_rehearsal import RehearsalCalls, steps_behind
from tinytrain.simulation.device_result import (
    EvaluationResult,
    StepResult,
    evaluation_of,
    joined,
    library_samples,
    scored,
)
from tinytrain.simulation.device_watch import Watching
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.parameters import SIMULATE
from tinytrain.simulation.session_checks import check_rate
from tinytrain.simulation.write_back import onnx_with_learned, state_dict
from tinytrain.toolchain.objects import FOLDER as SHARED_OBJECTS


def load(directory: str | Path, *, on: str = "host") -> Device:
    """Loads a compiled model as a device to train, evaluate and save, call by call.

    The C in the folder is compiled for this machine, once: `build` in the folder keeps it.

    Args:
        directory: a folder that `compile_model` wrote.
        on: "host", this machine, or "serial:PORT" for the board at a serial port, which then begins
            at its factory state, or goes on from what it has where its link is locked. An emulator
            runs whole sessions: `simulate(..., on="qemu")`.

    Raises:
        UsageError: there is no such folder or engine.
        ModelError: the folder was changed after it was written, or the board holds another model.
        ToolchainError: there is no C compiler, or the board does not answer.
    """
    if on != "host" and not on.startswith(PREFIX):
        raise UsageError(
            f"on must be host or serial:PORT, got '{on}'",
            help="call tinytrain.simulate with on='qemu' for a whole session under emulation",
        )
    folder = open_folder(directory)
    if on != "host":
        return Device(folder, board_library(folder, on.removeprefix(PREFIX)))
    return Device(folder, host_library(folder))


def host_library(folder: GeneratedFolder) -> HostLibrary:
    """The C in a folder as a library of this machine; `build` in the folder keeps it.

    Raises:
        UsageError: the folder cannot be built in.
        ToolchainError: there is no C compiler.
    """
    model = folder.manifest.interface
    shared = os.environ.get(SHARED_OBJECTS)
    cache = Path(shared, "libraries") if shared else folder.path / "build" / "library"
    try:
        return HostLibrary(build_library(folder.path, model, cache), model)
    except OSError as error:
        raise UsageError(
            f"the folder '{folder.path}' cannot be built in: {error.strerror}",
            help="copy it to where you may write",
        ) from error


class Device(RehearsalCalls, EnrolmentCalls, FollowingCalls, Watching, GuardCalls, PseudoCalls):
    """A compiled model with a state of its own, as on the microcontroller; made by `load`.

    Arrays may be NumPy's, PyTorch's tensors or lists. `x` has the model's own shape and layout, one
    sample or a batch [N, ...], in the model's units; or it holds uint8 images, where the model
    takes them. Of a model with several inputs it is a tuple of one for each, or a mapping by their
    names. `y` is a label for each sample, or what else the loss takes, in the output's own shape
    and layout.

    A device trains on one sample after the other, in the order of the batch: a batch is as many
    steps. A model with a replay buffer remembers each sample, and makes one step on a remembered
    sample after it, and one with a rehearsal set makes one on a sample of that, as `simulate` does.

    Devices are independent of each other. Calls to one from several threads run one after the
    other; a process has its own copy. To send one elsewhere, save it and load it there.
    """

    def __init__(self, folder: GeneratedFolder, library: HostLibrary) -> None:
        self._folder = folder
        self._held: HostLibrary | None = library
        self._lock = threading.RLock()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tinytrain.Device '{self._folder.manifest.name}' from '{self._folder.path}'>"

    def close(self) -> None:
        """Forgets the state; whatever is called after that is an error."""
        with self._lock:
            if self._held is not None:
                self._held.close()
            self._held = None

    def train_step(self, x: Any, y: Any = None) -> StepResult:
        """One step on a sample, or one on each sample of a batch, in order.

        Args:
            x, y: as the class says. Without `y` an autoencoder learns to give its input.

        Returns:
            loss and prediction before each update.

        Raises:
            DataError: x or y do not fit the model; then nothing was learned.
        """
        return self._trained(given_samples(x, y, self._spec))

    def train(self, data: Any, y: Any = None, *, epochs: int = 1) -> StepResult:
        """Steps on all samples, in the order in which they come.

        Args:
            data: a DataLoader or any other iterable of (x, y), samples or batches; or x alone with
                `y` beside it; or the path of an .npz file with x and y.
            epochs: how often, at least 1; a loader that shuffles does so each time.

        Returns:
            loss and prediction of every step, before its update.

        Raises:
            DataError: an item does not fit the model; what came before it is learned.
            UsageError: an iterator that gives its samples once is to give several epochs.
        """
        if not isinstance(epochs, int | np.integer) or isinstance(epochs, bool) or epochs < 1:
            raise UsageError(f"epochs must be an integer of at least 1, got {epochs!r}")
        refuse_second_pass(data, epochs)
        found = [
            self._trained(batch) for _ in range(epochs) for batch in batches(data, y, self._spec)
        ]
        return joined(found)

    def predict(self, x: Any) -> np.ndarray:
        """The outputs for a sample or a batch; nothing is learned.

        Args:
            x: as the class says.

        Returns:
            float32 in real units and in the shape and layout of the model's own output, with a
            batch in front where x has one. A softmax at the end of a classifier is left out: these
            are logits, or what stands before it.

        Raises:
            DataError: x does not fit the model.
        """
        data, is_single = given_inputs(x, self._spec)
        found: list[np.ndarray] = []
        with self._running() as library:
            found.extend(library.infer(data.quantized(chunk)) for chunk in data.chunks())
        outputs = self._spec.shaped_outputs(np.concatenate(found))
        return np.ascontiguousarray(outputs[0] if is_single else outputs)

    def evaluate(self, data: Any, y: Any = None) -> EvaluationResult:
        """Loss and accuracy on samples; nothing is learned.

        Args:
            data, y: as for `train`.

        Raises:
            DataError: there are no samples, or they do not fit the model.
        """
        found = []
        with self._running() as library:
            for batch in batches(data, y, self._spec):
                for chunk in batch.chunks():
                    found.append(scored(library, library_samples(batch, chunk), self._spec))
        if not found:
            raise DataError("there are no samples to evaluate", where=Where("data"))
        return evaluation_of(found)

    @property
    def learning_rate(self) -> float:
        """Of the next step. Setting it, 0 to the limit that the model was compiled with, sets the
        rate that a schedule starts from."""
        with self._running() as library:
            return library.learning_rate()

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        check_options(SIMULATE, learning_rate=rate)
        check_rate(self._folder, rate)
        with self._running() as library:
            library.set_learning_rate(rate)

    def reset(self) -> None:
        """Back to the factory state: parameters as compiled, nothing learned or remembered."""
        with self._running() as library:
            library.init()

    def save(self, path: str | Path) -> None:
        """Writes what a step changes, in the format of the device: `NAME_load` of the firmware and
        `simulate(load=...)` read it.

        Raises:
            UsageError: the file cannot be written.
        """
        check_writable(Path(path))
        with self._running() as library:
            data = library.save()
        write_file(Path(path), data)

    def load(self, path: str | Path) -> None:
        """Goes on from a saved file: one of `save`, of `simulate` or of the firmware; a board whose
        link is locked takes signed ones.

        Raises:
            DataError: it cannot be read, is damaged, or of another model; then nothing changed.
        """
        with self._running() as library:
            library.load(self._folder.saved_in(path, signed=library.takes_signed))

    def state_dict(self) -> dict[str, np.ndarray]:
        """The trained tensors by their names in the model's file, as the device computes with them.

        Reals, float32, in the file's own shapes and layout; what was folded in, such as a batch
        normalisation, is taken out again. `module.load_state_dict` takes them as tensors, with
        `strict=False`, as frozen ones are not among them. A layer without a bias that learned one
        comes with a warning, under a name that the module does not have.

        Raises:
            ModelError: the model came from TFLite, or not all of it can go back.
        """
        with self._running() as library:
            data = library.save()
        return state_dict(self._folder, read_saved(data).weights)

    def to_onnx(self, path: str | Path) -> None:
        """Writes the ONNX file that the model came from with what was learned in it.

        Floats become those that the device computes with, integers stay integers, and a fresh head
        has its own shape. The file is imported and compared with the device before it is written.

        Raises:
            ModelError: the model did not come from ONNX, or not all of it can go back.
            UsageError: the file cannot be written.
        """
        check_writable(Path(path))
        with self._running() as library:
            data = library.save()
        write_file(Path(path), onnx_with_learned(self._folder, read_saved(data).weights))

    @property
    def _spec(self) -> SampleSpec:
        return self._folder.spec

    @contextmanager
    def _running(self) -> Iterator[HostLibrary]:
        """The model, for one thread at a time."""
        with self._lock:
            if self._held is None:
                raise UsageError("the device is closed", help="load it again")
            yield self._held

    def _trained(self, data: Dataset) -> StepResult:
        found = []
        with self._running() as library:
            behind = steps_behind(library.model)
            for chunk in data.chunks():
                samples = library_samples(data, chunk)
                order = np.arange(len(samples.targets))
                losses, predictions = library.train(samples, order, None, **behind)
                if not library.model.classes:
                    predictions = predictions[:0]
                found.append(StepResult(losses, predictions))
        return joined(found)

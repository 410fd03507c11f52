"""The generated sources as a shared library of this machine: many steps for one call.

A session's program reads a stream and prints a line for each step, which suits an emulator. An
experiment of many runs goes through this library instead: the same C, its loops around the model in
`codegen/library.c.j2`.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from tinytrain.emit.template import render
from tinytrain.errors import DataError, ToolchainError, UsageError, Where
from tinytrain.simulate.host import processor_flags
from tinytrain.simulate.objects import content
from tinytrain.simulate.protocol import STATUS
from tinytrain.simulate.saved import read_saved
from tinytrain.simulate.toolchain import require
from tinytrain.target import load_target


@dataclass(frozen=True)
class LibraryModel:
    """What a library has to know of its model; a manifest has it all.

    Attributes:
        name: C prefix.
        classes: at least 2.
        input_size: elements of an input.
        saved_bytes: of a saved file.
        frozen_bytes: what frozen layers leave for the others; 0 where there are none.
        replay: whether it has a replay buffer, in RAM.
        feed_rows: rows that a sample is fed in; 0 where it is written as a whole.
    """

    name: str
    classes: int
    input_size: int
    saved_bytes: int
    frozen_bytes: int
    replay: bool = False
    feed_rows: int = 0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UsageError(
                f"model '{self.name}' is a regression, which the host library does not train",
                way_out="use 'tinytrain simulate'",
            )


@dataclass(frozen=True, eq=False)
class LibrarySamples:
    """Samples for a library.

    Attributes:
        labels: int32 [N], 0 to classes - 1.
        inputs: int8 [N, ...]; None where `kept` holds all that is needed.
        kept: uint8 [N, frozen_bytes] from `HostLibrary.keep`; None computes frozen layers.
    """

    labels: np.ndarray
    inputs: np.ndarray | None = None
    kept: np.ndarray | None = None


class _Samples(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_void_p),
        ("kept", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
    )


def build_library(
    directory: Path,
    model: LibraryModel,
    cache: Path,
    *,
    compiler: str | None = None,
    optimise: str = "-O3",
) -> Path:
    """Compile the sources of a generated folder into a shared library.

    Args:
        directory: holds `src` and `include` as `tinytrain compile` writes them.
        cache: folder for objects and libraries, which are found again by their content; several
            processes may use it at once.
        compiler: the C compiler's command; None takes the host target's.
        optimise: the optimisation flag.

    Returns:
        The library.

    Raises:
        ToolchainError: the compiler is missing, or refuses the sources; one is not whole.
    """
    target = load_target("host")
    command = compiler or target.compiler
    require(shlex.split(command)[0])
    flags = [optimise, *target.compile_flags, *processor_flags(), "-DTT_KEEP_FROZEN", "-fPIC"]
    driver = render(
        "codegen",
        "library.c.j2",
        name=model.name,
        NAME=model.name.upper(),
        has_frozen=model.frozen_bytes > 0,
        replay=model.replay,
        feed=model.feed_rows > 0,
    )
    base = hashlib.sha256("\0".join([command, *flags]).encode())
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as place:
        scratch = Path(place)
        (scratch / "library.c").write_text(driver, encoding="utf-8")
        sources = [*sorted((directory / "src").glob("*.c")), scratch / "library.c"]
        folders = [(directory / part).resolve() for part in ("include", "src")]
        includes = [f"-I{folder}" for folder in folders]
        objects = []
        for source in sources:
            # A file of the runtime does not reach the model's headers: it is compiled once for all.
            reached = content(source, folders)
            if reached is None:
                raise ToolchainError(
                    "it includes a file that the folder does not have",
                    where=Where(str(source)),
                    way_out="let 'tinytrain compile MODEL -o DIR' write the folder anew",
                )
            digest = base.copy()
            digest.update(reached)
            found = cache / f"{digest.hexdigest()}.o"
            if not found.is_file():
                made = scratch / found.name
                _compile([*shlex.split(command), *flags, *includes, "-c"], [source], made)
                made.replace(found)
            objects.append(found)
        digest = hashlib.sha256("".join(file.name for file in objects).encode())
        library = cache / f"{model.name}-{digest.hexdigest()[:32]}.so"
        if not library.is_file():
            made = scratch / library.name
            _compile([*shlex.split(command), "-shared"], objects, made)
            made.replace(library)
    return library


def _compile(command: Sequence[str], files: Sequence[Path], output: Path) -> None:
    done = subprocess.run(
        [*command, *(str(file.resolve()) for file in files), "-o", str(output)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode != 0:
        raise ToolchainError(
            f"'{command[0]}' cannot build '{output.name}' from '{files[0].name}'",
            detail="\n".join(done.stderr.splitlines()[-20:]),
        )


def library_model(manifest: Mapping[str, Any]) -> LibraryModel:
    """What a folder's manifest says of its model."""
    shape = manifest["input"]["shape"]
    return LibraryModel(
        name=str(manifest["name"]),
        classes=int(manifest["output"]["classes"]),
        input_size=math.prod(int(size) for size in shape),
        saved_bytes=int(manifest["saved_bytes"]),
        frozen_bytes=int(manifest["frozen_bytes"]),
        replay=manifest.get("replay") is not None,
    )


class HostLibrary:
    """A model in a shared library, with one state of its own, which starts as factory.

    Args:
        path: from `build_library`.
        model: of the same folder.

    Raises:
        ToolchainError: the library cannot be loaded.
    """

    def __init__(self, path: Path, model: LibraryModel) -> None:
        self.model = model
        try:
            self._functions = ctypes.CDLL(str(path.resolve()))
        except OSError as error:
            raise ToolchainError(f"the library cannot be loaded: {error}") from error
        size = self._function("library_state_size", ctypes.c_size_t)()
        self._memory = np.zeros(-(-size // 8), np.uint64)
        self._state = ctypes.c_void_p(self._memory.ctypes.data)
        self.init()

    def init(self) -> None:
        """Back to the factory state."""
        self._function("init", None)(self._state)

    def set_learning_rate(self, rate: float) -> None:
        """0 to 1024."""
        function = self._function("set_learning_rate", ctypes.c_int)
        _check(function(self._state, ctypes.c_float(rate)))

    def train(
        self,
        samples: LibrarySamples,
        order: np.ndarray,
        rates: np.ndarray | None = None,
        *,
        replay_steps: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One training step for each entry of `order`.

        Args:
            order: index of each step's sample, int64 [n].
            rates: that each step's schedule starts from, float32 [n]; None keeps the state's own.
            replay_steps: on remembered samples after each of them, for a model with a replay
                buffer, which then remembers every sample.

        Returns:
            Loss, float32 [n], and predicted class, int32 [n], of each step before its update. A
            step whose loss is not finite was skipped.

        Raises:
            DataError: an index or a label is out of range.
        """
        self._check_labels(samples)
        assert self.model.replay or not replay_steps, "the model has no replay buffer"
        order = np.ascontiguousarray(order, np.int64)
        if order.size and not (order.min() >= 0 and order.max() < len(samples.labels)):
            raise DataError(f"the order names samples beyond the {len(samples.labels)} there are")
        steps = None if rates is None else np.ascontiguousarray(rates, np.float32)
        assert steps is None or steps.shape == order.shape
        losses, predictions = np.empty(order.size, np.float32), np.empty(order.size, np.int32)
        status = self._function("library_train", ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(order.size),
            _pointer(order),
            _pointer(steps),
            ctypes.c_uint32(replay_steps),
            _pointer(losses),
            _pointer(predictions),
        )
        _check(status)
        return losses, predictions

    def evaluate(self, samples: LibrarySamples) -> tuple[np.ndarray, np.ndarray]:
        """Loss, float32 [N], and predicted class, int32 [N], of every sample; nothing is learned.

        Raises:
            DataError: a label is out of range.
        """
        self._check_labels(samples)
        count = len(samples.labels)
        losses, predictions = np.empty(count, np.float32), np.empty(count, np.int32)
        status = self._function("library_evaluate", ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(count),
            _pointer(losses),
            _pointer(predictions),
        )
        _check(status)
        return losses, predictions

    def keep(self, inputs: np.ndarray, kept: np.ndarray) -> None:
        """Compute what frozen layers give.

        Args:
            inputs: int8 [N, ...].
            kept: uint8 [N, frozen_bytes], contiguous; written.
        """
        assert self.model.frozen_bytes > 0, "no layer is frozen"
        assert kept.shape == (len(inputs), self.model.frozen_bytes) and kept.flags.c_contiguous
        given = np.ascontiguousarray(inputs, np.int8)
        assert given.size == len(given) * self.model.input_size
        self._function("library_keep", None)(
            self._state, ctypes.c_size_t(len(given)), _pointer(given), _pointer(kept)
        )

    def save(self) -> bytes:
        """The saved file of the trained parameters."""
        data = np.empty(self.model.saved_bytes, np.uint8)
        function = self._function("library_save", ctypes.c_int)
        _check(function(self._state, _pointer(data), ctypes.c_size_t(data.size)))
        return data.tobytes()

    def load(self, data: bytes) -> None:
        """Go on from a saved file.

        Raises:
            DataError: it is damaged, or of another model.
        """
        read_saved(data)
        given = np.frombuffer(data, np.uint8)
        function = self._function("library_load", ctypes.c_int)
        _check(function(self._state, _pointer(given), ctypes.c_size_t(given.size)))

    def weights_sha256(self) -> str:
        """Of all trained parameters, 64 hex digits; as `simulate` gives it."""
        return hashlib.sha256(read_saved(self.save()).weights).hexdigest()

    def _function(self, name: str, result: type | None) -> Callable[..., int]:
        function = getattr(self._functions, f"{self.model.name}_{name}")
        function.restype = result
        return cast(Callable[..., int], function)

    def _check_labels(self, samples: LibrarySamples) -> None:
        labels = samples.labels
        if labels.size and not (labels.min() >= 0 and labels.max() < self.model.classes):
            raise DataError(f"a label is not one of the model's {self.model.classes} classes")

    def _struct(self, samples: LibrarySamples) -> _Samples:
        """Pointers into arrays that `samples` keeps alive."""
        inputs, kept, labels = samples.inputs, samples.kept, samples.labels
        count = len(labels)
        assert inputs is not None or kept is not None, "samples without inputs"
        assert labels.dtype == np.int32 and labels.flags.c_contiguous
        if inputs is not None:
            assert inputs.dtype == np.int8 and inputs.flags.c_contiguous
            assert inputs.size == count * self.model.input_size
        if kept is not None:
            assert kept.dtype == np.uint8 and kept.flags.c_contiguous
            assert kept.shape == (count, self.model.frozen_bytes)
        return _Samples(_pointer(inputs), _pointer(kept), _pointer(labels))


def _pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _check(status: int) -> None:
    if status != 0:
        what = STATUS[status] if status < len(STATUS) else f"status {status}"
        raise DataError(f"the model refuses: {what}", where=Where("the host library"))

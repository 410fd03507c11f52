"""`watch`: a model learns what is normal and tells the rest, on this machine or emulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinytrain.data import Dataset, load_dataset
from tinytrain.data.npz import read_arrays
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.losses import SampleTarget
from tinytrain.option import check_options
from tinytrain.output_file import write_file
from tinytrain.simulation.engine import Progress, ignore_progress
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.parameters import WATCH
from tinytrain.simulation.session import engine_of
from tinytrain.simulation.session_checks import check_run
from tinytrain.simulation.stream import SampleStream, no_targets
from tinytrain.simulation.watch_result import WatchResult, summarize_watch


# house(parameters): each is an option of the command
def watch(
    directory: str | Path,
    *,
    on: str = "host",
    data: str | Path,
    eval: str | Path | None = None,
    steps: int | None = None,
    icount: bool = False,
    load: str | Path | None = None,
    save: str | Path | None = None,
    scores: str | Path | None = None,
    progress: Progress = ignore_progress,
    warn: Callable[[str], None] = lambda sentence: None,
) -> WatchResult:
    """Lets a model compiled with `anomaly` learn what is normal, and measures what it flags.

    Args:
        directory: a folder that `compile_model` wrote; only its subfolder `build` is written.
        on: "host", or "qemu" for the emulator of the folder's target.
        data: x of the samples to watch, in the order in which they come; the first of them are
            taken as normal.
        eval: x of samples to score before and after, and `fault`, or else y: 1 for each sample that
            is not normal, else 0.
        steps: samples to watch; `data` begins anew where it has fewer. None takes each once.
        icount: count instructions; on an emulator only, and slower.
        load: a saved file to start from, instead of the factory state.
        save: a file that gets what was learned, as the device would save it.
        scores: a file that gets the score of every sample watched, one a line.
        progress: called as the session goes on.
        warn: called before the session with what is odd about the data.

    Raises:
        UsageError: an option makes no sense, or the model cannot tell what is not normal.
        DataError: data or saved parameters do not fit the model.
        ToolchainError: building or running failed.
    """
    check_options(WATCH, on=on, icount=icount, steps=steps)
    check_run(on, (save, scores), (data, eval), icount=icount)
    folder = open_folder(directory)
    stream, flags = plan_watch(folder, data=data, eval=eval, steps=steps, load=load)
    for sentence in stream.warnings():
        warn(sentence)
    outcome = engine_of(folder, on, icount=icount).run(stream, progress)
    result = summarize_watch(folder, stream, outcome, flags, on=on)
    if save is not None:
        write_file(Path(save), result.saved)
    if scores is not None:
        write_file(Path(scores), "".join(f"{score!r}\n" for score in result.scores).encode())
    return result


def plan_watch(
    folder: GeneratedFolder,
    *,
    data: str | Path,
    eval: str | Path | None = None,
    steps: int | None = None,
    load: str | Path | None = None,
) -> tuple[SampleStream, np.ndarray]:
    """What an engine needs, checked, and which evaluation samples are not normal, bool [n].

    Arguments and errors as for `watch`.
    """
    if folder.manifest.anomaly is None:
        raise UsageError(
            f"the model in '{folder.path}' does not tell what is not normal",
            help="compile with --anomaly error, diagonal or covariance",
        )
    watched = _samples(data, folder)
    count = len(watched) if steps is None else steps
    stream = SampleStream(
        train=watched,
        order=np.arange(count, dtype=np.int64) % len(watched),
        evaluation=None if eval is None else _samples(eval, folder),
        parameters_in=None if load is None else folder.saved_in(load),
        watches=True,
    )
    flags = np.empty(0, np.bool_) if eval is None else _flags(eval, stream.eval_count)
    return stream, flags


def watched_samples(data: Dataset) -> Dataset:
    """Samples with the targets that watching them takes: themselves, or none that counts."""
    spec = data.spec
    if spec.wants is SampleTarget.VALUES and spec.size == spec.output_size:
        return data
    return replace(data, y=no_targets(spec, len(data)))


def check_watchable(folder: GeneratedFolder) -> None:
    """Refuses a model whose error needs targets that are not its samples.

    Raises:
        UsageError: it is one.
    """
    spec, anomaly = folder.spec, folder.manifest.anomaly
    if anomaly is not None and not anomaly.features and spec.size != spec.output_size:
        raise UsageError(
            f"the model takes {spec.size} elements and gives {spec.output_size}: a sample is not "
            "its own target, and only your firmware knows what is",
            help="train it with simulate, or compile with --anomaly diagonal",
        )


def _samples(path: str | Path, folder: GeneratedFolder) -> Dataset:
    check_watchable(folder)
    return watched_samples(load_dataset(path, folder.spec, need_targets=False))


def _flags(path: str | Path, count: int) -> np.ndarray:
    where = Where(str(path))
    arrays = read_arrays(path, where, ("fault", "y"))
    name = "fault" if "fault" in arrays else "y"
    y = arrays.get(name)
    if y is None:
        found = "has neither fault nor y"
    elif y.shape != (count,):
        found = f"has {name} of shape {list(y.shape)}"
    elif not np.isin(y, (0, 1)).all():
        found = f"has {name} with other numbers"
    else:
        return y.astype(np.bool_)
    raise DataError(
        f"samples to evaluate need {count} numbers, 1 for each sample that is not normal and 0 for "
        f"the others, and the file {found}",
        where=where,
        help="save it with np.savez(file, x=samples, fault=is_not_normal)",
    )

"""A session: evaluate a compiled model, train it for some steps, evaluate it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinytrain.data import Dataset, load_dataset
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.simulation.engine import Engine, Progress, ignore_progress
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.frozen_cache import FROZEN_MEMORY
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.orders import ORDERS, by_class
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.result import SimulationResult, summarize
from tinytrain.simulation.saved import read_saved
from tinytrain.simulation.stream import SampleStream, training_order

MAX_LEARNING_RATE = 1024
"""The largest rate that a model takes (tinytrain.h)."""

MAX_STEPS = 10_000_000
"""Every step's sample is written out beforehand; more would fill a disk."""

MAX_REPLAY_STEPS = 1000
"""After each new sample; a larger number is a mistake."""

MAX_PATIENCE = 65_535
"""Of `tt_early_stop`."""


def simulate(
    directory: str | Path,
    *,
    on: str = "host",
    data: str | Path | Dataset,
    eval_data: str | Path | Dataset | None = None,
    steps: int,
    seed: int = 0,
    learning_rate: float | None = None,
    evaluate_every: int = 0,
    patience: int = 0,
    icount: bool = False,
    parameters_in: str | Path | None = None,
    frozen_memory: int = FROZEN_MEMORY,
    order: str = "shuffled",
    replay_steps: int | None = None,
    progress: Progress = ignore_progress,
) -> SimulationResult:
    """Run a session on a folder that `tinytrain compile` wrote.

    Args:
        directory: the folder; only its subfolder `build` is written.
        on: "host", or "qemu" for the emulator of the folder's target.
        data: samples to learn from; a path is loaded and checked against the model.
        eval_data: samples to evaluate before and after; None evaluates nothing.
        steps: training steps on new samples, 0 to `MAX_STEPS`; every epoch takes them in a new
            random order.
        seed: of that order, 0 to 2**32 - 1.
        learning_rate: instead of the model's own, 0 to 1024.
        evaluate_every: steps after which the program evaluates in between; 0 never does.
        patience: such evaluations in a row without a better one that end training, 0 to
            `MAX_PATIENCE`; 0 never ends it.
        icount: count instructions; on an emulator only, and slower.
        parameters_in: a saved file to start from, instead of the factory state.
        frozen_memory: bytes on the host for the outputs of the frozen layers, cached for samples
            that come again; 0 computes them every time. The result is the same.
        order: "shuffled", "by-class" (the same samples, sorted by class in a seeded order), or
            "drift" (shuffled, and changing slowly: `orders.drifted`).
        replay_steps: on remembered samples after each new one; None takes one where the model has a
            replay buffer.
        progress: called as the session goes on.

    Raises:
        UsageError: an option makes no sense, or the folder is none.
        ModelError: the folder was changed after it was written.
        DataError: data or saved parameters do not fit the model.
        ToolchainError: building or running failed.
    """
    if icount and on != "qemu":
        raise UsageError("instructions are counted on an emulator only", help="add --on qemu")
    folder = open_folder(directory)
    stream = plan_session(
        folder,
        data=data,
        eval_data=eval_data,
        steps=steps,
        seed=seed,
        learning_rate=learning_rate,
        parameters_in=parameters_in,
        order=order,
        replay_steps=replay_steps,
        evaluate_every=evaluate_every,
        patience=patience,
    )
    if frozen_memory < 0:
        raise UsageError(f"{frozen_memory} bytes cannot be set aside", help="give 0 or more")
    outcome = _engine(folder, on, icount, frozen_memory).run(stream, progress)
    return summarize(folder, stream, outcome, on=on)


def plan_session(
    folder: GeneratedFolder,
    *,
    data: str | Path | Dataset,
    eval_data: str | Path | Dataset | None = None,
    steps: int,
    seed: int = 0,
    learning_rate: float | None = None,
    parameters_in: str | Path | None = None,
    order: str = "shuffled",
    replay_steps: int | None = None,
    evaluate_every: int = 0,
    patience: int = 0,
) -> SampleStream:
    """Everything that an engine needs, checked; arguments and errors as for `simulate`."""
    if not 0 <= steps <= MAX_STEPS:
        raise UsageError(
            f"{steps} training steps were asked for, where 0 to {MAX_STEPS} are possible"
        )
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed {seed} is out of range: seeds are 0 to 2**32 - 1")
    if learning_rate is not None and not 0 <= learning_rate <= MAX_LEARNING_RATE:
        raise UsageError(
            f"learning rate {learning_rate} is out of range: rates are 0 to {MAX_LEARNING_RATE}"
        )
    replay_steps = _checked_replay(folder, replay_steps)
    _check_evaluations(evaluate_every, patience, is_there=eval_data is not None)
    train = _loaded(data, folder)
    saved = None
    if parameters_in is not None:
        where = Where(str(parameters_in))
        try:
            saved = Path(parameters_in).read_bytes()
        except OSError as error:
            raise DataError(
                f"the saved parameters cannot be read: {error.strerror}", where=where
            ) from error
        read_saved(saved, where)
    return SampleStream(
        train=train,
        order=_ordered(order, train, steps, seed),
        evaluation=None if eval_data is None else _loaded(eval_data, folder),
        learning_rate=learning_rate,
        parameters_in=saved,
        replay_steps=replay_steps,
        drifts=order == "drift",
        evaluate_every=evaluate_every,
        patience=patience,
    )


def _check_evaluations(evaluate_every: int, patience: int, *, is_there: bool) -> None:
    if not 0 <= evaluate_every <= MAX_STEPS:
        raise UsageError(
            f"evaluations every {evaluate_every} steps were asked for, where 1 to {MAX_STEPS} are "
            "possible"
        )
    if not 0 <= patience <= MAX_PATIENCE:
        raise UsageError(f"a patience of {patience} is not between 0 and {MAX_PATIENCE}")
    if evaluate_every and not is_there:
        raise UsageError(
            "there are no samples to evaluate between steps", help="add --eval FILE.npz"
        )
    if patience and not evaluate_every:
        raise UsageError("patience needs evaluations between steps", help="add --evaluate-every N")


def _checked_replay(folder: GeneratedFolder, replay_steps: int | None) -> int | None:
    if replay_steps is None:
        return 1 if folder.manifest.replay else None
    if not 0 <= replay_steps <= MAX_REPLAY_STEPS:
        raise UsageError(
            f"{replay_steps} replayed steps after each sample were asked for, where 0 to "
            f"{MAX_REPLAY_STEPS} are possible"
        )
    if replay_steps and not folder.manifest.replay:
        raise UsageError(
            f"the model in '{folder.path}' has no replay buffer",
            help="compile with --replay N, or leave out --replay-steps",
        )
    return replay_steps if folder.manifest.replay else None


def _ordered(order: str, train: Dataset, steps: int, seed: int) -> np.ndarray:
    if order not in ORDERS:
        raise UsageError(f"order '{order}' is unknown", help=f"use {', '.join(ORDERS)}")
    shuffled = training_order(len(train), steps, seed)
    if order != "by-class":
        return shuffled
    if not train.spec.classes:
        raise UsageError(
            "the model is a regression, and its samples cannot be sorted by class",
            help="use --order shuffled or drift",
        )
    return by_class(shuffled, train.targets(slice(None)), train.spec.classes, seed)


def _engine(folder: GeneratedFolder, on: str, icount: bool, frozen_memory: int) -> Engine:
    if on == "host":
        return HostEngine(folder, frozen_memory=frozen_memory)
    if on == "qemu":
        return QemuEngine(folder, icount=icount)
    raise UsageError(f"a session cannot run on '{on}'", help="choose host or qemu")


def _loaded(data: str | Path | Dataset, folder: GeneratedFolder) -> Dataset:
    return data if isinstance(data, Dataset) else load_dataset(data, folder.spec)

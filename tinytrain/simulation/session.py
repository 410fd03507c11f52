"""A session: evaluate a compiled model, train it for some steps, evaluate it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tinytrain.data import Dataset
from tinytrain.errors import UsageError
from tinytrain.link.line import PREFIX
from tinytrain.option import check_options
from tinytrain.output_file import write_file
from tinytrain.simulation.board import BoardEngine
from tinytrain.simulation.engine import Engine, Progress, ignore_progress
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.frozen_cache import FROZEN_MEMORY
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.parameters import SIMULATE
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.result import SimulationResult, summarize, with_enrolment
from tinytrain.simulation.session_checks import (
    check_confusion,
    check_evaluations,
    check_following,
    check_kept,
    check_losses,
    check_rate,
    check_run,
    check_trains,
    checked_rehearsal,
    checked_replay,
    started_from,
)
from tinytrain.simulation.session_samples import enrolling, loaded, ordered, session_samples
from tinytrain.simulation.stream import SampleStream
from tinytrain.simulation.unlabelled import check_unlabelled


# house(parameters): each is an option of the command
# house(function): most of it says what each parameter is
def simulate(
    directory: str | Path,
    *,
    on: str = "host",
    data: str | Path | Dataset,
    eval: str | Path | Dataset | None = None,
    eval_old: str | Path | Dataset | None = None,
    steps: int,
    seed: int = 0,
    learning_rate: float | None = None,
    evaluate_every: int = 0,
    patience: int = 0,
    confusion: bool = False,
    icount: bool = False,
    load: str | Path | None = None,
    save: str | Path | None = None,
    losses: str | Path | None = None,
    frozen_memory: int = FROZEN_MEMORY,
    order: str = "shuffled",
    replay_steps: int | None = None,
    rehearsal_steps: int | None = None,
    fill: str | Path | Dataset | None = None,
    follow: bool = False,
    unlabelled: bool = False,
    kept: str | Path | Dataset | None = None,
    progress: Progress = ignore_progress,
    warn: Callable[[str], None] = lambda sentence: None,
) -> SimulationResult:
    """Trains a compiled model on this machine or under emulation, and evaluates it.

    Args:
        directory: a folder that `compile_model` wrote; only its subfolder `build` is written.
        on: "host", "qemu" for the emulator of the folder's target, or "serial:PORT" for the board
            at a serial port, such as "serial:/dev/ttyACM0".
        data: samples to learn from; a path is loaded and checked against the model.
        eval: samples to evaluate before and after; None evaluates nothing.
        eval_old: samples of what the model knew before, which are evaluated beside them, decide
            nothing and show what is forgotten.
        steps: training steps on new samples, 0 to 10 million; every epoch takes them in a new
            random order.
        seed: of that order, 0 to 2**32 - 1.
        learning_rate: instead of the model's own, 0 to the limit that it was compiled with.
        evaluate_every: steps after which the program evaluates in between; 0 never does.
        patience: such evaluations in a row without a better one that end training, 0 to
            65,535; 0 never ends it.
        confusion: whether the result has the confusion matrix and F1 of each class.
        icount: count instructions; on an emulator only, and slower.
        load: a saved file to start from, instead of the factory state; for a board whose link is
            locked, a signed one.
        save: a file that gets the trained parameters, as the device would save them.
        losses: a file that gets the loss of every step, one a line.
        frozen_memory: bytes on the host for the outputs of the frozen layers, cached for samples
            that come again; 0 computes them every time. The result is the same.
        order: "shuffled", "as-is" (as the file has them, again from its beginning where it ends),
            "by-class" (the same samples as shuffled, sorted by class in a seeded order), or "drift"
            (shuffled, and changing slowly: `orders.drifted`).
        replay_steps: on remembered samples after each new one; None takes one where the model has a
            replay buffer.
        rehearsal_steps: on samples of the rehearsal set after each new one, behind the replayed
            ones; None takes one where the model has such a set.
        fill: samples that the replay buffer is offered before the first step.
        follow: whether drift is followed over the samples, `steps` of them, in place of training
            on them; labels of `data` are not looked at.
        unlabelled: whether the labels of `data`, if it has some, are not looked at: samples that
            are sure enough are trained on as what the model takes them for.
        kept: labelled samples that the model's guard looks at, and that no step learns from; None
            leaves it those of a rehearsal set, and the new ones.
        progress: called as the session goes on.
        warn: called before the session with each of the result's `warnings`.

    Raises:
        UsageError: an option makes no sense, or the folder is none.
        ModelError: the folder was changed after it was written.
        DataError: data or saved parameters do not fit the model.
        ToolchainError: building or running failed, or a board does not answer.
    """
    check_options(SIMULATE, on=on, icount=icount, frozen_memory=frozen_memory)
    check_run(on, (save, losses), (data, eval, eval_old, fill, kept), icount=icount)
    folder = open_folder(directory)
    check_confusion(folder, confusion=confusion, is_there=eval is not None)
    check_losses(folder, follow=follow, is_there=losses is not None)
    stream = plan_session(
        folder,
        on=on,
        data=data,
        eval=eval,
        eval_old=eval_old,
        steps=steps,
        seed=seed,
        learning_rate=learning_rate,
        load=load,
        order=order,
        replay_steps=replay_steps,
        rehearsal_steps=rehearsal_steps,
        fill=fill,
        kept=kept,
        evaluate_every=evaluate_every,
        patience=patience,
        follow=follow,
        unlabelled=unlabelled,
    )
    for sentence in stream.warnings():
        warn(sentence)
    engine = engine_of(folder, on, icount=icount, frozen_memory=frozen_memory)
    outcome = engine.run(stream, progress)
    result = summarize(folder, stream, outcome, on=on, confusion=confusion)
    if stream.enrolment is not None:
        second = replace(stream.enrolment, parameters_in=outcome.saved)
        found = engine.run(second, progress)
        result = with_enrolment(result, folder, second, found, confusion=confusion)
    _write_files(result, save, losses)
    return result


def engine_of(
    folder: GeneratedFolder, on: str, *, icount: bool, frozen_memory: int = FROZEN_MEMORY
) -> Engine:
    """For "host", "qemu" or "serial:PORT"; each takes what of the rest is for it."""
    if on == "host":
        return HostEngine(folder, frozen_memory=frozen_memory)
    if on.startswith(PREFIX):
        return BoardEngine(folder, on.removeprefix(PREFIX))
    return QemuEngine(folder, icount=icount)


# house(parameters): each is an option of the command
# house(function): a line for each of them
def plan_session(
    folder: GeneratedFolder,
    *,
    on: str = "host",
    data: str | Path | Dataset,
    eval: str | Path | Dataset | None = None,
    eval_old: str | Path | Dataset | None = None,
    steps: int,
    seed: int = 0,
    learning_rate: float | None = None,
    load: str | Path | None = None,
    order: str = "shuffled",
    replay_steps: int | None = None,
    rehearsal_steps: int | None = None,
    fill: str | Path | Dataset | None = None,
    kept: str | Path | Dataset | None = None,
    evaluate_every: int = 0,
    patience: int = 0,
    follow: bool = False,
    unlabelled: bool = False,
) -> SampleStream:
    """Everything that an engine needs, checked; arguments and errors as for `simulate`."""
    check_options(
        SIMULATE,
        steps=steps,
        seed=seed,
        learning_rate=learning_rate,
        order=order,
        replay_steps=replay_steps,
        rehearsal_steps=rehearsal_steps,
        evaluate_every=evaluate_every,
        patience=patience,
    )
    check_rate(folder, learning_rate)
    if steps and not follow and folder.manifest.enrolment is None:
        check_trains(folder, "--steps")
    if follow:
        check_following(folder, order, rate=learning_rate, every=evaluate_every, kept=kept)
    if unlabelled:
        is_kept, fills = kept is not None, fill is not None
        check_unlabelled(folder, replay_steps, fills=fills, has_kept=is_kept)
    replay_steps = checked_replay(folder, replay_steps, fills=fill is not None)
    rehearsal_steps = checked_rehearsal(folder, rehearsal_steps)
    is_there = eval is not None
    check_evaluations(evaluate_every, patience, is_there=is_there, has_old=eval_old is not None)
    if evaluate_every:
        check_trains(folder, "--evaluate-every")
    check_kept(folder, is_there=kept is not None)
    samples, enrolled = session_samples(
        data, eval, eval_old, folder, follow=follow, unlabelled=unlabelled
    )
    train = samples.train
    if order == "drift" and train.spec.parts:
        raise UsageError(
            "drift changes a model's one input, and this one has several",
            help="use --order shuffled or by-class",
        )
    start, signature = started_from(folder, load, on)
    return SampleStream(
        train=train,
        order=ordered(order, train, steps if follow or folder.manifest.trains else 0, seed),
        evaluation=samples.evaluation,
        learning_rate=learning_rate,
        parameters_in=start,
        signature=signature,
        replay_steps=None if unlabelled else replay_steps,
        rehearsal_steps=rehearsal_steps,
        fill=None if fill is None else loaded(fill, folder),
        is_guarded=folder.manifest.guard is not None,
        kept=None if kept is None else loaded(kept, folder),
        drifts=order == "drift",
        evaluate_every=evaluate_every,
        patience=patience,
        old=samples.old,
        follows=follow,
        unlabelled=unlabelled,
        enrolment=None if enrolled is None else enrolling(enrolled, order, steps, seed),
    )


def _write_files(
    result: SimulationResult, save: str | Path | None, losses: str | Path | None
) -> None:
    if save is not None and result.saved is not None:
        write_file(Path(save), result.saved)
    if losses is not None:
        write_file(Path(losses), "".join(f"{loss!r}\n" for loss in result.losses).encode())

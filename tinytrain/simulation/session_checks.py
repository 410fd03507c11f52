"""What goes together in a session, and with a model; each raises a `UsageError`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.link.line import PREFIX
from tinytrain.link.lock import apart
from tinytrain.output_file import check_writable
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.parameters import LARGEST_RATE


def check_run(
    on: str, places: Iterable[str | Path | None], samples: Iterable[Any], *, icount: bool
) -> None:
    """Refuses to write to places where no file can be, and to count instructions off an emulator.

    Args:
        places: of the files that the session will write; None for one that is not asked for.
        samples: that it reads; files of them are not overwritten.
    """
    read = [given for given in samples if isinstance(given, str | Path)]
    for place in places:
        if place is not None:
            check_writable(Path(place), *read)
    if icount and on != "qemu":
        raise UsageError("instructions are counted on an emulator only", help="add --on qemu")


def check_evaluations(
    evaluate_every: int, patience: int, *, is_there: bool, has_old: bool = False
) -> None:
    """Raises `UsageError` for evaluations without samples, or of an old task alone."""
    if has_old and not is_there:
        raise UsageError(
            "samples of the old task are evaluated beside those of the new one",
            help="add --eval FILE.npz, or give the old samples as --eval alone",
        )
    if evaluate_every and not is_there:
        raise UsageError(
            "there are no samples to evaluate between steps", help="add --eval FILE.npz"
        )
    if patience and not evaluate_every:
        raise UsageError("patience needs evaluations between steps", help="add --evaluate-every N")


def started_from(
    folder: GeneratedFolder, load: str | Path | None, on: str
) -> tuple[bytes | None, bytes]:
    """The saved file that a session starts from, None for the factory state; and what stands behind
    it where it is signed, which is for a board alone."""
    if load is None:
        return None, b""
    return apart(folder.saved_in(load, signed=on.startswith(PREFIX)))


def checked_replay(folder: GeneratedFolder, replay_steps: int | None, *, fills: bool) -> int | None:
    """Steps on remembered samples after each new one; None without a replay buffer."""
    if (replay_steps or fills) and not folder.manifest.replay:
        raise UsageError(
            f"the model in '{folder.path}' has no replay buffer",
            help=f"compile with --replay N, or leave out {'--fill' if fills else '--replay-steps'}",
        )
    return _behind(replay_steps, is_there=folder.manifest.replay is not None)


def checked_rehearsal(folder: GeneratedFolder, rehearsal_steps: int | None) -> int | None:
    """Steps on the rehearsal set after each new sample; None without one."""
    if rehearsal_steps and not folder.manifest.rehearsal:
        raise UsageError(
            f"the model in '{folder.path}' has no rehearsal set",
            help="compile with --rehearse FILE.npz, or leave out --rehearsal-steps",
        )
    return _behind(rehearsal_steps, is_there=folder.manifest.rehearsal is not None)


def _behind(steps: int | None, *, is_there: bool) -> int | None:
    """Steps on samples of before, one unless told otherwise; None where none are there."""
    if not is_there:
        return None
    return 1 if steps is None else steps


def check_trains(folder: GeneratedFolder, what: str) -> None:
    """Refuses what only training needs where the scheme none trains nothing."""
    if not folder.manifest.trains:
        if folder.manifest.parameters:
            raise UsageError(
                f"the model in '{folder.path}' was compiled with --inference, and {what} is about "
                "training",
                help="leave it out, or take the folder that was compiled without --inference",
            )
        raise UsageError(
            f"the scheme none trains nothing, and {what} is about training",
            help="leave it out, or compile with --scheme head",
        )


def check_losses(folder: GeneratedFolder, *, follow: bool, is_there: bool) -> None:
    """The loss of every step needs steps."""
    if not is_there:
        return
    check_trains(folder, "--losses")
    if follow:
        raise _no_training("--losses")


def check_confusion(folder: GeneratedFolder, *, confusion: bool, is_there: bool) -> None:
    """What was taken for what needs samples to evaluate, of one class each."""
    if not confusion:
        return
    if not is_there:
        raise UsageError(
            "--confusion shows what evaluation samples are taken for, and there are none",
            help="add --eval FILE.npz, or leave out --confusion",
        )
    if not folder.spec.classes:
        raise UsageError(
            "--confusion shows which class was taken for which, and the target of a sample is "
            f"{folder.spec.wants.words}",
            help="leave out --confusion",
        )


def check_rate(folder: GeneratedFolder, rate: float | None) -> None:
    """Holds a learning rate to the limit of the device.

    Raises:
        UsageError: it is above it, or nothing trains.
    """
    if rate is not None:
        check_trains(folder, "a learning rate")
    limit, name = folder.manifest.rate_limit, "--rate-limit "
    or_lift = f", or with {name}{LARGEST_RATE:g} to lift the limit"
    # The device compares float32 values.
    if rate is not None and np.float32(rate) > np.float32(limit):
        raise UsageError(
            f"learning rate {rate:g} is above {limit:g}, the limit of the model in '{folder.path}'",
            help=f"compile with {name}{rate:g}{'' if rate == LARGEST_RATE else or_lift}",
        )


def check_kept(folder: GeneratedFolder, *, is_there: bool) -> None:
    """Samples that are kept apart need a guard that looks at them."""
    if is_there and not folder.manifest.guard:
        raise UsageError(
            f"the model in '{folder.path}' has no guard",
            help="compile with --guard 128, or leave out --kept",
        )


def check_following(
    folder: GeneratedFolder, order: str, *, rate: float | None, every: int, kept: Any
) -> None:
    """A session that follows drift trains nothing and looks at no label."""
    if folder.manifest.follow is None:
        raise UsageError(
            f"nothing in the model in '{folder.path}' follows drift",
            help="compile with --follow auto, or leave out --follow",
        )
    for flag, is_given in (
        ("--learning-rate", rate is not None),
        ("--evaluate-every", every > 0),
        ("--kept", kept is not None),
    ):
        if is_given:
            raise _no_training(flag)
    if order == "by-class":
        raise UsageError(
            "--follow looks at no labels, and --order by-class needs them",
            help="use --order shuffled or drift",
        )


def _no_training(flag: str) -> UsageError:
    return UsageError(
        f"--follow trains nothing, and {flag} is about training", help="leave out one of both"
    )

"""Whether a session can run on a board, and whether the board holds its model."""

from __future__ import annotations

from tinytrain.errors import ModelError, UsageError
from tinytrain.link.board import Board
from tinytrain.link.lock import LOCKED
from tinytrain.manifest.root import Manifest
from tinytrain.reference.schedule import parse_schedule
from tinytrain.reference.training_settings import settings_crc
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.stream import SampleStream


def check_model(board: Board, folder: GeneratedFolder) -> None:
    """Raises `ModelError` where a board does not hold the model of a folder."""
    if board.hello.model_hash != folder.manifest.model_hash:
        raise ModelError(
            f"the board holds another model than '{folder.path}': '{board.hello.name}', "
            f"{board.hello.model_hash[:12]}",
            help="build the folder's program (make link) and flash it",
        )
    if board.lock is not None:
        return  # it trains by its own firmware, whose rate and schedule are nobody else's
    if folder.manifest.trains and "train" not in board.hello.messages:
        raise ModelError(
            f"the board holds the model of '{folder.path}' compiled with --inference: it trains "
            "nothing",
            help="build the folder's program (make link) and flash it",
        )
    if folder.manifest.trains and board.hello.settings != _settings(folder.manifest):
        raise ModelError(
            f"the board holds the model of '{folder.path}' compiled with another learning rate, "
            "schedule, seed, replay buffer or rehearsal set: it would learn something else than "
            "this machine",
            help="build the folder's program (make link) and flash it",
        )


def _settings(manifest: Manifest) -> int:
    options = manifest.options
    return settings_crc(
        trains=manifest.trains,
        rate=manifest.learning_rate,
        schedule=parse_schedule(str(options["schedule"]), int(str(options["warmup"]))),
        seed=int(str(options["seed"])),
        slots=manifest.replay.slots if manifest.replay else 0,
        rehearsed=manifest.rehearsal.crc if manifest.rehearsal else 0,
    )


def check_link(folder: GeneratedFolder) -> None:
    """Raises `UsageError` for a model that no program of `compile --link` can train."""
    if folder.manifest.replay is not None and folder.manifest.replay.in_flash:
        raise UsageError(
            f"the model in '{folder.path}' has its replay buffer in flash, which the program of "
            "--link has no driver for",
            help="leave out --on serial:, or compile with --replay-in ram, or without --replay",
        )


def check_stream(stream: SampleStream) -> None:
    refused = {
        "enrols classes": stream.enrols or stream.enrolment is not None,
        "watches for what is not normal": stream.watches,
        "takes samples without labels": stream.unlabelled,
        "has a guard": stream.is_guarded,
    }
    for what, is_so in refused.items():
        if is_so:
            raise UsageError(
                f"a session that {what} does not run on a board",
                help="leave out --on serial:, or put on the board what does without",
            )


def check_locked(stream: SampleStream) -> None:
    """A board with a locked link takes a signed file, and says what it makes of samples."""
    if stream.step_count or stream.fill is not None or stream.parameters_in is None:
        raise UsageError(
            LOCKED,
            help="--steps 0 with --load of a signed file, and without --fill, brings it parameters "
            "and evaluates them",
        )

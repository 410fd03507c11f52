"""What it means that a program of a session stopped, in words."""

from __future__ import annotations

from tinytrain.errors import (
    DataError,
    ModelError,
    TinytrainError,
    ToolchainError,
    UsageError,
    Where,
)


def failure_error(what: str, status: str, learning_rate: float | None) -> TinytrainError:
    """The error for a program that said that something failed.

    Args:
        what: the call that failed, as the program names it.
        status: its `tt_status`, by name.
        learning_rate: that the program was to set, if it was.
    """
    if what == "load":
        reason = {
            "TT_ERROR_CRC": "the saved parameters are damaged: their checksum is wrong",
            "TT_ERROR_MODEL": "the saved parameters belong to another model",
            "TT_ERROR_FORMAT": "the file holds no saved parameters of this format",
            "TT_ERROR_SIGNATURE": "the board finds the signature wrong: the file was changed, or "
            "signed with another key",
            "TT_ERROR_OLD": "the file is too old for the board",
        }.get(status, f"the saved parameters cannot be loaded ({status})")
        return DataError(reason, where=Where("parameters_in.bin"))
    if what == "stream" and status == "TT_ERROR_FORMAT":
        return ModelError(
            "the folder was compiled by another version of tinytrain, whose program cannot read "
            "this session",
            help="compile the model again",
        )
    if what == "set_learning_rate":
        return UsageError(f"the model does not take a learning rate of {learning_rate}")
    return ToolchainError(f"the firmware stopped with {status} in '{what}'")

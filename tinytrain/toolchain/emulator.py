"""The emulator of a target: the command that runs a program in it."""

from __future__ import annotations

from pathlib import Path

from tinytrain.errors import UsageError
from tinytrain.target import Target
from tinytrain.toolchain.commands import require


def emulator_command(target: Target, program: Path, *, icount: bool = False) -> list[str]:
    """The command that runs a program until it ends.

    Where the program has its files over the serial line, the command's standard input and output
    are this line, and it does not end by itself.

    Args:
        program: for this target, as `build` made it.
        icount: let one instruction take one nanosecond of the emulated clock, so that instructions
            can be counted; slower.

    Raises:
        UsageError: nothing emulates the target.
        ToolchainError: the emulator is not installed.
    """
    machine = check_emulated(target)
    own = target.architecture
    command = [require(own.emulator), *own.emulator_flags, "-machine", machine]
    if target.files_over_serial:
        # Not -nographic: its line takes some bytes as commands for the emulator.
        command += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    else:
        command += ["-nographic", "-semihosting-config", "enable=on,target=native"]
    if icount:
        command += ["-icount", "shift=0"]
    return [*command, "-kernel", str(program.resolve())]


def check_emulated(target: Target) -> str:
    """The emulator's name of a target, before anything is built for it.

    Raises:
        UsageError: nothing emulates the target.
        ToolchainError: the emulator is not installed.
    """
    if target.machine is None:
        raise UsageError(
            f"nothing emulates target '{target.name}'",
            help="simulate with --on host, or compile for one of the emulated targets",
        )
    require(target.architecture.emulator)
    return target.machine

"""What `flash` takes: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, GENERAL, SWITCH, Option
from tinytrain.target.runner import RUNNERS

FLASH = (
    Option(
        "folder that `compile` wrote", GENERAL, "directory", FOLDER,
        metavar="DIR", positional=True, required=True,
    ),
    Option(
        "flash this board instead of the one that the folder was compiled for; `tinytrain targets` "
        "lists them", GENERAL, "board", metavar="NAME",
    ),
    Option(
        "the tool that flashes; without it the first that the board's file names", GENERAL,
        "runner", choices=tuple(runner.name for runner in RUNNERS),
    ),
    Option(
        "where the board is: a serial port, HOST:PORT of a gdb server, or the drive that it shows "
        "itself as", GENERAL, "port", metavar="WHERE",
    ),
    Option(
        "flash this file instead of the folder's own program", GENERAL, "program", FILE,
        metavar="FILE",
    ),
    Option("only print the commands", GENERAL, "dry_run", SWITCH, default=False),
)  # fmt: skip
